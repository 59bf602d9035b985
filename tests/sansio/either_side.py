"""An open connection of either side, the frames that go to and fro, and calls to be made on it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wsproto_async.codec.frames import encode_frame
from wsproto_async.codec.parser import FrameParser
from wsproto_async.sansio import ClientConnection, Connection, Event, Ping, ServerConnection, State

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
Frame = tuple[int, bool, bytes]  # opcode, fin, payload
WHOLE = 2**30
KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3
REQUEST = (
    b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
both_sides = pytest.mark.parametrize("side", ["server", "client"])
every_split = pytest.mark.parametrize("size", [1, 3, WHOLE], ids=["bytes", "threes", "whole"])


def connecting(side: str, **limits: int | None) -> Connection:
    if side == "server":
        return ServerConnection(**limits)
    return ClientConnection("ws://h", key=KEY, **limits)


def opened(side: str, **limits: int | None) -> Connection:
    connection = connecting(side, **limits)
    connection.receive_data(REQUEST if side == "server" else RESPONSE)
    connection.next_event()
    if isinstance(connection, ServerConnection):
        connection.send_response(connection.accept())
    assert connection.state is State.OPEN
    connection.data_to_send()
    return connection


def wire(side: str, *frames: Frame) -> bytes:
    """The frames as the peer of ``side`` sends them."""
    masked = side == "server"
    return b"".join(encode_frame(op, data, fin=fin, masked=masked) for op, fin, data in frames)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def receive(connection: Connection, *chunks: bytes) -> list[Event]:
    events: list[Event] = []
    for chunk in chunks:
        connection.receive_data(chunk)
        events += connection.events()
    return events


def sent(connection: Connection) -> list[Frame]:
    """The frames that the connection has put in line; takes them."""
    parser = FrameParser(masked=isinstance(connection, ClientConnection))
    size = connection.output_size
    data = connection.data_to_send()
    assert (size, connection.output_size) == (len(data), 0)
    parser.feed(data)
    frames: list[Frame] = []
    while parser.read_header():
        payload = parser.read_payload()
        assert payload is not None
        assert not parser.in_frame
        frames.append((parser.opcode, parser.fin, payload))
    assert parser.buffered() == 0
    return frames


def close_payload(code: int, reason: bytes | str = b"") -> bytes:
    return code.to_bytes(2, "big") + (reason.encode() if isinstance(reason, str) else reason)


def close_frame(code: int, reason: str = "") -> Frame:
    return CLOSE, True, close_payload(code, reason)


def pongs(events: list[Event]) -> list[Frame]:
    """RFC 6455 5.5.2, 5.5.3: a Ping is answered by a Pong with its payload."""
    return [(PONG, True, event.payload) for event in events if isinstance(event, Ping)]


BEGUN: list[Frame] = [(TEXT, False, b"a")]
Call = Callable[[Connection], object]


def call(name: str, *args: object, **options: object) -> Call:
    """A call to be made later, with the connection to make it on."""

    def make(connection: Connection) -> object:
        return getattr(connection, name)(*args, **options)

    make.__name__ = f"{name}{args}"
    return make


def name_of(value: object) -> str | None:
    return value.__name__[:60] if callable(value) else None


MESSAGE = [
    call("send_text", "a", fin=False),
    call("send_continuation", b"b", fin=False),
    call("send_continuation", b"", fin=True),
]


def eof(connection: Connection) -> None:
    connection.receive_eof()


def receive_close(connection: Connection) -> None:
    side = "client" if isinstance(connection, ClientConnection) else "server"
    receive(connection, wire(side, close_frame(1000)))


def receive_violation(connection: Connection) -> None:
    receive(connection, b"\xff")
