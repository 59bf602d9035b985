"""Connections that have more to do than fits in their part of a turn of the loop.

They wait in line, and all of them together get a small part of each turn. So a connection that has
little to do is served at once, however many there are that have much.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .protocol import ProtocolCore

__all__ = ["Turns"]

_SLICE: Final = 0.001  # seconds of a turn
_AT_MOST: Final = 4  # connections in a turn: each of them may be about to read more


class Turns:
    """The line of one event loop."""

    __slots__ = ("_is_due", "_line")

    def __init__(self) -> None:
        self._line: deque[ProtocolCore] = deque()
        self._is_due = False

    def wait(self, protocol: ProtocolCore) -> None:
        """Let ``protocol`` go on in a later turn. It does not read meanwhile."""
        self._line.append(protocol)
        if not self._is_due:
            self._is_due = True
            protocol.loop.call_soon(self._serve, protocol.loop)

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_due = False
        end = monotonic() + _SLICE
        try:
            for _ in range(min(len(self._line), _AT_MOST)):
                protocol = self._line.popleft()
                protocol.go_on()
                if monotonic() > end:
                    break
        finally:  # whatever came of one of them, the others are waiting
            if self._line and not self._is_due:
                self._is_due = True
                loop.call_soon(self._serve, loop)
