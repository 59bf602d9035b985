"""A server in memory: all of serve() and connect() but the network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from ..aio import client as aio_client
from ..aio.protocol import ProtocolCore, WebSocketProtocol
from ..aio.serve import serve
from ..aio.server import Handler, Server
from ..aio.websocket import WebSocket
from ..handshake.uri import WebSocketURI
from .failures import Failures
from .link import Link

__all__ = [
    "GRACE",
    "MemoryConnect",
    "MemoryServer",
    "Pair",
    "serve_in_memory",
    "serve_unwatched",
]

GRACE: Final = 1.0  # seconds for handlers that do not end by themselves
_OF_NETWORKS: Final = frozenset(
    {
        *("port", "host", "sock", "ssl", "reuse_port", "backlog", "proxy_protocol"),
        *("proxy", "local_addr"),
    }
)


class Pair:
    """A client and a server that are connected in memory: ``client, server = pair``."""

    def __init__(self, client: WebSocket, server: WebSocket, link: Link) -> None:
        self.client = client
        """The client's ``WebSocket``."""
        self.server = server
        """The server's, which its handler has as well."""
        self.link = link
        """The :class:`Link` between them."""

    def __iter__(self) -> Iterator[WebSocket]:
        return iter((self.client, self.server))


class MemoryServer:
    """A server that is reached by ``connect`` of its own, made by :func:`serve_in_memory`."""

    def __init__(self, server: Server, waiting: dict[ProtocolCore, WebSocket | None]) -> None:
        self.server = server
        """The ``Server``: its connections, topics and numbers."""
        self._waiting = waiting
        self._loop = asyncio.get_running_loop()

    @asynccontextmanager
    async def connect(
        self, uri: str = "ws://localhost/", *, link: Link | None = None, **options: Any
    ) -> AsyncIterator[Pair]:
        """Connect a client: ``async with server.connect() as (client, server)``.

        - ``uri``: gives the Host header and the requested path.
        - ``link``: one that has faults from the beginning; a new one by default.
        - ``options``: all else that ``connect`` takes, but for what is about networks.

        At the end the client closes with 1000, which the handler has a second to answer. With an
        exception, or if not all arrives, the link is cut at once: no test waits for timeouts.

        Raises what ``connect`` raises, ConnectionRefusedError if the server is closed, TypeError
        for an option of networks, and RuntimeError for a link that was used before, and in another
        event loop than the server's.
        """
        link = Link() if link is None else link
        accepted: WebSocketProtocol | None = None

        def join(client: WebSocketProtocol) -> None:
            nonlocal accepted
            accepted = self._join(client, link)
            self._waiting[accepted] = None

        try:
            client = await MemoryConnect(uri, join, **options)
            assert accepted is not None
            server = self._waiting[accepted]
            assert server is not None
            yield Pair(client, server, link)
            if link.is_whole:
                with suppress(TimeoutError):
                    async with asyncio.timeout(GRACE):
                        await client.close()
        finally:
            if accepted is not None:
                link.cut()
                del self._waiting[accepted]
                while not accepted.is_lost:  # noqa: ASYNC110 - its last callback is on its way
                    await asyncio.sleep(0)

    def connector(
        self, uri: str = "ws://localhost/", *, link: Callable[[], Link] = Link, **options: Any
    ) -> aio_client.connect:
        """Return what ``connect`` does, for this server: for clients that connect by themselves.

        ``async for ws in server.connector()`` connects again and again. Whoever connects closes.

        - ``link``: called for each connection, returns its :class:`Link`; raises OSError for a
          network that is not there.
        - ``uri``, ``options``: as for :meth:`connect`, which raises the same.
        """
        return MemoryConnect(uri, lambda client: self._join(client, link()), **options)

    def _join(self, client: WebSocketProtocol, link: Link) -> WebSocketProtocol:
        """Connect a client's protocol, and return the server's."""
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError("the server in memory is in another event loop")
        if not self.server.is_serving():
            raise ConnectionRefusedError("the server in memory is closed")
        protocol = self.server.make_protocol()
        link.join(client, protocol)
        return protocol


@asynccontextmanager
async def serve_in_memory(handler: Handler, **options: Any) -> AsyncIterator[MemoryServer]:
    """Start a server without a network: ``async with serve_in_memory(handler) as server``.

    It is for more than one client; for one there is :func:`connected_pair`. ``options`` are those
    of ``serve``, but for what is about networks. At the end the server is closed, and handlers
    that are still running are cancelled a second later.

    Raises what ``serve`` raises, and TypeError for an option of networks; at the end what a handler
    has raised, but for ConnectionClosed, several of these as an ExceptionGroup.
    """
    failures = Failures()
    async with serve_unwatched(failures.watch(handler), **options) as server:
        yield server
    failures.raise_any()


@asynccontextmanager
async def serve_unwatched(handler: Handler, **options: Any) -> AsyncIterator[MemoryServer]:
    """Do what :func:`serve_in_memory` does, with handlers that may fail."""
    _refuse_networks(options)
    waiting: dict[ProtocolCore, WebSocket | None] = {}  # for their WebSockets

    async def run(ws: WebSocket) -> None:
        if ws._protocol in waiting:
            waiting[ws._protocol] = ws
        await handler(ws)

    server = await _MemoryServe(run, 0, **options)
    try:
        yield MemoryServer(server, waiting)
    finally:
        server.close(grace=GRACE)
        await server.wait_closed()


class _Listener:
    """What a server in memory listens with: nothing, until it is closed."""

    def close(self) -> None:
        """There is nothing to close."""


class _MemoryServe(serve):
    async def _listen(self, server: Server) -> None:
        server.listen_with(_Listener())


class MemoryConnect(aio_client.connect):
    """connect() that has the client's protocol joined to something by ``join``."""

    def __init__(
        self, uri: str, join: Callable[[WebSocketProtocol], object], **options: Any
    ) -> None:
        _refuse_networks(options)
        super().__init__(uri, proxy=None, **options)
        if self._uri.secure:
            raise ValueError("there is no TLS in memory: the URI has to be ws:")
        self._join = join
        self._follows_redirects = False

    async def _connect_transport(self, uri: WebSocketURI, protocol: WebSocketProtocol) -> None:
        self._join(protocol)


def _refuse_networks(options: dict[str, Any]) -> None:
    if wrong := sorted(_OF_NETWORKS & options.keys()):
        raise TypeError(f"in memory there is no network, and so no {', '.join(wrong)}")
