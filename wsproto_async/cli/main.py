"""``wsproto-async``, which is ``python -m wsproto_async``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import NoReturn

from ..build import compiled
from . import serve
from .bench import command as bench
from .connect import command as connect
from .doctor import command as doctor
from .exits import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_PIPE,
    EXIT_USAGE,
    STATUSES,
    UsageError,
    fail,
)
from .output import OutputError, writing

__all__ = ["main", "parser"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks for, and return the exit status, one of ``--help``'s.

    Raises SystemExit for wrong arguments, ``--help`` and ``--version``.
    """
    _open_what_is_closed()
    options = parser().parse_args(arguments)
    try:
        status: int = options.command(options)
        with writing():
            sys.stdout.flush()
    except UsageError as exc:
        return fail(str(exc), EXIT_USAGE)
    except KeyboardInterrupt:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # the next ends the process without a word
        return EXIT_INTERRUPTED
    except OutputError as exc:
        _drop_output()
        return fail(str(exc), EXIT_FAILED)
    except BrokenPipeError:
        _drop_output()
        return EXIT_PIPE
    return status


def parser() -> argparse.ArgumentParser:
    """Return what understands the arguments; ``command`` of its result does what they ask for."""
    parser = _Parser(
        prog="wsproto-async",
        description="WebSocket servers for asyncio, and clients to try them with.",
        epilog=STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (serve, connect, bench, doctor):
        command.add_to(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong; ``--help`` has the rest."""

    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _open_what_is_closed() -> None:
    """Let what was started without stdin, stdout or stderr have an empty one.

    Else sockets and files take their numbers, and libuv ends a process that closes those.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            os.set_inheritable(nothing, True)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, os.fdopen(number, mode, closefd=False))


def _drop_output() -> None:
    """Keep Python from complaining at its end that nobody reads what is left."""
    with suppress(OSError, ValueError):
        output = sys.stdout.fileno()
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, output)
        os.close(nothing)


def _version() -> str:
    try:
        number = version("wsproto_async")
    except PackageNotFoundError:  # a checkout that is not installed
        number = "(not installed)"
    return f"wsproto_async {number}, {'compiled' if compiled else 'pure Python'}"
