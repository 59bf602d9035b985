"""The listening sockets of several processes.

On Linux each worker has sockets of its own, and the kernel deals the connections out
(``SO_REUSEPORT``). Elsewhere, and where there is but one socket to be had, all share it.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence
from contextlib import ExitStack

from ..aio.bind import Address, listen, resolve

__all__ = ["bind_each"]


def bind_each(
    workers: int,
    port: int,
    *,
    host: str | Sequence[str] | None = "127.0.0.1",
    reuse_port: bool | None = None,
    backlog: int = 1024,
) -> list[list[socket.socket]]:
    """Return listening sockets for each worker; those of two workers may be the same.

    Port 0 becomes one free port, the same for all hosts and workers. ``reuse_port`` False makes the
    workers share. True lets other programs listen on the port too; else that is an error.

    Raises OSError if one of them cannot be bound: then none is left.
    """
    addresses = resolve(host, port)
    if reuse_port is False or sys.platform != "linux":
        return [listen(addresses, bool(reuse_port), backlog)] * workers
    with ExitStack() as stack:
        if port == 0:
            # Held until all are bound: else somebody could take it in between.
            holder = stack.enter_context(_hold(addresses[0]))
            port = holder.getsockname()[1]
            addresses = [(family, (name[0], port, *name[2:])) for family, name in addresses]
        elif not reuse_port:
            # Somebody may be listening there, which SO_REUSEPORT would not tell.
            for sock in listen(addresses, False, backlog):
                sock.close()
        return _bind_all(workers, addresses, backlog)


def _hold(address: Address) -> socket.socket:
    """Bind a socket that gets no connections, and may have others beside it."""
    family, name = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(name)
    except BaseException:
        sock.close()
        raise
    return sock


def _bind_all(
    workers: int, addresses: Sequence[Address], backlog: int
) -> list[list[socket.socket]]:
    socks: list[list[socket.socket]] = []
    try:
        for _ in range(workers):
            socks.append(listen(addresses, True, backlog))
    except BaseException:
        for each in socks:
            for sock in each:
                sock.close()
        raise
    return socks
