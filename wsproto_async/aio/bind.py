"""Listening sockets: one for each address that a server's hosts have, or one with a path."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

__all__ = ["SocketFile", "bind", "bind_unix", "send_small_frames_at_once", "started"]


async def bind(
    host: str | Sequence[str] | None, port: int, reuse_port: bool | None, backlog: int
) -> list[socket.socket]:
    """Return sockets that listen on ``port`` of each host, of all addresses here for None.

    Raises OSError if one of them cannot be bound: then none is left.
    """
    loop = asyncio.get_running_loop()
    hosts = [host] if host is None or isinstance(host, str) else host
    addresses: dict[tuple[Any, Any], None] = {}
    for each in hosts:
        for family, _, _, _, address in await loop.getaddrinfo(
            each or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            addresses[family, address] = None  # each once
    socks: list[socket.socket] = []
    unsupported: OSError | None = None
    try:
        for family, address in addresses:
            try:
                sock = socket.create_server(
                    address, family=family, backlog=backlog, reuse_port=bool(reuse_port)
                )
            except OSError as exc:
                if exc.errno != errno.EAFNOSUPPORT:
                    raise
                unsupported = exc  # a kernel without IPv6 may know its addresses
            else:
                socks.append(sock)
        if unsupported is not None and not socks:
            raise unsupported
    except BaseException:
        for sock in socks:
            sock.close()
        raise
    return socks


def bind_unix(path: str, backlog: int) -> socket.socket:
    """Return a Unix socket that listens at ``path``; a socket that is left there is removed.

    Raises OSError if it cannot be bound.
    """
    if not path.startswith("\0"):  # Linux has names that are no files
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.stat(path).st_mode):
                os.remove(path)
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.bind(path)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock


class SocketFile:
    """The file of a Unix socket, just bound: ``close`` removes it if it is still the same."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._identity = self._look()

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)
        except (OSError, ValueError):  # none, or a name that is no file
            return None
        return found.st_dev, found.st_ino

    def close(self) -> None:
        if self._identity is not None and self._look() == self._identity:
            self._identity = None
            with suppress(OSError):
                os.remove(self._path)


async def started(server: asyncio.Server) -> asyncio.Server:
    """Let a server accept connections and return it; cancelled, it is closed."""
    try:
        await server.start_serving()
    except BaseException:
        server.close()
        raise
    return server


def send_small_frames_at_once(sock: socket.socket) -> None:
    """Let nothing wait for the peer to acknowledge what went before, neither on what it accepts."""
    # asyncio does this itself only for sockets made with an explicit protocol number.
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):  # the peer has gone already
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
