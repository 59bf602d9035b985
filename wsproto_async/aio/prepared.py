"""A message for many, encoded and framed once for each kind of connection."""

from __future__ import annotations

from collections.abc import Hashable

from ..codec.frames import encode_frame
from ..extensions.base import Codec

__all__ = ["PreparedMessage"]


class PreparedMessage:
    """A message, encoded and framed once for all connections that take it in the same form.

    ``size`` is that of its payload in bytes.
    """

    __slots__ = ("_compress", "_encoded", "_frames", "_opcode", "_payload", "_plain", "size")

    def __init__(self, opcode: int, payload: bytes, compress: bool | None) -> None:
        self._opcode = opcode
        self._plain: bytes | None = None
        self._payload = payload
        self._compress = compress
        self._encoded: dict[Hashable, tuple[int, bytes]] = {None: (0, payload)}
        self._frames: dict[Hashable, bytes] = {}
        self.size = len(payload)

    def frame(self, codec: Codec | None, is_client: bool) -> bytes:
        """Return the frame for a connection with this codec, a client's or a server's."""
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
