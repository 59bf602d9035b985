"""A client's protocol gets its transport: on a socket or on another transport, over TLS or not."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import NamedTuple

from .stream import StreamProtocol
from .tls import TLSTransport
from .transport import attach

__all__ = ["ClientTLS", "attach_client", "begin_tls"]


class ClientTLS(NamedTuple):
    """How a client begins TLS."""

    context: ssl.SSLContext
    server_hostname: str


async def attach_client(
    sock: socket.socket, protocol: StreamProtocol, tls: ClientTLS | None
) -> None:
    """Give a client's ``protocol`` a transport on a connected stream socket, over ``tls`` if given.

    The socket is closed with the transport. Raises OSError for a TLS handshake that fails, of
    which ssl.SSLError is one.
    """
    if tls is None:
        await attach(sock, protocol)
        return
    lower = _client_transport(protocol, tls)
    await attach(sock, lower)
    await _opened(lower)


async def begin_tls(transport: asyncio.Transport, protocol: StreamProtocol, tls: ClientTLS) -> None:
    """Give a client's ``protocol`` a transport over one that has paused reading.

    Raises what ``attach_client`` does.
    """
    lower = _client_transport(protocol, tls)
    transport.set_protocol(lower)
    lower.connection_made(transport)
    transport.resume_reading()
    await _opened(lower)


def _client_transport(protocol: StreamProtocol, tls: ClientTLS) -> TLSTransport:
    return TLSTransport(protocol, tls.context, tls.server_hostname, protocol.loop.create_future())


async def _opened(transport: TLSTransport) -> None:
    assert transport.opened is not None
    try:
        await transport.opened
    except BaseException:
        transport.abort()
        raise
