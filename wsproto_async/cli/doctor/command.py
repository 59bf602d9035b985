"""``wsproto-async doctor``: its options, and its report."""

from __future__ import annotations

import argparse
from typing import Any, Final

from ...handshake.uri import parse_uri
from .. import target
from ..exits import CLIENT_STATUSES
from ..interrupts import run
from ..output import write_line
from ..text import json_line
from .examination import examine
from .report import Report

__all__ = ["add_to"]

_DESCRIPTION: Final = """\
Connect to a server step by step: the proxy, the name's addresses, TCP to each of them, TLS and the
certificate, the answer to the upgrade request with each of its headers, redirects, what is agreed
on, the time of a round trip, and the closing handshake. What is wrong is explained: on whose side
it is, and what to do."""

_EXAMPLES: Final = f"""\
examples:
  wsproto-async doctor wss://example.com/chat
  wsproto-async doctor ws://localhost:8765/ --origin https://app.example.com
  wsproto-async doctor wss://localhost:8765/ --cacert ca.pem --json | jq '.steps[-1]'

exit status:
  0    healthy; there may be warnings
  1    the connection was opened, and did not answer a Ping or a Close as it should
{CLIENT_STATUSES}"""


def add_to(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "doctor",
        help="explain a handshake, or why it fails",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=_doctor)
    target.add_to(parser)
    group = parser.add_argument_group("report")
    group.add_argument("--json", action="store_true", help="as one JSON object, times in seconds")


def _doctor(arguments: argparse.Namespace) -> int:
    context = target.client_context(arguments)
    report = Report(quiet=arguments.json)
    run(examine(report, arguments, context))
    if arguments.json:
        url = str(parse_uri(arguments.url))  # without the password
        write_line(json_line(report.as_object(url)))
    report.verdict()
    return report.status
