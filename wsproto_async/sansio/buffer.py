"""The bytes of an unfinished message, in one object that grows within its limit."""

from __future__ import annotations

from io import BytesIO

__all__ = ["MessageBuffer"]


class MessageBuffer:
    """Takes bytes in, and gives them out without a second copy of all.

    ``limit`` is how many there can be, None if nobody knows; what is allocated stays within it.
    ``memory`` is how many of the bytes that were taken last ``recent`` still knows.
    """

    __slots__ = ("_bytes", "_capacity", "_limit", "_memory", "_taken", "size")

    def __init__(self, limit: int | None, memory: int = 0) -> None:
        self._bytes = BytesIO()
        self._capacity = 0
        self._limit = limit
        self._memory = memory
        self._taken = b""
        self.size = 0

    def append(self, piece: bytes) -> None:
        """Append ``piece``."""
        self.size += len(piece)
        if self._limit is not None and self.size > self._capacity:
            self._reserve(self._limit)
        self._bytes.write(piece)

    def _reserve(self, limit: int) -> None:
        if self.size >= self._memory:
            self._taken = b""  # ``recent`` needs it no more
        # Left alone, BytesIO allocates an eighth more than it needs; in great leaps, nothing.
        capacity = self.size * 2
        if capacity * 5 // 4 > limit:
            capacity = max(limit, self.size)
        end = self._bytes.tell()
        self._bytes.seek(capacity - 1)
        self._bytes.write(b"\x00")
        self._bytes.seek(end)
        self._capacity = capacity

    def recent(self, size: int) -> bytes:
        """Return the last bytes, at most ``size``."""
        with self._bytes.getbuffer() as view:
            recent = bytes(view[max(0, self.size - size) : self.size])
        missing = size - len(recent)
        return self._taken[-missing:] + recent if missing and self._taken else recent

    def take(self, size: int) -> bytes:
        """Take the first ``size`` bytes out."""
        with self._bytes.getbuffer() as view:
            rest = bytes(view[size : self.size])
        self._bytes.truncate(size)
        taken = self._bytes.getvalue()  # which is what was held, no copy
        self._bytes = BytesIO()
        self._bytes.write(rest)
        self._capacity = self.size = len(rest)
        if self._limit is not None:
            self._limit -= size
        if self._memory:
            self._remember(taken)
        return taken

    def _remember(self, taken: bytes) -> None:
        missing = self._memory - len(taken)
        if missing > 0:
            taken = self._taken[-missing:] + taken
        elif self._limit is None or self._limit >= 4 * self._memory:
            taken = taken[-self._memory :]
        # Else there is no room for a copy, but for all that was taken: it counts in the limit.
        self._taken = taken

    def getvalue(self) -> bytes:
        """Return all bytes, at the end: nothing can be appended after it."""
        self._bytes.truncate(self.size)
        return self._bytes.getvalue()
