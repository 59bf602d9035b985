"""From a host name to a connected socket: its addresses are tried in turn, not one after another.

A black hole among them costs a quarter of a second, not the whole timeout (RFC 8305). Whatever
the end, cancelled or not, one socket at most is left open: the one that is returned.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from itertools import chain, zip_longest
from typing import Any, Final

__all__ = ["connect_first", "dial", "dial_unix"]

_HEAD_START: Final = 0.25  # seconds before the next address is tried as well

Address = tuple[Any, ...]  # what getaddrinfo gives: family, type, protocol, name, address


async def dial(host: str, port: int, local_addr: tuple[str, int] | None = None) -> socket.socket:
    """Return a non-blocking socket that is connected to ``host``.

    Raises OSError if no address can be connected to.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return await connect_first(found, local_addr)


async def dial_unix(path: str) -> socket.socket:
    """Return a non-blocking socket that is connected to the Unix socket at ``path``.

    Raises OSError if it cannot be connected to.
    """
    return await _connect((socket.AF_UNIX, socket.SOCK_STREAM, 0, "", path), None)


async def connect_first(
    addresses: list[Address], local_addr: tuple[str, int] | None = None
) -> socket.socket:
    """Return a socket that is connected to one of ``addresses``, the first ones preferred."""
    loop = asyncio.get_running_loop()
    waiting = deque(_alternate_families(addresses))
    attempts: list[asyncio.Task[socket.socket]] = []
    errors: list[OSError] = []
    sock: socket.socket | None = None
    try:
        while waiting or attempts:
            if waiting:
                attempts.append(loop.create_task(_connect(waiting.popleft(), local_addr)))
            await asyncio.wait(
                attempts,
                timeout=_HEAD_START if waiting else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in [attempt for attempt in attempts if attempt.done()]:
                attempts.remove(attempt)
                try:
                    sock = attempt.result()
                    return sock
                except OSError as exc:
                    errors.append(exc)
        if len(set(map(type, errors))) == 1:
            raise errors[0]
        raise OSError("; ".join(map(str, errors)))
    finally:
        try:
            await _abandon(attempts)
        except BaseException:  # it takes the place of the return
            if sock is not None:
                sock.close()
            raise


async def _abandon(attempts: list[asyncio.Task[socket.socket]]) -> None:
    for attempt in attempts:
        attempt.cancel()
        attempt.add_done_callback(_close_socket)  # also if the wait is cancelled
    await asyncio.gather(*attempts, return_exceptions=True)


def _close_socket(attempt: asyncio.Task[socket.socket]) -> None:
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


def _alternate_families(addresses: list[Address]) -> list[Address]:
    """Return the addresses with IPv6 and IPv4 in turn, beginning with the first one's."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return [each for each in chain(*zip_longest(first, others)) if each is not None]


async def _connect(address: Address, local_addr: tuple[str, int] | None) -> socket.socket:
    loop = asyncio.get_running_loop()
    family, kind, protocol, _, name = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        if local_addr is not None:
            local = await loop.getaddrinfo(*local_addr, family=family, type=kind)
            sock.bind(local[0][4])
        await loop.sock_connect(sock, name)
    except BaseException:
        sock.close()
        raise
    return sock
