"""Where the transports of one event loop put what they read: one place for all connections.

A transport that has to make a place for each read makes one of 256 KiB, to keep a few bytes of it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Inbox"]

_SIZE: Final = 2**18  # bytes that are read at once


class Inbox:
    """Holds one read at a time, which a transport puts into ``view``."""

    __slots__ = ("place", "view")

    def __init__(self) -> None:
        self.place = bytearray(_SIZE)
        self.view = memoryview(self.place)

    def peek(self, size: int) -> bytes:
        """Return bytes that begin with the ``size`` that were read, good until the next read."""
        return bytes(self.view[:size])
