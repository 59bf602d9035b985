"""What is going on while it goes on, for whoever looks at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from shutil import get_terminal_size

from ..output import is_terminal, rich_console

__all__ = ["Show", "showing"]

Show = Callable[[float, str], None]
"""Called with the seconds that are over, and with a line about them."""


@contextmanager
def showing(seconds: float, *, is_shown: bool) -> Iterator[Show]:
    """Show the progress of what takes so long, if there is a terminal; at the end it is gone."""
    if not is_shown or not is_terminal():
        yield lambda elapsed, line: None
    elif (console := rich_console()) is not None:
        from rich.progress import BarColumn, Progress, TextColumn

        columns = (BarColumn(), TextColumn("{task.description}", markup=False))
        # No thread of rich's: it would take time of the event loop's.
        with Progress(*columns, console=console, transient=True, auto_refresh=False) as bar:
            task = bar.add_task("connecting", total=seconds)

            def show(elapsed: float, line: str) -> None:
                bar.update(task, completed=elapsed, description=line, refresh=True)

            show(0, "connecting")
            yield show
    else:

        def write(line: str) -> None:
            width = get_terminal_size().columns - 1  # one more would begin the next line
            sys.stdout.write("\r" + line.ljust(width)[:width])
            sys.stdout.flush()

        try:
            yield lambda elapsed, line: write(f"{elapsed:3.0f} of {seconds:g} s: {line}")
        finally:
            write("")
            sys.stdout.write("\r")
