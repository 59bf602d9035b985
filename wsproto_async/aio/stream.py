"""What a stream transport calls: the part that is the same over TCP, under TLS and in a tunnel."""

from __future__ import annotations

import asyncio
from typing import Final

from .shared import shared

__all__ = ["DROP_LIMIT", "StreamProtocol"]

DROP_LIMIT: Final = 2**26
"""Bytes that a peer may go on sending after the end of its input.

Who was in the middle of a large message shall read our last words when it is through. To read so
much, and drop it, takes some 15 ms.
"""


class StreamProtocol:
    """An :class:`asyncio.BufferedProtocol` but for its base: a compiled class has none of Python's.

    What is read is in the loop's inbox. It is another connection's as soon as a handler runs.
    ``is_reading_on`` tells that it belongs to the same read as what came before.
    """

    __slots__ = ("_inbox", "_shared", "is_reading_on", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.is_reading_on = False
        self._shared = shared(loop)
        self._inbox = self._shared.inbox

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        raise NotImplementedError

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._inbox.view

    def buffer_updated(self, nbytes: int) -> None:
        raise NotImplementedError

    def eof_received(self) -> None:
        """The transport closes after this."""

    def connection_lost(self, exc: Exception | None) -> None:
        raise NotImplementedError

    def pause_writing(self) -> None:
        """What waits to be written is over the high-water mark."""

    def resume_writing(self) -> None:
        """It is at the low-water mark again."""
