"""The bytes of an unfinished message, in one object that grows within its limit."""

from __future__ import annotations

from io import BytesIO

__all__ = ["MessageBuffer"]


class MessageBuffer:
    """Takes bytes in, and gives them out without a second copy of all.

    ``limit`` is how many there can be, None if nobody knows; what is allocated stays within it.
    """

    __slots__ = ("_bytes", "_capacity", "_limit", "size")

    def __init__(self, limit: int | None) -> None:
        self._bytes = BytesIO()
        self._capacity = 0
        self._limit = limit
        self.size = 0

    def append(self, piece: bytes) -> None:
        """Append ``piece``."""
        self.size += len(piece)
        if self._limit is not None and self.size > self._capacity:
            self._reserve(self._limit)
        self._bytes.write(piece)

    def _reserve(self, limit: int) -> None:
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
            return bytes(view[max(0, self.size - size) : self.size])

    def take(self, size: int) -> bytes:
        """Take the first ``size`` bytes out."""
        with self._bytes.getbuffer() as view:
            taken, rest = bytes(view[:size]), bytes(view[size : self.size])
        self._bytes.seek(0)
        self._bytes.write(rest)
        self.size = len(rest)
        return taken

    def getvalue(self) -> bytes:
        """Return all bytes, at the end: nothing can be appended after it."""
        self._bytes.truncate(self.size)
        return self._bytes.getvalue()
