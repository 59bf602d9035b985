"""Where the transports of one event loop put what they read: one place for all connections.

A transport that has to make a place for each read makes one of 256 KiB, to keep a few bytes of it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Inbox"]

_SIZE: Final = 2**18  # bytes that are read at once


class Inbox:
    """Holds one read at a time: whoever was called with it takes it at once."""

    __slots__ = ("view",)

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_SIZE))

    def take(self, size: int) -> bytes:
        """Return the ``size`` bytes that were read."""
        return bytes(self.view[:size])
