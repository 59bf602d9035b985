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
from .publication import Position, Publication, positions
from .wire import encode

__all__ = ["OVERHEAD", "Batch", "Batches"]

OVERHEAD: Final = 256
"""Bytes that a publication takes beside its data until the broker has it."""

_FULL: Final = 2**18  # bytes: what is published in a turn and has so many leaves at once


class Batch:
    """What was published on a topic with one retention; the :class:`Outcome` of sending it."""

    __slots__ = ("futures", "parts", "retention", "size", "topic")

    def __init__(self, topic: str, retention: Retention | None) -> None:
        self.topic = topic
        self.retention = retention
        self.size = 0
        """Bytes that it takes until the broker has it."""
        self.parts: list[bytes] = []
        self.futures: list[asyncio.Future[Position | None]] = []

    @property
    def data(self) -> bytes:
        """All of it."""
        return b"".join(self.parts)

    def finish(self, first: Position | None) -> None:
        """The broker has it, and the first is at this position."""
        if first is None:
            for future in self.futures:
                finish(future, None)
        else:
            for future, position in zip(self.futures, positions(first), strict=False):
                finish(future, position)

    def fail(self, why: str) -> None:
        """The broker may not have it."""
        for future in self.futures:
            fail(future, why)


class Batches:
    """Calls ``send`` with each batch at the end of the turn, in the order in which they began."""

    def __init__(self, send: Callable[[Batch], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._send = send
        self._batches: list[Batch] = []
        self._last: dict[str, Batch] = {}  # of each topic
        self._size = 0

    def add(
        self, publication: Publication, retention: Retention | None
    ) -> asyncio.Future[Position | None]:
        """Publish; the future has the position."""
        topic = publication.topic
        batch = self._last.get(topic)
        if batch is None or batch.retention != retention:
            if not self._batches:
                self._loop.call_soon(self.flush)
            batch = self._last[topic] = Batch(topic, retention)
            self._batches.append(batch)
        future: asyncio.Future[Position | None] = self._loop.create_future()
        batch.futures.append(future)
        data = encode(publication)
        batch.parts.append(data)
        size = len(data) + OVERHEAD
        batch.size += size
        self._size += size
        if self._size >= _FULL:
            self.flush()
        return future

    def flush(self) -> None:
        """Send what there is: what is sent from now on comes after it."""
        batches, self._batches = self._batches, []
        self._last.clear()
        self._size = 0
        for batch in batches:
            self._send(batch)
