"""Sockets get transports.

In the compiled build ``transport.pyx`` takes the place of this file, with a transport of our own.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final, cast

from .bind import send_small_frames_at_once
from .stream import StreamProtocol

__all__ = ["accept", "attach"]

_starting: Final[set[asyncio.Task[None]]] = set()


async def attach(sock: socket.socket, protocol: StreamProtocol) -> None:
    """Give ``protocol`` a transport on a connected stream socket.

    The socket is closed with the transport.
    """
    send_small_frames_at_once(sock)
    await protocol.loop.create_connection(lambda: cast(asyncio.Protocol, protocol), sock=sock)


def accept(sock: socket.socket, make: Callable[[], StreamProtocol]) -> int:
    """Accept a connection on a listening socket, and soon give ``make()`` a transport for it.

    Returns the number of the error if there is none to accept, else 0.
    """
    try:
        accepted, _address = sock.accept()
    except OSError as exc:
        return exc.errno or -1
    accepted.setblocking(False)
    protocol = make()
    task = protocol.loop.create_task(_start(accepted, protocol))
    _starting.add(task)  # the loop keeps no task alive
    task.add_done_callback(_starting.discard)
    return 0


async def _start(sock: socket.socket, protocol: StreamProtocol) -> None:
    try:
        await protocol.loop.connect_accepted_socket(lambda: cast(asyncio.Protocol, protocol), sock)
    except OSError:  # the peer has gone already, or there is no room to watch the socket
        sock.close()
