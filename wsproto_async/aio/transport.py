"""Sockets get transports.

In the compiled build ``transport.pyx`` takes the place of this file, with a transport of our own
for what is not encrypted.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .bind import send_small_frames_at_once, started

if TYPE_CHECKING:
    from .protocol import WebSocketProtocol

__all__ = ["accept_on", "attach"]


async def accept_on(
    sock: socket.socket,
    make_protocol: Callable[[], WebSocketProtocol],
    backlog: int,
    tls: dict[str, Any],
) -> asyncio.AbstractServer:
    """Accept connections on a bound stream socket, over TLS if ``tls`` says how.

    The socket is closed by the ``close`` of what this returns.
    """
    send_small_frames_at_once(sock)
    loop = asyncio.get_running_loop()
    return await started(
        await loop.create_server(
            make_protocol, sock=sock, backlog=backlog, start_serving=False, **tls
        )
    )


async def attach(sock: socket.socket, protocol: WebSocketProtocol, tls: dict[str, Any]) -> None:
    """Give ``protocol`` a transport on a connected stream socket, over TLS if ``tls`` says how.

    The socket is closed with the transport.
    """
    send_small_frames_at_once(sock)
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: protocol, sock=sock, **tls)
