"""connect() and unix_connect(): the client."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl as ssl_module
from collections.abc import AsyncIterator, Generator, Sequence
from functools import partial
from socket import socket
from types import TracebackType
from typing import Any, Literal

from ..exceptions import InvalidRedirect, InvalidStatus
from ..extensions.base import Extension
from ..handshake.headers import Headers, HeadersLike
from ..handshake.proxy import parse_proxy, system_proxy
from ..handshake.redirect import MAX_REDIRECTS, follow_redirect, is_redirect, public_headers
from ..handshake.uri import WebSocketURI, parse_uri
from ..sansio.client import ClientConnection
from .attach import ClientTLS, attach_client
from .backoff import Backoff
from .bind import set_user_timeout
from .dial import dial, dial_unix
from .log import Log, LoggerLike
from .opening import open_connection, unfinished_refusal
from .protocol import WebSocketProtocol
from .proxy import connect_through
from .reconnect import ProcessException, is_transient, reconnect
from .settings import Compression, Settings, all_extensions, all_of, check_limit, check_timeout
from .websocket import WebSocket

__all__ = ["connect", "unix_connect"]


class connect:
    """Connect to a server: ``async with connect(uri) as ws`` or ``ws = await connect(uri)``.

    The context manager closes the connection at its end, with 1000, or 1011 if an exception
    leaves it.

    ``async for ws in connect(uri)`` connects again whenever the loop's body comes to its end, or
    says ``continue`` after a :exc:`ConnectionClosed`; the connection before is closed first. It
    waits in between: any time up to a ceiling that doubles from 1 to 60 seconds, and is low again
    after a connection that lasted half a minute; not before the time that the server asks for,
    by Retry-After or the close codes 1012 and 1013. Break off with ``break``; an exception in the
    body ends the loop too, but closes the connection only once nothing refers to it any more.

    - ``uri``: ``ws:`` or ``wss:``; a user and a password in it become Basic authentication.
    - ``ssl``: an :class:`ssl.SSLContext` for ``wss:``; by default the system's certificates and
      the host name are checked.
    - ``subprotocols``: those offered, the most preferred first; ``ws.subprotocol`` is the choice.
    - ``compression``, ``extensions``: as for :func:`serve`, those offered.
    - ``origin``: the value of Origin, for servers that ask for it.
    - ``additional_headers``: a mapping or pairs, sent with the request, in place of ours of the
      same name.
    - ``user_agent_header``: the value of User-Agent; None for none.
    - ``proxy``: True, the default, takes the one that the environment names (``wss_proxy`` or
      ``https_proxy`` for ``wss:``, ``ws_proxy`` or ``http_proxy`` for ``ws:``, else ``all_proxy``,
      and ``no_proxy``); None connects directly; a URI of scheme ``http``, ``https``, ``socks4``,
      ``socks4a``, ``socks5`` or ``socks5h`` names one. SOCKS needs the extra ``socks``.
    - ``sock``: a connected socket to use; ``local_addr``: ``(host, port)`` to connect from.
    - ``open_timeout``: seconds for everything until the connection is open, 10: names,
      addresses, proxy, TLS, redirects.
    - ``process_exception(error)``: for ``async for`` alone, called when an attempt fails: returns
      None to go on, or the exception to raise. By default a network that fails, and the statuses
      429, 500, 502, 503 and 504, are worth another attempt.
    - ``close_timeout``, ``ping_interval``, ``ping_timeout``, ``send_timeout``,
      ``frame_timeout``, ``max_size``, ``max_fragments``, ``read_limit``, ``write_limit``,
      ``logger``: as for :func:`serve`.

    Up to 5 redirects are followed, none from ``wss:`` to ``ws:``, and none if ``sock`` is given or
    on a Unix socket. Credentials, cookies and a Host of the caller's stay with their origin.

    Raises ValueError for a bad URI, header or limit, OSError if the network fails, TimeoutError
    after ``open_timeout``, and HandshakeError if the server does not open the connection, as
    InvalidStatus if it answered so, of whose body ``open_timeout`` may cut off the end.
    Cancelling leaves nothing behind.
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
        proxy: str | Literal[True] | None = True,
        sock: socket | None = None,
        local_addr: tuple[str, int] | None = None,
        open_timeout: float | None = 10,
        process_exception: ProcessException = is_transient,
        close_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        send_timeout: float | None = 20,
        frame_timeout: float | None = 20,
        max_size: int | None = 2**20,
        max_fragments: int | None = 2**14,
        read_limit: int = 2**18,
        write_limit: int = 2**16,
        logger: LoggerLike | None = None,
    ) -> None:
        self._uri = parse_uri(uri)
        if ssl is not None and not self._uri.secure:
            raise ValueError("ssl is for wss: URIs")
        self._headers = Headers(additional_headers)
        self._make_connection = partial(
            ClientConnection,
            subprotocols=all_of(subprotocols),
            extensions=all_extensions(extensions, compression),
            origin=origin,
            user_agent_header=user_agent_header,
            max_size=max_size,
            max_fragments=max_fragments,
        )
        check_limit("max_size", max_size)
        check_limit("max_fragments", max_fragments, 1)
        check_timeout("open_timeout", open_timeout)
        self._open_timeout = open_timeout
        self._settings = Settings(
            open_timeout=None,
            close_timeout=close_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            send_timeout=send_timeout,
            frame_timeout=frame_timeout,
            read_limit=read_limit,
            write_limit=write_limit,
            log=Log(logging.getLogger("wsproto_async.client") if logger is None else logger),
        )
        self._proxy = parse_proxy(proxy) if isinstance(proxy, str) else proxy
        self._process_exception = process_exception
        self._ssl = ssl
        self._sock = sock
        self._local_addr = local_addr
        self._follows_redirects = sock is None
        self._ws: WebSocket | None = None

    def _tls(self, uri: WebSocketURI) -> ClientTLS | None:
        if not uri.secure:
            return None
        if self._ssl is None:
            self._ssl = ssl_module.create_default_context()
        return ClientTLS(self._ssl, uri.host)

    async def _connect_transport(self, uri: WebSocketURI, protocol: WebSocketProtocol) -> None:
        tls = self._tls(uri)
        sock = self._sock
        if sock is None:
            proxy = system_proxy(uri) if self._proxy is True else self._proxy
            if proxy is not None:
                await connect_through(proxy, uri, protocol, tls, self._local_addr)
                return
            sock = await dial(uri.host, uri.port, self._local_addr)
        set_user_timeout(sock, self._settings.send_timeout)
        await attach_client(sock, protocol, tls)

    async def _open(self) -> WebSocket:
        attempts: list[ClientConnection] = []
        try:
            async with asyncio.timeout(self._open_timeout) as timer:
                return await self._open_following_redirects(attempts)
        except TimeoutError:
            if not timer.expired():
                raise
            if attempts and (refusal := unfinished_refusal(attempts[-1])):
                raise refusal from None
            message = f"opening handshake took over {self._open_timeout:g} s"
            raise TimeoutError(message) from None

    async def _open_following_redirects(self, attempts: list[ClientConnection]) -> WebSocket:
        uri, headers = self._uri, self._headers
        redirects = 0
        while True:
            connection = self._make_connection(uri, additional_headers=headers)
            attempts.append(connection)
            connect_transport = partial(self._connect_transport, uri)
            try:
                return WebSocket(
                    await open_connection(connection, self._settings, connect_transport)
                )
            except InvalidStatus as exc:
                if not self._follows_redirects or not is_redirect(exc):
                    raise
                redirects += 1
                if redirects > MAX_REDIRECTS:
                    where = f"more than {MAX_REDIRECTS} times"
                    raise InvalidRedirect(exc.response, where) from None
                target = follow_redirect(uri, exc)
            if target.origin != uri.origin:
                headers = public_headers(headers)
            uri = target

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

    def __aiter__(self) -> AsyncIterator[WebSocket]:
        return reconnect(
            self._open,
            self._process_exception,
            self._uri.authority,
            self._settings.log,
            Backoff(),
        )


class unix_connect(connect):
    """Connect to a server on a Unix socket at ``path``; all else as for :func:`connect`.

    ``uri`` gives the Host header and the requested path.
    """

    def __init__(
        self, path: str | os.PathLike[str], uri: str = "ws://localhost/", **options: Any
    ) -> None:
        super().__init__(uri, **options)
        self._path = os.fspath(path)
        self._follows_redirects = False

    async def _connect_transport(self, uri: WebSocketURI, protocol: WebSocketProtocol) -> None:
        await attach_client(await dial_unix(self._path), protocol, self._tls(uri))
