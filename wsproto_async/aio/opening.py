"""One attempt to open a client's connection: connect the transport, perform the handshake."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ..exceptions import HandshakeError, InvalidStatus
from ..handshake.http11 import Request, Response
from ..sansio.client import ClientConnection
from .protocol import ProtocolCore, WebSocketProtocol
from .settings import Settings

__all__ = ["open_connection", "unfinished_refusal"]


class _Opening:
    """Waits for the end of the opening handshake: the owner of a client's protocol."""

    def __init__(self) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.protocol: ProtocolCore | None = None

    def connection_made(self, protocol: ProtocolCore) -> None:
        assert isinstance(protocol.connection, ClientConnection)
        protocol.connection.send_request()
        self.protocol = protocol

    def handshake_received(self, protocol: ProtocolCore, message: Request | Response) -> None:
        protocol.handshake_completed()
        if not self.done.done():
            self.done.set_result(None)

    def handshake_failed(self, protocol: ProtocolCore) -> None:
        error = protocol.connection.error or HandshakeError("connection closed by the server")
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # connect() may have been cancelled meanwhile

    def handshake_expired(self, protocol: ProtocolCore) -> None:
        """connect() has its own, total deadline."""

    def connection_lost(self, protocol: ProtocolCore) -> None:
        """The handshake has failed before this, or was over."""


async def open_connection(
    connection: ClientConnection,
    settings: Settings,
    connect_transport: Callable[[WebSocketProtocol], Awaitable[None]],
) -> WebSocketProtocol:
    """Return the protocol of a connection that is open.

    ``connect_transport`` gives it a transport. Raises what that raises, and HandshakeError.
    Cancelled or failed, it leaves nothing behind.
    """
    opening = _Opening()
    protocol = WebSocketProtocol(opening, connection, settings, asyncio.get_running_loop())
    try:
        await connect_transport(protocol)
        await opening.done
    except BaseException:
        if opening.protocol is not None:
            protocol.abort()
        raise
    return protocol


def unfinished_refusal(connection: ClientConnection) -> InvalidStatus | None:
    """Return the refusal of which all but the end of the body has come; None if there is none.

    The connection has been aborted.
    """
    connection.receive_eof()
    connection.next_event()
    return connection.error if isinstance(connection.error, InvalidStatus) else None
