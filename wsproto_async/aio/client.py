"""connect() and unix_connect(): the client."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl as ssl_module
from collections.abc import Generator, Sequence
from functools import partial
from socket import socket
from types import TracebackType
from typing import Any

from ..exceptions import HandshakeError
from ..extensions.base import Extension
from ..handshake.headers import HeadersLike
from ..handshake.http11 import Request, Response
from ..handshake.uri import parse_uri
from ..sansio.client import ClientConnection
from .protocol import WebSocketProtocol
from .settings import Compression, LoggerLike, Settings, all_extensions, check_timeout
from .websocket import WebSocket

__all__ = ["connect", "unix_connect"]


class _Opening:
    """Waits for the end of the opening handshake: the owner of a client's protocol."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.protocol: WebSocketProtocol | None = None

    def connection_made(self, protocol: WebSocketProtocol) -> None:
        assert isinstance(protocol.connection, ClientConnection)
        protocol.connection.send_request()
        self.protocol = protocol

    def handshake_received(self, protocol: WebSocketProtocol, message: Request | Response) -> None:
        protocol.handshake_completed()
        if not self.done.done():
            self.done.set_result(None)

    def handshake_failed(self, protocol: WebSocketProtocol) -> None:
        error = protocol.connection.error or HandshakeError("connection closed by the server")
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # connect() may have been cancelled meanwhile

    def handshake_expired(self, protocol: WebSocketProtocol) -> None:
        """connect() has its own, total deadline."""

    def connection_lost(self, protocol: WebSocketProtocol) -> None:
        """The handshake has failed before this, or was over."""


class connect:
    """Connect to a server: ``async with connect(uri) as ws`` or ``ws = await connect(uri)``.

    The context manager closes the connection at its end, with 1000, or 1011 if an exception
    leaves it.

    - ``uri``: ``ws:`` or ``wss:``; a user and a password in it become Basic authentication.
    - ``ssl``: an :class:`ssl.SSLContext` for ``wss:``; by default the system's certificates and
      the host name are checked.
    - ``subprotocols``: those offered, the most preferred first; ``ws.subprotocol`` is the choice.
    - ``compression``, ``extensions``: as for :func:`serve`, those offered.
    - ``origin``: the value of Origin, for servers that ask for it.
    - ``additional_headers``: a mapping or pairs, sent with the request, in place of ours of the
      same name.
    - ``user_agent_header``: the value of User-Agent; None for none.
    - ``sock``: a connected socket to use; ``local_addr``: ``(host, port)`` to connect from.
    - ``open_timeout``: seconds for everything until the connection is open, 10.
    - ``close_timeout``, ``ping_interval``, ``ping_timeout``, ``max_size``, ``max_fragments``,
      ``read_limit``, ``write_limit``, ``logger``: as for :func:`serve`.

    Raises ValueError for a bad URI or header, OSError if the network fails, TimeoutError after
    ``open_timeout``, and HandshakeError if the server does not open the connection, as
    InvalidStatus if it answered so. Cancelling leaves nothing behind.
    """

    def __init__(
        self,
        uri: str,
        *,
        ssl: ssl_module.SSLContext | None = None,
        subprotocols: Sequence[str] = (),
        compression: Compression = "deflate",
        extensions: Sequence[Extension] = (),
        origin: str | None = None,
        additional_headers: HeadersLike = (),
        user_agent_header: str | None = "wsproto_async",
        sock: socket | None = None,
        local_addr: tuple[str, int] | None = None,
        open_timeout: float | None = 10,
        close_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        max_size: int | None = 2**20,
        max_fragments: int | None = 2**14,
        read_limit: int = 2**18,
        write_limit: int = 2**16,
        logger: LoggerLike | None = None,
    ) -> None:
        self._uri = parse_uri(uri)
        if ssl is not None and not self._uri.secure:
            raise ValueError("ssl is for wss: URIs")
        self._make_connection = partial(
            ClientConnection,
            self._uri,
            subprotocols=subprotocols,
            extensions=all_extensions(extensions, compression),
            origin=origin,
            additional_headers=additional_headers,
            user_agent_header=user_agent_header,
            max_size=max_size,
            max_fragments=max_fragments,
        )
        check_timeout("open_timeout", open_timeout)
        self._open_timeout = open_timeout
        self._settings = Settings(
            open_timeout=None,
            close_timeout=close_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            read_limit=read_limit,
            write_limit=write_limit,
            logger=logging.getLogger("wsproto_async.client") if logger is None else logger,
        )
        self._tls: dict[str, Any] = {}
        if self._uri.secure:
            self._tls = {
                "ssl": ssl_module.create_default_context() if ssl is None else ssl,
                "server_hostname": self._uri.host,
                "ssl_shutdown_timeout": close_timeout,
            }
        self._sock = sock
        self._local_addr = local_addr
        self._ws: WebSocket | None = None

    async def _create_connection(self, protocol: WebSocketProtocol) -> None:
        loop = asyncio.get_running_loop()
        if self._sock is not None:
            await loop.create_connection(lambda: protocol, sock=self._sock, **self._tls)
        else:
            await loop.create_connection(
                lambda: protocol,
                self._uri.host,
                self._uri.port,
                local_addr=self._local_addr,
                **self._tls,
            )

    async def _open(self) -> WebSocket:
        opening = _Opening()
        loop = asyncio.get_running_loop()
        protocol = WebSocketProtocol(opening, self._make_connection(), self._settings, loop)
        try:
            async with asyncio.timeout(self._open_timeout) as timer:
                await self._create_connection(protocol)
                await opening.done
        except BaseException as exc:
            if opening.protocol is not None:
                protocol.abort()
            if isinstance(exc, TimeoutError) and timer.expired():
                message = f"opening handshake took over {self._open_timeout:g} s"
                raise TimeoutError(message) from None
            raise
        return WebSocket(protocol)

    def __await__(self) -> Generator[Any, None, WebSocket]:
        return self._open().__await__()

    async def __aenter__(self) -> WebSocket:
        self._ws = await self._open()
        return self._ws

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._ws is not None
        await self._ws.__aexit__(exc_type, exc, traceback)


class unix_connect(connect):
    """Connect to a server on a Unix socket at ``path``; all else as for :func:`connect`.

    ``uri`` gives the Host header and the requested path.
    """

    def __init__(
        self, path: str | os.PathLike[str], uri: str = "ws://localhost/", **options: Any
    ) -> None:
        super().__init__(uri, **options)
        self._path = os.fspath(path)

    async def _create_connection(self, protocol: WebSocketProtocol) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: protocol, self._path, **self._tls)
