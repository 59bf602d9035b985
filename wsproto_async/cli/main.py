"""``wsproto-async``, which is ``python -m wsproto_async``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from ..build import compiled
from . import serve

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for, and return the exit status.

    0: stopped by a signal. 1: it failed. 2: what it asks for is wrong, or is not there.
    """
    parser = argparse.ArgumentParser(
        prog="wsproto-async", description="WebSocket servers for asyncio."
    )
    parser.add_argument("--version", action="version", version=_version())
    serve.add_to(parser.add_subparsers(title="commands", required=True, metavar="COMMAND"))
    options = parser.parse_args(arguments)
    status: int = options.command(options)
    return status


def _version() -> str:
    try:
        number = version("wsproto_async")
    except PackageNotFoundError:  # a checkout that is not installed
        number = "(not installed)"
    return f"wsproto_async {number}, {'compiled' if compiled else 'pure Python'}"
