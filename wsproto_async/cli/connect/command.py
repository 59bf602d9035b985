"""``wsproto-async connect``: its options, and which of its two ways of talking they mean."""

from __future__ import annotations

import argparse
import sys
from functools import partial
from typing import Any, Final

from ...aio.client import connect
from ...workers.process import loop_factory
from .. import target
from ..exits import CLIENT_STATUSES
from ..interrupts import run
from ..numbers import number
from ..output import is_terminal
from .events import JsonLines, Lines
from .pipe import converse
from .session import interact

__all__ = ["add_to"]

_DESCRIPTION: Final = """\
Connect to a server and talk to it.

At a terminal: each line that you type is sent as a text message; the keys are readline's, where
Python has it, and what was typed is remembered. Lines that begin with / are commands, which /help
lists. JSON is printed with a line for each item, binary messages as a hex dump. Ctrl-D closes the
connection.

If stdin or stdout is no terminal: each line of stdin is sent as a text message, and each message
that comes is a line of stdout, with escapes such as \\n and \\x1b for control characters, or 0x and
hex digits if it is binary. At the end of stdin the connection is closed when nothing has come for
--linger seconds.

With --json-lines: the same, but what happens is one JSON object a line:
  {"type": "open", "subprotocol": null, "extensions": "permessage-deflate; ..."}
  {"type": "text", "data": "hello"}
  {"type": "binary", "data": "AAH/"}                     data is in base64
  {"type": "close", "code": 1000, "reason": ""}          1006: cut off
The first is open, the last close. Without a connection there are none, and stderr has a line."""

_EXAMPLES: Final = f"""\
examples:
  wsproto-async connect ws://localhost:8765/
  wsproto-async connect wss://example.com/chat --subprotocol chat -H 'Authorization: Bearer X'
  echo hello | wsproto-async connect ws://localhost:8765/
  wsproto-async connect ws://localhost:8765/ --linger inf </dev/null >log
  jq -c . orders.json | wsproto-async connect ws://localhost:8765/ --json-lines | jq .data

exit status:
  0    closed with 1000, 1001 or without a code
  1    closed with another code, or cut off
{CLIENT_STATUSES}
wsproto-async doctor URL explains step by step why a server cannot be talked to.
"""


def add_to(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "connect",
        help="talk to a server",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=_connect)
    target.add_to(parser)
    group = parser.add_argument_group("messages")
    add = group.add_argument
    add("--json-lines", action="store_true", help="for scripts; see above")
    add("--hex", action="store_true", help="lines of stdin are hex digits, and sent as binary")
    add(
        "--linger",
        type=number(float, 0),
        default=1.0,
        metavar="S",
        help="after the end of stdin; default 1, inf until the server closes",
    )
    add(
        "--max-size",
        type=number(int, 0),
        default=2**20,
        metavar="N",
        help="bytes in a message that comes, default 1 MiB",
    )


def _connect(arguments: argparse.Namespace) -> int:
    options = target.connect_options(arguments) | {"max_size": arguments.max_size}
    opening = partial(connect, **options)
    is_for_scripts = arguments.json_lines or arguments.hex
    if not is_for_scripts and is_terminal() and sys.stdin is not None and sys.stdin.isatty():
        return interact(opening, arguments.url)
    events = JsonLines() if arguments.json_lines else Lines()
    conversation = converse(
        opening, arguments.url, events, is_hex=arguments.hex, linger=arguments.linger
    )
    return run(conversation, loop_factory())
