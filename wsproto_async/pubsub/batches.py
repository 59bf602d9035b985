"""What is published in one turn of the loop leaves together, in one batch for each topic.

So what a broker has to do for each command, and a process for each answer and for each batch that
arrives, is done once for all that it publishes on a topic at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from .broker import Retention
from .futures import fail
from .publication import Position, Publication, positions
from .wire import encode

__all__ = ["Batch", "Batches", "Budget"]

_OVERHEAD: Final = 256  # bytes that a publication takes beside its data
_MAX_WAITING: Final = 2**24  # bytes of publications that the broker does not have yet: 16 MiB
_FULL: Final = 2**18  # bytes: what is published in a turn and has so many leaves at once


class Budget:
    """What all publications of a process may take until the broker has them."""

    __slots__ = ("_taken",)

    def __init__(self) -> None:
        self._taken = 0

    def take(self, size: int) -> bool:
        """Take some bytes, if there is room; of what is too large alone there is one at a time."""
        if self._taken and self._taken + size > _MAX_WAITING:
            return False
        self._taken += size
        return True

    def give_back(self, size: int) -> None:
        """Undo ``take``."""
        self._taken -= size


class Batch:
    """What was published on a topic with one retention; it ends with ``done`` or ``fail``, once."""

    __slots__ = ("_budget", "_futures", "parts", "retention", "size", "topic")

    def __init__(self, topic: str, retention: Retention | None, budget: Budget) -> None:
        self.topic = topic
        self.retention = retention
        self.size = 0
        """Bytes that it takes of the budget."""
        self.parts: list[bytes] = []
        """The publications as bytes."""
        self._futures: list[asyncio.Future[Position | None]] = []  # who wants their positions
        self._budget = budget

    def add(self, data: bytes, future: asyncio.Future[Position | None]) -> None:
        """Add a publication, as bytes, and what gets its position."""
        self.parts.append(data)
        self._futures.append(future)
        self.size += len(data) + _OVERHEAD

    def done(self, first: Position | None) -> None:
        """The broker has it, and the first is at this position."""
        self._budget.give_back(self.size)
        if first is None or len(self._futures) == 1:
            for future in self._futures:
                if not future.done():
                    future.set_result(first)
            return
        for future, position in zip(self._futures, positions(first), strict=False):
            if not future.done():
                future.set_result(position)

    def fail(self, why: str) -> None:
        """The broker may not have it."""
        self._budget.give_back(self.size)
        for future in self._futures:
            fail(future, why)

    def refuse(self, why: str) -> None:
        """There is no room for it."""
        self.size = 0
        self.fail(why)


class Batches:
    """Sends what ``begin`` makes for a topic at the end of the turn, in the order of their making.

    Until then what is published on that topic is added to it.
    """

    __slots__ = ("_batches", "_begin", "_budget", "_last", "_loop", "_send", "_size", "_write")

    def __init__(
        self,
        budget: Budget,
        begin: Callable[[str, Retention | None], Batch],
        send: Callable[[list[Any]], None],
        write: Callable[[], None],
    ) -> None:
        """``send`` gets batches for which there is room; ``write`` is called after those of a turn.

        All batches have the same ``budget``.
        """
        self._loop = asyncio.get_running_loop()
        self._budget = budget
        self._begin = begin
        self._send = send
        self._write = write
        self._batches: list[Batch] = []
        self._last: dict[str, Batch] = {}  # of each topic
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
        batch.add(data, future)
        self._size += len(data) + _OVERHEAD
        if self._size >= _FULL:
            self.flush()
        return future

    def add_alone(self, publication: Publication, batch: Batch) -> asyncio.Future[Position | None]:
        """Publish in a batch of its own, which leaves now; the future has the position."""
        self.flush()
        future: asyncio.Future[Position | None] = self._loop.create_future()
        batch.add(encode(publication), future)
        self._release([batch], batch.size)
        return future

    def _end_turn(self) -> None:
        self.flush()
        self._write()

    def flush(self) -> None:
        """Send what there is: what is sent from now on comes after it."""
        batches, self._batches = self._batches, []
        size, self._size = self._size, 0
        self._last.clear()
        self._release(batches, size)

    def _release(self, batches: list[Batch], size: int) -> None:
        if not self._budget.take(size):
            batches = [batch for batch in batches if self._has_room(batch)]
        self._send(batches)

    def _has_room(self, batch: Batch) -> bool:
        has_room = self._budget.take(batch.size)
        if not has_room:
            batch.refuse("too much is waiting for the broker")
        return has_room
