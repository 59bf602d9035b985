"""Listening sockets: one for each address that a server's hosts have, or one with a path."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

__all__ = [
    "Address",
    "SocketFile",
    "bind",
    "bind_unix",
    "hosts_of",
    "listen",
    "resolve",
    "send_small_frames_at_once",
    "set_user_timeout",
    "started",
]

_STREAM: Final = socket.SOCK_STREAM
_PASSIVE: Final = socket.AI_PASSIVE


# A family, and an address in it.
Address = tuple[int, Any]


async def bind(
    hosts: Sequence[str | None], port: int, reuse_port: bool | None, backlog: int
) -> list[socket.socket]:
    """Return sockets that listen on ``port`` of each host, of all addresses here for None.

    Raises OSError if one of them cannot be bound: then none is left.
    """
    loop = asyncio.get_running_loop()
    found: list[Any] = []
    for each in hosts:
        found += await loop.getaddrinfo(each, port, type=_STREAM, flags=_PASSIVE)
    return listen(_addresses(found), bool(reuse_port), backlog)


def resolve(host: str | Sequence[str] | None, port: int) -> list[Address]:
    """Return the addresses of ``port`` on each host, as ``bind`` does, without an event loop."""
    found: list[Any] = []
    for each in hosts_of(host):
        found += socket.getaddrinfo(each, port, type=_STREAM, flags=_PASSIVE)
    return _addresses(found)


def hosts_of(host: str | Sequence[str] | None) -> list[str | None]:
    """Return the hosts one by one; raises ValueError for an empty one, which may be a mistake."""
    hosts: list[str | None] = [host] if host is None or isinstance(host, str) else list(host)
    if "" in hosts:
        raise ValueError("host is empty: None is for all addresses")
    return hosts


def _addresses(found: Sequence[Any]) -> list[Address]:
    """Return each address among the results of ``getaddrinfo`` once."""
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def listen(addresses: Sequence[Address], reuse_port: bool, backlog: int) -> list[socket.socket]:
    """Return sockets that listen, one for each address that the kernel knows the family of.

    Raises OSError if one of them cannot be bound: then none is left.
    """
    socks: list[socket.socket] = []
    unsupported: OSError | None = None
    try:
        for family, address in addresses:
            try:
                sock = socket.create_server(
                    address, family=family, backlog=backlog, reuse_port=reuse_port
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
    if path.startswith("\0"):  # Linux has names that are no files
        return
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(os.stat(path).st_mode):
            with socket.socket(socket.AF_UNIX) as probe:
                error = probe.connect_ex(path)
            if error == errno.ECONNREFUSED:
                os.unlink(path)


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


def set_user_timeout(sock: socket.socket, send_timeout: float | None) -> None:
    """Let the system end the connections of peers that acknowledge nothing (RFC 5482).

    That is for those that nobody above can blame, since nothing is read from them. It leaves the
    timeout above twice its time, and half a minute at least.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is None or send_timeout is None or sock.family == getattr(socket, "AF_UNIX", None):
        return
    with suppress(OSError):  # the peer has gone already
        sock.setsockopt(socket.IPPROTO_TCP, option, int(1000 * max(2 * send_timeout, 30)))
