"""What a message takes up in memory."""

from __future__ import annotations

from sys import getsizeof
from typing import Final

__all__ = ["size_of"]

_BYTES_OVERHEAD: Final = getsizeof(b"")


def size_of(message: str | bytes) -> int:
    """Return the bytes that ``message`` takes up as an object."""
    if isinstance(message, bytes):
        return len(message) + _BYTES_OVERHEAD
    return getsizeof(message)
