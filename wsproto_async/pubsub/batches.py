"""What is published in one turn of the loop leaves together, in one batch for each topic.

So what a broker has to do for each command, and a process for each answer and for each batch that
arrives, is done once for all that it publishes on a topic at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from .broker import Retention
from .futures import fail
from .publication import Position, Publication, positions
from .wire import encode

__all__ = ["OVERHEAD", "Batch", "Batches"]

_B = TypeVar("_B", bound="Batch")

OVERHEAD: Final = 256
"""Bytes that a publication takes beside its data until the broker has it."""

_FULL: Final = 2**18  # bytes: what is published in a turn and has so many leaves at once


class Batch:
    """What was published on a topic with one retention."""

    __slots__ = ("futures", "parts", "retention", "size", "topic")

    def __init__(self, topic: str, retention: Retention | None) -> None:
        self.topic = topic
        self.retention = retention
        self.size = 0
        """Bytes that it takes until the broker has it."""
        self.parts: list[bytes] = []
        """The publications as bytes."""
        self.futures: list[asyncio.Future[Position | None]] = []
        """Who wants their positions."""

    def done(self, first: Position | None) -> None:
        """The broker has it, and the first is at this position."""
        if first is None:
            for future in self.futures:
                if not future.done():
                    future.set_result(None)
            return
        for future, position in zip(self.futures, positions(first), strict=False):
            if not future.done():
                future.set_result(position)

    def lost(self, why: str) -> None:
        """The broker may not have it."""
        for future in self.futures:
            fail(future, why)


class Batches(Generic[_B]):
    """Sends what ``begin`` makes for a topic at the end of the turn, in the order of their making.

    Until then what is published on that topic is added to it.
    """

    def __init__(
        self,
        begin: Callable[[str, Retention | None], _B],
        send: Callable[[_B], None],
        write: Callable[[], None],
    ) -> None:
        """``write`` is called when all has been sent that there is in a turn."""
        self._loop = asyncio.get_running_loop()
        self._begin = begin
        self._send = send
        self._write = write
        self._batches: list[_B] = []
        self._last: dict[str, _B] = {}  # of each topic
        self._size = 0

    def add(
        self, publication: Publication, retention: Retention | None
    ) -> asyncio.Future[Position | None]:
        """Publish; the future has the position."""
        data = encode(publication)
        topic = publication.topic
        batch = self._last.get(topic)
        if batch is None or batch.retention != retention:
            if not self._batches:
                self._loop.call_soon(self._end_turn)
            batch = self._last[topic] = self._begin(topic, retention)
            self._batches.append(batch)
        future: asyncio.Future[Position | None] = self._loop.create_future()
        batch.parts.append(data)
        batch.futures.append(future)
        size = len(data) + OVERHEAD
        batch.size += size
        self._size += size
        if self._size >= _FULL:
            self.flush()
        return future

    def _end_turn(self) -> None:
        self.flush()
        self._write()

    def flush(self) -> None:
        """Send what there is: what is sent from now on comes after it."""
        batches, self._batches = self._batches, []
        self._last.clear()
        self._size = 0
        for batch in batches:
            self._send(batch)
