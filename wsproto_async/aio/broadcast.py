"""broadcast(): one message for many connections, framed once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ..codec.frames import encode_frame
from ..codec.opcodes import OP_BINARY, OP_TEXT
from ..sansio.state import State
from .data import Data, encode_data
from .websocket import WebSocket

__all__ = ["broadcast"]

_SLOW_FACTOR: Final = 16  # times write_limit may wait for a peer that nobody waits for


def broadcast(websockets: Iterable[WebSocket], message: Data, text: bool | None = None) -> None:
    """Send one message to many connections, without waiting for any of them.

    ``message`` and ``text`` are as for :meth:`WebSocket.send`, fragments excepted. Connections
    that are not open are passed over. One that is so slow that 16 times its ``write_limit`` waits
    for it, 1 MiB by default, is closed with 1013: it misses the end rather than the middle.

    Raises TypeError and UnicodeError before anything is sent.
    """
    is_text, payload = encode_data(message, text)
    opcode = OP_TEXT if is_text else OP_BINARY
    frame = encode_frame(opcode, payload, masked=False)
    for ws in websockets:
        if ws.state is State.OPEN:
            protocol = ws._protocol
            if ws.buffered_amount > _SLOW_FACTOR * protocol.settings.write_limit:
                protocol.close(1013, "too slow")
                continue
            # What a client sends is masked, with a key of its own (RFC 6455 5.3).
            own = encode_frame(opcode, payload, masked=True) if ws.server is None else frame
            protocol.sender.push(own)
