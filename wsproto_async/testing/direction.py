"""One way of a link in memory: the bytes on their way, and what befalls them.

Laws: what is sent is delivered in a later turn of the loop, and in order. No more than one read is
delivered in a turn. What the target does not read, or a stall holds back, stays here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from enum import Enum
from itertools import cycle, repeat
from operator import index
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .transport import MemoryTransport

__all__ = ["Direction", "End", "Observer"]

_READ_SIZE: Final = 2**16  # bytes


class End(Enum):
    """How the bytes of one direction end."""

    EOF = "eof"
    RESET = "reset"


Observer = Callable[["Direction", "bytes | End"], None]


class Direction:
    """One way of a :class:`Link`, with the faults that a test gives it.

    They hold for what is sent from then on, or is still on its way, until they are changed.
    """

    def __init__(self, name: str, capacity: int) -> None:
        self.name = name
        """``"to_server"`` or ``"to_client"``."""
        self.observers: list[Observer] = []
        """Each is called with this and what is delivered."""
        self._capacity = capacity
        self._pieces: deque[tuple[float, memoryview | End]] = deque()
        self._size = 0
        self._delay = 0.0
        self._sizes: Iterator[int] = repeat(_READ_SIZE)
        self._is_stalled = False
        self._drops = False
        self._has_dropped = False
        self._handle: asyncio.Handle | None = None
        self.is_joined = False

    def join(
        self,
        loop: asyncio.AbstractEventLoop,
        source: MemoryTransport,
        target: MemoryTransport,
    ) -> None:
        self.is_joined = True
        self._loop = loop
        self._source = source
        self._target = target

    def __repr__(self) -> str:
        return f"<Direction {self.name} bytes={self._size}>"

    # Faults

    def split(self, *sizes: int) -> None:
        """Let each read bring so many bytes at most, the sizes in turn, over and over.

        ``split(1)`` is for byte by byte; ``split()`` for as many as are there, up to 64 KiB. Raises
        ValueError for a size below 1, and TypeError for what is no integer.
        """
        if any(index(size) < 1 for size in sizes):
            raise ValueError(f"sizes must be at least 1, not {sizes}")
        self._sizes = cycle(sizes) if sizes else repeat(_READ_SIZE)

    def delay(self, seconds: float) -> None:
        """Let what is sent from now on arrive so much later. Raises ValueError below 0."""
        if not seconds >= 0:
            raise ValueError(f"seconds must not be negative, not {seconds}")
        self._delay = seconds

    def drop(self) -> None:
        """Let what is on its way, and what is sent from now on, vanish; nobody is told.

        So is the end: whoever reads waits for ever, as with a cable that was pulled.
        """
        self._drops = self._has_dropped = True
        self.clear()

    def stall(self) -> None:
        """Deliver nothing. What is sent waits: at first here, then with who sends it."""
        self._is_stalled = True

    def resume(self) -> None:
        """End ``stall`` and ``drop``. What has vanished leaves a gap."""
        self._is_stalled = self._drops = False
        self.go_on()

    def cut(self) -> None:
        """Let the end that reads here get ConnectionResetError, as if the other had gone.

        That one is not told: it gets a reset of its own when it sends something. Does nothing if
        the end is gone already.
        """
        if self.is_joined and not self._target.is_lost:
            self._observe(End.RESET)
            self._target.reset()

    @property
    def is_whole(self) -> bool:
        """Tell if all that was sent arrives: nothing is held back, and nothing has vanished."""
        return not (self._is_stalled or self._has_dropped)

    # Called by the transports at its ends

    @property
    def unsent(self) -> int:
        """How many bytes have found no room here, and are the sender's still."""
        return max(self._size - self._capacity, 0)

    def send(self, data: bytes | End) -> None:
        """Take what is sent, or the end of it."""
        if self._drops:
            return
        piece = data if isinstance(data, End) else memoryview(data)
        self._pieces.append((self._loop.time() + self._delay, piece))
        self._size += _size_of(piece)
        self.go_on()

    def go_on(self) -> None:
        """See to it that what comes next will be delivered, if it can be."""
        if self._handle is not None or not self._can_deliver():
            return
        due = self._pieces[0][0]
        if due <= self._loop.time():
            self._handle = self._loop.call_soon(self._deliver)
        else:
            self._handle = self._loop.call_at(due, self._deliver)

    def cut_short(self) -> None:
        """Forget what has found no room, and the end."""
        while self._pieces:
            due, piece = self._pieces.pop()
            if isinstance(piece, End):
                continue
            kept = piece[: max(len(piece) - self.unsent, 0)]
            self._size -= len(piece) - len(kept)
            if kept:
                self._pieces.append((due, kept))
                break

    def clear(self) -> None:
        """Forget what is on its way."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._pieces:
            self._pieces.clear()
            self._size = 0
            self._loop.call_soon(self._source.has_sent)

    # Delivering

    def _can_deliver(self) -> bool:
        return bool(self._pieces) and not self._is_stalled and self._target.takes_input()

    def _deliver(self) -> None:
        self._handle = None
        if not self._can_deliver():
            return
        due, piece = self._take()
        try:
            if isinstance(piece, End):
                self._observe(piece)
                self._target.end_received(piece)
            else:
                size = self._target.room_for(len(piece))
                if size < len(piece):
                    self._pieces.appendleft((due, piece[size:]))
                self._size -= size
                self._observe(bytes(piece[:size]))
                self._target.receive(piece[:size])
        finally:  # whatever came of it
            self._source.has_sent()
            self.go_on()

    def _observe(self, data: bytes | End) -> None:
        for observe in self.observers:
            observe(self, data)

    def _take(self) -> tuple[float, memoryview | End]:
        """Take what one read brings."""
        due, piece = self._pieces.popleft()
        if isinstance(piece, End):
            return due, piece
        size = next(self._sizes)
        until = max(due, self._loop.time())
        parts = [piece]
        length = len(piece)
        while length < size and self._pieces and self._pieces[0][0] <= until:
            _, following = self._pieces[0]
            if isinstance(following, End):
                break
            self._pieces.popleft()
            parts.append(following)
            length += len(following)
        whole = piece if len(parts) == 1 else memoryview(b"".join(parts))
        if length > size:
            self._pieces.appendleft((due, whole[size:]))
        return due, whole[:size]


def _size_of(piece: memoryview | End) -> int:
    return 0 if isinstance(piece, End) else len(piece)
