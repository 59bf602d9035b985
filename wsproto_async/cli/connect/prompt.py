"""A prompt at which lines are typed while others are printed above it.

The main thread waits for keys, in ``input``, which is readline's where there is one. When there is
something to print, it is woken by a signal: ``input`` ends, the lines are printed where the prompt
was, and the prompt comes back with what had been typed, its cursor at the end.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import deque
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any, Final

from ..output import write_line
from .history import add_to_history, history_file, read_history
from .terminal import Modes, rows_above

try:
    import readline
except ImportError:  # Windows, or a Python that was built without it
    readline = None  # type: ignore[assignment]

__all__ = ["Prompt"]

_PROMPT: Final = "> "
_WAKE: Final = getattr(signal, "SIGUSR1", None)  # None on Windows: lines wait for the next Enter
_INTERRUPTS: Final = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class _Woken(BaseException):
    """There is something to print."""


class Prompt:
    """``with Prompt() as prompt``, in the main thread; ``show`` and ``end`` go from any other.

    Another has to call ``wake`` all the time, but no more at the end of the ``with``.
    ``interrupted_by`` is the signal for which KeyboardInterrupt is raised.
    """

    def __init__(self) -> None:
        self.interrupted_by: int = signal.SIGINT
        self._waiting: deque[str] = deque()
        self._main = threading.get_ident()
        self._is_reading = False
        self._is_ended = False
        self._is_interrupted = False
        self._is_resumed = False
        self._unfinished = ""
        self._typed: list[str] = []
        self._has_escapes = os.environ.get("TERM", "dumb") != "dumb"
        self._previous: dict[signal.Signals, Any] = {}
        self._modes = Modes()

    def __enter__(self) -> Prompt:
        if readline is not None:
            readline.clear_history()
            for line in read_history(history_file()):
                with suppress(UnicodeEncodeError):  # this locale cannot show it
                    readline.add_history(line)
        for number in _INTERRUPTS:
            self._previous[number] = signal.signal(number, self._interrupt)
        if _WAKE is not None:
            self._previous[_WAKE] = signal.signal(_WAKE, self._woken)
            self._previous[signal.SIGCONT] = signal.signal(signal.SIGCONT, self._resume)
        if readline is not None:
            self._modes.begin()
        return self

    def __exit__(self, *_: object) -> None:
        self._modes.restore()
        add_to_history(history_file(), self._typed)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._print_waiting()

    @property
    def backlog(self) -> int:
        """How many lines wait to be printed."""
        return len(self._waiting)

    def show(self, *lines: str) -> None:
        """Print lines above the prompt, soon."""
        self._waiting.extend(lines)

    def end(self) -> None:
        """Let ``read`` return None when all lines are printed."""
        self._is_ended = True

    def wake(self) -> None:
        """Have what waits printed, if the main thread waits for keys.

        To be called again and again, whether something waits or not: a signal that comes just
        before ``input`` begins to wait does not end it, be it this one or Ctrl-C's.
        """
        if _WAKE is not None and self._is_reading:
            signal.pthread_kill(self._main, _WAKE)

    def read(self) -> str | None:
        """Return the next line that is typed, None after ``end``.

        Raises EOFError for Ctrl-D, KeyboardInterrupt for Ctrl-C and signals that end programs, and
        OSError when the terminal is gone.
        """
        while True:
            self._print_waiting()
            if self._is_interrupted:
                raise KeyboardInterrupt
            if self._is_ended:
                return None
            line = self._input()
            if line is not None:
                if line.strip() and [line] != self._typed[-1:]:
                    self._typed.append(line)
                return line

    def _input(self) -> str | None:
        """Return what is typed, None if something is to be printed before."""
        if readline is not None:
            # No function of Python's: readline would drop what a signal raises in it.
            readline.set_startup_hook(partial(readline.insert_text, self._unfinished))
        self._unfinished = ""
        typed: list[str] = []
        try:
            self._is_resumed = False
            self._modes.set(echo=True)
            self._is_reading = True
            # Python code runs only after the line is in the list: no signal can lose it.
            typed.extend(map(input, (_PROMPT,)))
            self._is_reading = False
        except _Woken:
            if self._is_interrupted:
                write_line("")
            elif not self._is_resumed:
                self._clear_line()
        except BaseException:
            self._is_reading = False
            write_line("")
            raise
        finally:
            self._modes.set(echo=False)
        return typed[0] if typed else None

    def _woken(self, number: int, frame: FrameType | None) -> None:
        is_due = self._is_ended or self._is_interrupted or self._is_resumed
        if self._is_reading and (self._waiting or is_due):
            self._is_reading = False
            if readline is not None:
                self._unfinished = readline.get_line_buffer()
            raise _Woken

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        # With an exception of its own in the air, input() would take that of another signal for a
        # fault of the interpreter: so only one signal's handler raises there, the next to come.
        self.interrupted_by = number
        if not self._is_reading or _WAKE is None:
            raise KeyboardInterrupt
        self._is_interrupted = True

    def _resume(self, number: int, frame: FrameType | None) -> None:
        self._is_resumed = True  # after Ctrl-Z; the shell has set its own modes meanwhile

    def _clear_line(self) -> None:
        """Erase the prompt and what stands there, on as many rows as it takes."""
        if not self._has_escapes:
            sys.stdout.write("\n")
            return
        columns = os.get_terminal_size(sys.stdout.fileno()).columns or 80
        rows = rows_above(_PROMPT + self._unfinished, columns)
        sys.stdout.write((f"\x1b[{rows}A" if rows else "") + "\r\x1b[J")

    def _print_waiting(self) -> None:
        while self._waiting:
            write_line(self._waiting.popleft())
