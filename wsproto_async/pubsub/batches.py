"""What is published in one turn of the loop leaves together, in one batch for each topic.

So what a broker has to do for each command, and a process for each answer and for each batch that
arrives, is done once for all that it publishes on a topic at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from .broker import Retention
from .futures import fail, finish
from .publication import Position, Publication
from .wire import encode, sized

__all__ = ["OVERHEAD", "Batch", "Batches"]

OVERHEAD: Final = 256
"""Bytes that a publication takes beside its data until the broker has it."""

_FULL: Final = 2**18  # bytes: what is published in a turn and has so many leaves at once


class Batch:
    """What was published on a topic with one retention, as ``data``: see ``wire.split``."""

    __slots__ = ("_futures", "_parts", "retention", "size", "topic")

    def __init__(self, topic: str, retention: Retention | None) -> None:
        self.topic = topic
        self.retention = retention
        self.size = 0
        """Bytes that it takes until the broker has it."""
        self._parts: list[bytes] = []
        self._futures: list[asyncio.Future[Position | None]] = []

    def add(self, data: bytes, future: asyncio.Future[Position | None]) -> None:
        """Add a publication, and who wants its position."""
        self._parts.append(sized(data))
        self._futures.append(future)
        self.size += len(data) + OVERHEAD

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self._parts)

    def sent(self, sent: asyncio.Future[Position | None]) -> None:
        """The broker has it, and ``sent`` the position of the first; or it may not have it."""
        exc = sent.exception()
        if exc is not None:
            for future in self._futures:
                fail(future, str(exc))
            return
        position = sent.result()
        if position is None:
            for future in self._futures:
                finish(future, None)
        else:
            epoch, first = position
            for offset, future in enumerate(self._futures, first):
                finish(future, Position(epoch, offset))


class Batches:
    """Calls ``send`` with each batch at the end of the turn, in the order in which they began."""

    def __init__(self, send: Callable[[Batch], asyncio.Future[Position | None]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._send = send
        self._batches: list[Batch] = []
        self._last: dict[str, Batch] = {}  # of each topic
        self._size = 0

    def add(
        self, publication: Publication, retention: Retention | None
    ) -> asyncio.Future[Position | None]:
        """Publish; the future has the position."""
        future: asyncio.Future[Position | None] = self._loop.create_future()
        data = encode(publication)
        topic = publication.topic
        batch = self._last.get(topic)
        if batch is None or batch.retention != retention:
            if not self._batches:
                self._loop.call_soon(self.flush)
            batch = self._last[topic] = Batch(topic, retention)
            self._batches.append(batch)
        batch.add(data, future)
        self._size += len(data) + OVERHEAD
        if self._size >= _FULL:
            self.flush()
        return future

    def flush(self) -> None:
        """Send what there is: what is sent from now on comes after it."""
        batches, self._batches = self._batches, []
        self._last.clear()
        self._size = 0
        for batch in batches:
            self._send(batch).add_done_callback(batch.sent)
