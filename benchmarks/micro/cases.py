"""The layers that do no IO, each given one message: what is measured, by size."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Final

from wsproto_async.codec.frames import encode_frame
from wsproto_async.codec.mask import apply_mask
from wsproto_async.codec.opcodes import OP_BINARY, OP_TEXT
from wsproto_async.codec.parser import FrameParser
from wsproto_async.extensions.deflate import DeflateCodec
from wsproto_async.sansio import ServerConnection
from wsproto_async.sansio.messages import MessageAssembler

__all__ = ["CASES", "SIZES"]

SIZES: Final = (16, 256, 4096, 65536)  # bytes of payload
_KEY: Final = b"\x12\x34\x56\x78"
_REQUEST: Final = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)

Case = Callable[[int], Callable[[], object]]  # takes a size, returns what is run again and again


def _text(size: int) -> bytes:
    chance = random.Random(1)
    rows = [{"id": i, "name": f"user {i}", "score": chance.random()} for i in range(size // 16 + 1)]
    return json.dumps(rows).encode()[:size]


def mask(size: int) -> Callable[[], object]:
    data = bytes(size)
    return lambda: apply_mask(data, _KEY)


def encoder(size: int) -> Callable[[], object]:
    data = bytes(size)
    return lambda: encode_frame(OP_BINARY, data, False)


def parser(size: int) -> Callable[[], object]:
    frames = FrameParser(masked=True)
    frame = encode_frame(OP_BINARY, bytes(size), True)

    def parse() -> object:
        frames.feed(frame)
        frames.read_header()
        return frames.read_payload()

    return parse


def assembler(size: int) -> Callable[[], object]:
    messages = MessageAssembler(2**20, 2**14)
    data = _text(size)

    def assemble() -> object:
        messages.begin_frame(OP_TEXT, size)
        return messages.add(data, True)

    return assemble


def fragments(size: int) -> Callable[[], object]:
    """A message in 16 fragments."""
    messages = MessageAssembler(2**20, 2**14)
    piece = _text(size // 16)

    def assemble() -> object:
        for i in range(16):
            messages.begin_frame(OP_TEXT if i == 0 else 0, len(piece))
            message = messages.add(piece, i == 15)
        return message

    return assemble


def _codec() -> DeflateCodec:
    return DeflateCodec(
        1, 0, encode_bits=15, encode_stateless=True, decode_bits=15, decode_stateless=True
    )


def deflate(size: int) -> Callable[[], object]:
    codec, data = _codec(), _text(size)
    return lambda: codec.encode(data, True)


def inflate(size: int) -> Callable[[], object]:
    codec = _codec()
    data = codec.encode(_text(size), True)
    return lambda: list(codec.decode(data, True, lambda size: b""))


def _opened() -> ServerConnection:
    connection = ServerConnection()
    connection.receive_data(_REQUEST)
    connection.next_event()
    connection.send_response(connection.accept())
    connection.data_to_send()
    return connection


def echo(size: int) -> Callable[[], object]:
    """A whole connection without IO: a frame in, a frame out."""
    connection = _opened()
    frame = encode_frame(OP_BINARY, bytes(size), True)

    def answer() -> object:
        connection.receive_data(frame)
        message = connection.next_event()
        assert isinstance(message, bytes)
        connection.send_binary(message)
        return connection.data_to_send()

    return answer


def handshake(size: int) -> Callable[[], object]:
    """A request of ``size`` bytes at least, answered."""
    request = _REQUEST[:-2] + b"X-Filler: " + bytes(65 for _ in range(size)) + b"\r\n\r\n"

    def answer() -> object:
        connection = ServerConnection()
        connection.receive_data(request)
        connection.next_event()
        connection.send_response(connection.accept())
        return connection.data_to_send()

    return answer


CASES: dict[str, tuple[Case, tuple[int, ...]]] = {
    "mask": (mask, SIZES),
    "encoder": (encoder, SIZES),
    "parser": (parser, SIZES),
    "assembler": (assembler, SIZES),
    "fragments": (fragments, SIZES),
    "deflate": (deflate, SIZES),
    "inflate": (inflate, SIZES),
    "echo": (echo, SIZES),
    "handshake": (handshake, SIZES[:2]),
}
