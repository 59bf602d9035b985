"""Standard output: lines that any terminal can show, in colour where rich is installed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["OutputError", "is_terminal", "rich_console", "write_line", "writing"]


class OutputError(OSError):
    """What is printed cannot be written; the text says why."""


def is_terminal() -> bool:
    """Tell if what is printed is seen at once."""
    return sys.stdout is not None and sys.stdout.isatty()


def rich_console() -> Any | None:
    """Return rich's console for a terminal; None without one, or without rich."""
    if not is_terminal():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console(highlight=False, soft_wrap=True)


def write_line(text: str) -> None:
    """Print a line, at once.

    Raises BrokenPipeError when nobody reads any more, and OutputError for a full disk, for one.
    """
    encoding = sys.stdout.encoding or "utf-8"
    with writing():
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()


@contextmanager
def writing() -> Iterator[None]:
    """Let errors of standard output be known for what they are; raises as ``write_line`` does."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise OutputError(f"cannot write: {exc.strerror or exc}") from None
