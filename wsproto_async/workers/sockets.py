"""The listening sockets of several processes.

On Linux each worker has sockets of its own, and the kernel deals the connections out
(``SO_REUSEPORT``). Elsewhere, and where there is but one socket to be had, all share it.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress

from ..aio.bind import Address, listen, resolve

__all__ = ["bind_each", "bind_unix"]


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
    # Nobody else may be listening there, which SO_REUSEPORT would not tell.
    addresses = _try(addresses, bool(reuse_port), backlog)
    if port == 0:
        chosen = addresses[0][1][1]
        addresses = [(family, (a[0], chosen, *a[2:])) for family, a in addresses]
        addresses = _try(addresses, bool(reuse_port), backlog)
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


def _try(addresses: Sequence[Address], reuse_port: bool, backlog: int) -> list[Address]:
    """Return the addresses that sockets could be bound to; they are closed again."""
    bound = []
    for sock in listen(addresses, reuse_port, backlog):
        with sock:
            bound.append((int(sock.family), sock.getsockname()))
    return bound


def bind_unix(path: str, backlog: int = 1024) -> socket.socket:
    """Return a socket that listens at ``path``, in place of one that nobody listens at any more.

    Raises OSError if it cannot be bound, and if somebody listens there.
    """
    sock = socket.socket(socket.AF_UNIX)
    try:
        _remove_stale(path)
        sock.bind(path)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_stale(path: str) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            with socket.socket(socket.AF_UNIX) as probe:
                error = probe.connect_ex(path)
            if error == errno.ECONNREFUSED:
                os.unlink(path)
