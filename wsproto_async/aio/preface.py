"""The PROXY header, which comes before all else: before TLS, and before the request."""

from __future__ import annotations

import asyncio
from typing import cast

from ..exceptions import InvalidMessage
from ..handshake.forwarded import TrustedProxies
from ..handshake.proxy_protocol import ProxyHeaderReader
from .address import host_of
from .log import who
from .protocol import ProtocolCore
from .stream import StreamProtocol

__all__ = ["Preface"]


class Preface(StreamProtocol, asyncio.BufferedProtocol):
    """Reads the header and leaves the transport to ``lower``, ``protocol`` itself or what is below.

    ``lower`` has its connection from the beginning, so that its deadline runs. Who is not in
    ``proxies``, or sends no such header, is hung up on.
    """

    __slots__ = ("_lower", "_protocol", "_proxies", "_reader", "_transport")

    _transport: asyncio.Transport

    def __init__(
        self, protocol: ProtocolCore, lower: StreamProtocol, proxies: TrustedProxies
    ) -> None:
        super().__init__(protocol.loop)
        self._protocol = protocol
        self._lower = lower
        self._proxies = proxies
        self._reader = ProxyHeaderReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._lower.connection_made(transport)
        host = host_of(transport.get_extra_info("peername"))
        if host not in self._proxies:
            self._hang_up(f"{host} is none of the trusted proxies")

    def buffer_updated(self, nbytes: int) -> None:
        if self._transport.is_closing():
            return
        try:
            if not self._reader.feed(bytes(self._inbox.view[:nbytes])):
                return
        except InvalidMessage as exc:
            self._hang_up(str(exc))
            return
        self._protocol.client_address = self._reader.client
        rest = self._reader.rest
        self._transport.set_protocol(cast(asyncio.BufferedProtocol, self._lower))
        if rest:
            self._inbox.view[: len(rest)] = rest
            self._lower.buffer_updated(len(rest))

    def _hang_up(self, why: str) -> None:
        self._protocol.settings.log.debug("handshake failed: %s %s", who(self._protocol), why)
        self._transport.abort()

    def eof_received(self) -> None:
        self._lower.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lower.connection_lost(exc)

    def pause_writing(self) -> None:
        self._lower.pause_writing()

    def resume_writing(self) -> None:
        self._lower.resume_writing()
