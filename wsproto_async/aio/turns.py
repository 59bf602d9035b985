"""Connections that have more to do than fits in their part of a turn of the loop.

They wait in line. While others keep the loop busy, all of them together get a small share of the
time. So a connection that has little to do is served at once, however many have much.

A turn itself is bounded, too. uvloop asks for what is ready again, up to 48 times in one turn, as
long as it is 1,024 sockets. Who is read once more in such a turn waits for the next one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import Final, Protocol

__all__ = ["Turns"]

_FULL_BUDGET: Final = 2**18 + 2**16  # bytes, with 4 KiB for each frame; see Connection.set_budget
_SMALL_BUDGET: Final = 2**16 + 2**13  # a message of 64 KiB
_SLICE: Final = 0.001  # seconds of a turn for the line
_SHARE: Final = 0.1  # of the time that others take
_IDLE: Final = 0.0001  # seconds between two slices: nobody else has anything to do
_AT_MOST: Final = 4  # connections in a turn: each of them may be about to read more
_MANY: Final = 512  # reads; as many again before the loop has had its turn are a long one


class Busy(Protocol):
    """Who can stand in line."""

    loop: asyncio.AbstractEventLoop

    def go_on(self, budget: int) -> None:
        """It is your turn: do so much work."""


class Turns:
    """The line of one event loop.

    ``budget`` is how much work a connection may do on what it has just read: less while others are
    in line, which it then joins with the rest. ``number`` counts the turns in which much is read.
    """

    __slots__ = ("_credit", "_is_due", "_left_at", "_line", "_reads", "budget", "number")

    def __init__(self) -> None:
        self._line: deque[Busy] = deque()
        self._is_due = False
        self._credit = 0.0
        self._left_at = 0.0
        self._reads = 0
        self.budget = _FULL_BUDGET
        self.number = 1

    def is_long(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Count a read, and tell if there have been very many in this turn of the loop."""
        self._reads += 1
        if self._reads == _MANY:
            loop.call_soon(self._next)
        return self._reads > 2 * _MANY

    def _next(self) -> None:
        self._reads = 0
        self.number += 1

    def wait(self, busy: Busy) -> None:
        """Let ``busy`` go on in a later turn. It does not read meanwhile."""
        self._line.append(busy)
        self.budget = _SMALL_BUDGET
        self._serve_soon(busy.loop)

    def _serve_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._is_due:
            self._is_due = True
            loop.call_soon(self._serve, loop)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_due = False
        now = monotonic()
        others = now - self._left_at
        if others < _IDLE:
            self._credit = _SLICE
        else:  # who has taken more than there was is in debt for it
            self._credit = min(self._credit + others * _SHARE, _SLICE)
        try:
            for _ in range(min(len(self._line), _AT_MOST)):
                if self._credit <= 0:
                    break
                self._line.popleft().go_on(_FULL_BUDGET)
                start, now = now, monotonic()
                self._credit -= now - start
        finally:  # whatever came of one of them, the others are waiting
            self._left_at = monotonic()
            if self._line:
                self._serve_soon(loop)
            else:
                self.budget = _FULL_BUDGET
