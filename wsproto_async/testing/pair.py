"""connected_pair(): one client and one server, connected in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any

from ..aio.server import Handler
from ..aio.websocket import WebSocket
from .link import Link
from .server import GRACE, Pair, serve_in_memory

__all__ = ["connected_pair"]


@asynccontextmanager
async def connected_pair(
    handler: Handler | None = None,
    *,
    uri: str = "ws://localhost/",
    link: Link | None = None,
    server_options: Mapping[str, Any] | None = None,
    client_options: Mapping[str, Any] | None = None,
) -> AsyncIterator[Pair]:
    """Connect a client and a server without a network: ``as (client, server)``, or ``as pair``.

    Everything but the network is what ``serve`` and ``connect`` use: the opening handshake
    and all its options, compression, limits, timeouts. It works on every event loop.

    - ``handler``: what the server runs, as ``serve`` would; ``server`` is the connection that
      it was given. None, the default, leaves the connection to the test.
    - ``uri``: gives the Host header and the requested path.
    - ``link``: a :class:`Link` that has faults from the beginning; ``pair.link`` is it, or a new
      one.
    - ``server_options``, ``client_options``: all that ``serve`` and ``connect`` take by
      name, but for what is about networks.

    At the end both are closed, with 1000 if the link is whole, else by cutting it; handlers that
    are still running are cancelled a second later.

    Raises what ``serve`` and ``connect`` raise, such as ``InvalidStatus`` if the server
    refuses the client, and TypeError for an option of networks; at the end what the handler has
    raised, but for ConnectionClosed.
    """
    async with (
        serve_in_memory(handler or WebSocket.wait_closed, **(server_options or {})) as server,
        server.connect(uri, link=link, **(client_options or {})) as pair,
    ):
        yield pair
        if handler is None and pair.link.is_whole:
            with suppress(TimeoutError):
                async with asyncio.timeout(GRACE):
                    await asyncio.gather(pair.client.close(), pair.server.close())
