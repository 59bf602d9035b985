"""Through a proxy to a connection: CONNECT for HTTP proxies, python-socks for SOCKS.

Laws: the tunnel's bytes begin where the proxy's answer ends, none is lost. Neither side's
credentials reach the other.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import cast

from ..exceptions import ProxyError
from ..handshake.proxy import AnswerReader, ProxyURI, build_connect_request
from ..handshake.uri import WebSocketURI
from .attach import ClientTLS, attach_client, begin_tls
from .dial import dial
from .protocol import WebSocketProtocol
from .stream import StreamProtocol

__all__ = ["connect_socks", "connect_through"]

_NO_TIMEOUT = 1e9  # seconds: python-socks wants a number; connect() has the timeout


async def connect_through(
    proxy: ProxyURI,
    uri: WebSocketURI,
    protocol: WebSocketProtocol,
    tls: ClientTLS | None,
    local_addr: tuple[str, int] | None,
) -> None:
    """Connect ``protocol`` to the server of ``uri``, over TLS if ``tls`` says how.

    Raises OSError if the proxy cannot be reached, and ProxyError.
    """
    if proxy.is_socks:
        await attach_client(await connect_socks(proxy, uri, local_addr), protocol, tls)
    else:
        await _connect_through_http(proxy, uri, protocol, tls, local_addr)


async def connect_socks(
    proxy: ProxyURI, uri: WebSocketURI, local_addr: tuple[str, int] | None
) -> socket.socket:
    """Return a socket that a SOCKS proxy has connected to the server of ``uri``.

    Raises as ``connect_through`` does, and ImportError without the extra ``socks``.
    """
    try:
        import python_socks
        from python_socks.async_.asyncio import Proxy
    except ImportError:
        raise ImportError("SOCKS proxies need the extra wsproto_async[socks]") from None
    kind = python_socks.ProxyType.SOCKS5 if "5" in proxy.scheme else python_socks.ProxyType.SOCKS4
    user, password = proxy.credentials or (None, None)
    client = Proxy(kind, proxy.host, proxy.port, user, password, rdns=proxy.resolves)
    try:
        return await client.connect(uri.host, uri.port, timeout=_NO_TIMEOUT, local_addr=local_addr)
    except python_socks.ProxyError as exc:
        raise ProxyError(f"SOCKS proxy: {exc}") from exc


async def _connect_through_http(
    proxy: ProxyURI,
    uri: WebSocketURI,
    protocol: WebSocketProtocol,
    tls: ClientTLS | None,
    local_addr: tuple[str, int] | None,
) -> None:
    to_proxy: ClientTLS | None = None
    if proxy.scheme == "https":
        to_proxy = ClientTLS(ssl.create_default_context(), proxy.host)
    tunnel = _Tunnel(build_connect_request(proxy, uri), protocol.loop)
    sock = await dial(proxy.host, proxy.port, local_addr)
    await attach_client(sock, tunnel, to_proxy)
    transport = tunnel.transport
    try:
        await tunnel.opened
        # The tunnel is told of a loss that comes before this, and nobody would tell the protocol.
        if transport.is_closing():
            raise _closed_by_proxy()
        if tls is not None:
            if tunnel.rest:  # a TLS server waits for the client to begin
                raise ProxyError("proxy sent more than its answer to CONNECT")
            await begin_tls(transport, protocol, tls)
            return
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if tunnel.rest:
            protocol.data_received(tunnel.rest)
        transport.resume_reading()
    except BaseException:
        transport.abort()
        raise


def _closed_by_proxy(cause: Exception | None = None) -> ProxyError:
    error = ProxyError("connection closed by the proxy")
    error.__cause__ = cause or ConnectionError("end of stream")
    return error


class _Tunnel(StreamProtocol, asyncio.BufferedProtocol):
    """Asks for a tunnel; once it is ``opened``, ``rest`` is what has come through it."""

    transport: asyncio.Transport

    def __init__(self, request: bytes, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._request = request
        self._answer = AnswerReader()
        self.opened: asyncio.Future[None] = loop.create_future()
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(self._request)

    def buffer_updated(self, nbytes: int) -> None:
        self._answer.feed(bytes(self.get_buffer(nbytes)[:nbytes]))
        try:
            rest = self._answer.read()
        except ProxyError as exc:
            self._fail(exc)
            self.transport.close()
            return
        if rest is not None:
            self.transport.pause_reading()  # until the tunnel's protocol is there
            self.rest = rest
            if not self.opened.done():
                self.opened.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(_closed_by_proxy(exc))

    def _fail(self, error: ProxyError) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)
            self.opened.exception()  # connect() may have been cancelled meanwhile
