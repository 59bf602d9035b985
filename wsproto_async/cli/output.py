"""Standard output: lines that any terminal can show, in colour where rich is installed."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["is_terminal", "rich_console", "write_line"]


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
    """Print a line, at once; raises BrokenPipeError when nobody reads any more."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()
