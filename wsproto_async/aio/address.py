"""What a peer's address tells."""

from __future__ import annotations

__all__ = ["host_of"]


def host_of(address: object) -> str:
    """Return the host of what a transport has as ``peername``, ``"unix"`` for a Unix socket.

    ``"unknown"`` is that of a peer which had gone before its address was asked for.
    """
    if isinstance(address, tuple):
        return str(address[0])
    return "unknown" if address is None else "unix"
