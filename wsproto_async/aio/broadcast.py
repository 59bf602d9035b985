"""broadcast(): one message for many connections, encoded and framed once for each kind of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from ..codec.frames import encode_frame
from ..extensions.base import Codec
from ..sansio.state import OPEN
from .data import Data, encode_data
from .websocket import WebSocket

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
    prepared = _PreparedMessage(opcode, payload, compress)
    for ws in websockets:
        protocol = ws._protocol
        connection = protocol.connection
        if connection.state is OPEN:
            sender = protocol.sender
            if sender.is_slow():
                protocol.close(1013, "too slow")
            else:
                sender.push(prepared.frame(connection.codec, ws.server is None))


class _PreparedMessage:
    """A message, encoded and framed once for all connections that take it in the same form."""

    __slots__ = ("_compress", "_encoded", "_frames", "_opcode", "_payload", "_plain")

    def __init__(self, opcode: int, payload: bytes, compress: bool | None) -> None:
        self._opcode = opcode
        self._plain: bytes | None = None
        self._payload = payload
        self._compress = compress
        self._encoded: dict[Hashable, tuple[int, bytes]] = {None: (0, payload)}
        self._frames: dict[Hashable, bytes] = {}

    def frame(self, codec: Codec | None, is_client: bool) -> bytes:
        if codec is None and not is_client and self._plain is not None:
            return self._plain
        encoding = None
        if codec is not None and codec.encoding is not None:
            wanted = codec.wants(self._payload) if self._compress is None else self._compress
            encoding = codec.encoding if wanted else None
            if encoding not in self._encoded:
                self._encoded[encoding] = codec.rsv, codec.encode(self._payload, fin=True)
        frame = None if is_client else self._frames.get(encoding)
        if frame is None:
            rsv, payload = self._encoded[encoding]
            # What a client sends is masked, with a key of its own each time (RFC 6455 5.3).
            frame = encode_frame(self._opcode, payload, is_client, True, rsv)
            if not is_client:
                self._frames[encoding] = frame
                if encoding is None:
                    self._plain = frame
        return frame
