"""broadcast(): one message for many connections, encoded and framed once for each kind of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ..sansio.state import OPEN
from .data import Data, encode_data
from .outbox import Policy
from .prepared import PreparedMessage
from .websocket import WebSocket

if TYPE_CHECKING:
    from .protocol import ProtocolCore

__all__ = ["broadcast"]


def broadcast(
    websockets: Iterable[WebSocket],
    message: Data,
    text: bool | None = None,
    compress: bool | None = None,
) -> None:
    """Send one message to many connections, without waiting for any of them.

    ``message``, ``text`` and ``compress`` are as for :meth:`WebSocket.send`, fragments excepted;
    connections with context takeover get it uncompressed. Those that are not open are passed
    over. One that is so slow that 16 times its ``write_limit`` waits for it, 1 MiB by default, is
    closed with 1013: it misses the end rather than the middle.

    Raises TypeError and UnicodeError before anything is sent.
    """
    opcode, payload = encode_data(message, text)
    prepared = PreparedMessage(opcode, payload, compress)
    for ws in websockets:
        protocol = ws._protocol
        connection = protocol.connection
        if connection.state is OPEN:
            sender = protocol.sender
            frame = prepared.frame(connection.codec, ws.server is None)
            if sender.is_held_up():
                sender.hold(frame, _POLICY, protocol)
            else:
                sender.push(frame, 1)


def _close(protocol: ProtocolCore, policy: Policy, what: str) -> None:
    protocol.close(1013, "too slow")


_POLICY: Final = Policy("", "close", None, None, "", _close)
