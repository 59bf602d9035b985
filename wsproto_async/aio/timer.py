"""One timer for all connections of an event loop: deadlines rounded to ticks, shared by many."""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import Final, Protocol

__all__ = ["Deadline", "SharedTimer", "Timed"]

_TICK: Final = 0.05  # seconds
_LEAST: Final = 0.002  # seconds: what is due in less, uvloop does before it looks at its sockets


class Deadline(IntEnum):
    """What a connection's one deadline is for."""

    OPEN = 0
    """The opening handshake has to be complete."""
    ANSWER = 1
    """What came before a violation has to be answered."""
    CLOSE = 2
    """The transport has to be gone."""
    PING = 3
    """A ping is due."""
    PONG = 4
    """The peer has to have shown life since the ping."""


class Timed(Protocol):
    """What can be given to :class:`SharedTimer`; has one deadline at a time."""

    tick: int
    """When the deadline is, 0 if there is none."""
    place: int
    """Where it stands among those of the same tick."""

    def deadline_reached(self) -> None:
        """The deadline that was set last has passed."""


class SharedTimer:
    """Calls ``deadline_reached`` up to one tick (50 ms) late, with one timer handle for all.

    Law: before that, the loop has looked at its sockets once more, however near the deadline is.
    """

    __slots__ = ("_armed_for", "_due", "_handle")

    def __init__(self) -> None:
        self._due: dict[int, list[Timed]] = {}
        self._handle: asyncio.TimerHandle | None = None
        self._armed_for = 0

    def set(self, timed: Timed, delay: float) -> None:
        """Set the deadline of ``timed`` to ``delay`` seconds from now, instead of any before."""
        if timed.tick:
            self.unset(timed)
        loop = asyncio.get_running_loop()
        tick = int((loop.time() + delay + _LEAST) / _TICK) + 1
        timed.tick = tick
        due = self._due.get(tick)
        if due is None:
            due = self._due[tick] = []
        timed.place = len(due)
        due.append(timed)
        if self._handle is None or tick < self._armed_for:
            self._arm(loop, tick)

    def unset(self, timed: Timed) -> None:
        """Remove the deadline of ``timed``, if it has one."""
        if not timed.tick:
            return
        due = self._due[timed.tick]
        last = due.pop()
        if last is not timed:
            due[timed.place] = last
            last.place = timed.place
        if not due:
            del self._due[timed.tick]
        timed.tick = 0
        if not self._due and self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self, loop: asyncio.AbstractEventLoop, tick: int) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._armed_for = tick
        self._handle = loop.call_at(tick * _TICK, self._fire)

    def _fire(self) -> None:
        self._handle = None
        loop = asyncio.get_running_loop()
        now = loop.time() + 0.001  # a loop may call a little early
        try:
            for tick in sorted(tick for tick in self._due if tick * _TICK <= now):
                for timed in tuple(self._due.get(tick, ())):
                    if timed.tick == tick:
                        self.unset(timed)
                        timed.deadline_reached()
        finally:  # whatever came of one of them
            if self._due:
                first = min(self._due)
                if self._handle is None or first < self._armed_for:
                    self._arm(loop, first)
