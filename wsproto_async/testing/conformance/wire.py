"""Bytes as a peer puts them on the wire, right or wrong: heads, frames, DEFLATE data."""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"


class Frame(NamedTuple):
    opcode: int
    payload: bytes

    @property
    def close_code(self) -> int:
        return int.from_bytes(self.payload[:2], "big") if self.payload else 1005


def head(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")


def upgrade_fields(host: str, key: str = KEY) -> dict[str, str]:
    """The header lines of a valid upgrade request, by the field's name."""
    values = {
        "Host": host,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": key,
    }
    return {name: f"{name}: {value}" for name, value in values.items()}


def accept_token(key: str) -> str:
    """RFC 6455 4.2.2."""
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
    return base64.b64encode(digest).decode()


def mask(payload: bytes, key: bytes) -> bytes:
    pad = (key * (len(payload) // 4 + 1))[: len(payload)]
    both = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
    return both.to_bytes(len(payload), "big")


def deflate(data: bytes, *, bits: int = 15, level: int = 9) -> bytes:
    """A message's payload as permessage-deflate sends it, without the tail (RFC 7692 7.2.1)."""
    deflater = zlib.compressobj(level, zlib.DEFLATED, -bits)
    return (deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


def stored(data: bytes, *, final: bool = False) -> bytes:
    """One DEFLATE block that is not compressed (RFC 1951 3.2.4)."""
    return struct.pack("<BHH", final, len(data), len(data) ^ 0xFFFF) + data


@dataclass(frozen=True)
class Wire:
    """How one end writes, and the limits of the other one.

    ``masked`` is True for a client, whose frames are masked; False for a server. ``headers`` are
    lines that each of its requests has.
    """

    masked: bool = True
    host: str = "localhost"
    path: str = "/"
    headers: tuple[str, ...] = ()
    max_size: int = 2**20
    max_fragments: int = 2**14
    key: bytes = b"\xa5\x00\x5a\xff"

    # Frames

    def begin(self, first: int, length: int, extended: bytes = b"") -> bytes:
        """The first two bytes of a header as given, MASK apart, and what follows of the length."""
        return bytes([first, length | (0x80 if self.masked else 0)]) + extended

    def header(self, opcode: int, length: int, *, fin: bool = True, rsv: int = 0) -> bytes:
        first = opcode | rsv | (0x80 if fin else 0)
        if length < 126:
            return self.begin(first, length)
        if length < 65536:
            return self.begin(first, 126, struct.pack("!H", length))
        return self.begin(first, 127, struct.pack("!Q", length))

    def payload(self, payload: bytes) -> bytes:
        """The payload, after the masking key if there is one."""
        return self.key + mask(payload, self.key) if self.masked else payload

    def frame(self, opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
        return self.header(opcode, len(payload), fin=fin, rsv=rsv) + self.payload(payload)

    def begun(self, opcode: int, payload: bytes, length: int, *, fin: bool = True) -> bytes:
        """A frame that announces ``length`` bytes and has only begun to arrive."""
        return self.header(opcode, length, fin=fin) + self.payload(payload)

    def close(self, code: int, reason: bytes = b"") -> bytes:
        return self.frame(CLOSE, code.to_bytes(2, "big") + reason)

    def compressed(self, payload: bytes, opcode: int = BINARY, *, fin: bool = True) -> bytes:
        """A frame that is marked as compressed and holds just this payload."""
        return self.frame(opcode, payload, fin=fin, rsv=RSV1)

    # The opening handshake

    def request(self, start: str = "", *more: str, **replaced: str | None) -> bytes:
        """A valid upgrade request, but for its first line, further lines, and lines replaced.

        A name's underscores stand for hyphens; None leaves the line out.
        """
        fields: dict[str, str | None] = {**upgrade_fields(self.host)}
        for name, line in replaced.items():
            fields[name.replace("_", "-")] = line
        lines = (line for line in fields.values() if line is not None)
        return head(start or f"GET {self.path} HTTP/1.1", *lines, *self.headers, *more)
