"""Flow control in both directions: what waits for the handler, and who waits for the network."""

from __future__ import annotations

import asyncio
from typing import Final

from .size import size_of

__all__ = ["ReceiveQueue", "Waiters"]

# However small they are: a message is an object, and objects are what tiny frames multiply.
_MAX_MESSAGES: Final = 48


class ReceiveQueue:
    """Messages that have arrived and wait for ``recv``.

    ``count`` is how many wait, ``total`` how many have been put in so far.

    Full at ``limit`` bytes, the objects' overhead included, or at 48 messages; low at a quarter.
    """

    __slots__ = ("_first", "_limit", "_messages", "_size", "count", "total")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._messages: list[str | bytes | None] | None = None  # while there are none
        self._first = 0
        self._size = 0
        self.count = 0
        self.total = 0

    def is_full(self) -> bool:
        """Tell if no more should be put in."""
        return self._size >= self._limit or self.count >= _MAX_MESSAGES

    def is_low(self) -> bool:
        """Tell if it is time to bring more."""
        return self._size <= self._limit // 4 and self.count <= _MAX_MESSAGES // 4

    def put(self, message: str | bytes) -> None:
        """Append a message."""
        if self._messages is None:
            self._messages = [message]
        else:
            self._messages.append(message)
        self._size += size_of(message)
        self.count += 1
        self.total += 1

    def peek(self) -> str | bytes:
        """Return the oldest message and leave it in."""
        assert self._messages is not None
        message = self._messages[self._first]
        assert message is not None
        return message

    def get(self) -> str | bytes:
        """Take the oldest message."""
        message = self.peek()
        assert self._messages is not None
        self.count -= 1
        self._size -= size_of(message)
        if self.count == 0:
            self._messages = None
            self._first = 0
        else:
            self._messages[self._first] = None
            self._first += 1
            if self._first == _MAX_MESSAGES:
                del self._messages[:_MAX_MESSAGES]
                self._first = 0
        return message


class Waiters:
    """Tasks that wait for one condition, first come, first served."""

    __slots__ = ("_futures",)

    def __init__(self) -> None:
        self._futures: list[asyncio.Future[None]] | None = None

    async def wait(self) -> None:
        """Wait for the next ``wake``; the caller checks its condition again."""
        future = asyncio.get_running_loop().create_future()
        if self._futures is None:
            self._futures = []
        self._futures.append(future)
        try:
            await future
        finally:
            if self._futures is not None and future in self._futures:
                self._futures.remove(future)

    def wake(self) -> None:
        """Let all who wait go on."""
        futures, self._futures = self._futures, None
        for future in futures or ():
            if not future.done():
                future.set_result(None)
