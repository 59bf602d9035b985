"""Writing to a socket past its transport, while that has nothing to write.

Only ``direct.pyx`` of the compiled build does it: from Python it gains nothing.
"""

from __future__ import annotations

import asyncio

__all__ = ["send_now", "writable_fd"]


def writable_fd(transport: asyncio.Transport) -> int:
    """Return the descriptor that takes just what the transport would write; -1 if there is none."""
    return -1


def send_now(fd: int, data: bytes) -> int:
    """Return how many bytes of ``data`` the socket has taken; errors are left to the transport."""
    return 0
