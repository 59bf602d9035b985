"""The terminal of a prompt: its modes, and how many of its rows a text takes."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any, Final
from unicodedata import category, east_asian_width

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

__all__ = ["Modes", "rows_above"]

_LOCAL_MODES: Final = 3  # where tcgetattr() has them
_TAB: Final = 8


class Modes:
    """From ``begin`` to ``restore`` what is typed while nobody reads waits as it is.

    For readline, which restores whenever it is left what modes it has found: were those for whole
    lines, the terminal itself would act on Ctrl-D and Backspace then.
    """

    def __init__(self) -> None:
        self._before: list[Any] | None = None

    def begin(self) -> None:
        """Take no whole lines any more, and show no keys; nothing if that is no terminal."""
        if termios is not None:
            with suppress(termios.error):
                self._before = termios.tcgetattr(sys.stdin.fileno())
        self.set(echo=False)

    def set(self, *, echo: bool) -> None:
        """Show keys or not; readline shows none itself where it finds a terminal that does not."""
        if self._before is not None:
            modes = self._before.copy()
            modes[_LOCAL_MODES] &= ~(termios.ICANON if echo else termios.ICANON | termios.ECHO)
            self._apply(modes)

    def restore(self) -> None:
        """Let the terminal be as it was."""
        if self._before is not None:
            self._apply(self._before)

    def _apply(self, modes: list[Any]) -> None:
        with suppress(termios.error):  # the terminal is gone
            # No key is lost; TCSADRAIN, which readline uses, would wait for the terminal.
            termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, modes)


def rows_above(text: str, columns: int) -> int:
    """Return on which row the cursor is behind ``text``, as a readline shows it, from 0."""
    row = column = 0
    for character in text:
        if character == "\n":
            row, column = row + 1, 0
            continue
        width = _TAB - column % _TAB if character == "\t" else _width(character)
        if column + width > columns:
            row, column = row + 1, 0
        column += width
    return row + (column == columns)


def _width(character: str) -> int:
    match category(character):
        case "Mn" | "Me" | "Cf":  # a part of the character before
            return 0
        case "Cc":
            return 2  # ^X
    return 2 if east_asian_width(character) in "WF" else 1
