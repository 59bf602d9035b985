"""Both ends of an open connection: frames in, events and frames out, every rule and every misuse.

The peer's frames are built here; what the connection sends is read back as frames, so that a
client's random masking keys do not matter.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.codec.frames import encode_frame
from wsproto_async.codec.parser import FrameParser
from wsproto_async.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidState,
    ProtocolError,
)
from wsproto_async.sansio import (
    ClientConnection,
    Close,
    Connection,
    Event,
    Ping,
    Pong,
    ServerConnection,
    State,
)

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


# Receiving what is right

RECEIVED: list[tuple[str, list[Frame], list[Event]]] = [
    ("text", [(TEXT, True, b"hello")], ["hello"]),
    ("empty text", [(TEXT, True, b"")], [""]),
    ("text beyond ASCII", [(TEXT, True, "κόσμε".encode())], ["κόσμε"]),
    ("binary", [(BINARY, True, b"\xff\x00")], [b"\xff\x00"]),
    ("empty binary", [(BINARY, True, b"")], [b""]),
    ("two messages", [(TEXT, True, b"a"), (BINARY, True, b"b")], ["a", b"b"]),
    ("fragments", [(TEXT, False, b"a"), (CONT, False, b"b"), (CONT, True, b"c")], ["abc"]),
    ("empty fragments", [(BINARY, False, b""), (CONT, False, b""), (CONT, True, b"")], [b""]),
    ("a last empty fragment", [(TEXT, False, b"ab"), (CONT, True, b"")], ["ab"]),
    ("a character in two fragments", [(TEXT, False, b"\xe2\x82"), (CONT, True, b"\xac")], ["€"]),
    ("binary in fragments", [(BINARY, False, b"\xe2"), (CONT, True, b"\xff")], [b"\xe2\xff"]),
    ("ping", [(PING, True, b"are you there")], [Ping(b"are you there")]),
    ("empty ping", [(PING, True, b"")], [Ping(b"")]),
    ("big ping", [(PING, True, bytes(125))], [Ping(bytes(125))]),
    ("pong", [(PONG, True, b"I am")], [Pong(b"I am")]),
    (
        "controls between fragments",
        [
            (TEXT, False, b"a"),
            (PING, True, b"1"),
            (CONT, False, b"b"),
            (PONG, True, b""),
            (PING, True, b"2"),
            (CONT, True, b"c"),
            (TEXT, True, b"d"),
        ],
        [Ping(b"1"), Pong(b""), Ping(b"2"), "abc", "d"],
    ),
]


def pongs(events: list[Event]) -> list[Frame]:
    """RFC 6455 5.5.2, 5.5.3: a Ping is answered by a Pong with its payload."""
    return [(PONG, True, event.payload) for event in events if isinstance(event, Ping)]


@pytest.mark.parametrize(
    ("frames", "events"), [case[1:] for case in RECEIVED], ids=[case[0] for case in RECEIVED]
)
@pytest.mark.parametrize("tail", [[], [(TEXT, True, b"tail")]], ids=["", "tail"])
@every_split
@both_sides
def test_frames_become_events(
    frames: list[Frame], events: list[Event], tail: list[Frame], side: str, size: int
) -> None:
    connection = opened(side)
    found = receive(connection, *cut(wire(side, *frames, *tail), size))
    assert found == events + ["tail"] * len(tail)
    assert sent(connection) == pongs(events)
    assert (connection.state, connection.error, connection.buffered) == (State.OPEN, None, 0)


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 2**20])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@both_sides
def test_messages_of_every_size(length: int, opcode: int, side: str) -> None:
    connection = opened(side)
    message = "x" * length if opcode == TEXT else b"x" * length
    data = wire(side, (opcode, True, b"x" * length))
    assert receive(connection, data) == [message]
    assert receive(connection, data[:-1], data[-1:]) == [message]
    assert receive(connection, *cut(data, 4093)) == [message]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@both_sides
def test_any_buffer_may_be_received(kind: Callable[[bytes], bytes], side: str) -> None:
    buffer = bytearray(wire(side, (TEXT, True, b"hello")))
    connection = opened(side)
    connection.receive_data(kind(buffer))
    buffer[:] = bytes(len(buffer))  # the caller uses its buffer again
    assert list(connection.events()) == ["hello"]


# Receiving what is wrong


class Failure(NamedTuple):
    what: str
    frames: list[Frame]  # valid ones, before
    last: Callable[[str], bytes]  # what proves it, with its last byte
    code: int
    max_size: int = 2**20
    max_fragments: int = 2**14


def raw(data: str) -> Callable[[str], bytes]:
    """Bytes whose second one has the right MASK bit."""

    def build(side: str) -> bytes:
        found = bytearray.fromhex(data)
        if len(found) > 1 and side == "server":
            found[1] |= 0x80
        return bytes(found)

    return build


def whole(*frame: int | bytes) -> Callable[[str], bytes]:
    """A whole frame; its last byte of payload proves it."""
    opcode, payload = frame
    assert isinstance(opcode, int)
    assert isinstance(payload, bytes)
    return lambda side: wire(side, (opcode, True, payload))


def start(payload: bytes, more: int) -> Callable[[str], bytes]:
    """A text frame up to the end of ``payload``; ``more`` bytes of it are missing."""
    return lambda side: wire(side, (TEXT, True, payload + bytes(more)))[:-more]


def wrong_mask(side: str) -> bytes:
    return b"\x82\x00" if side == "server" else b"\x82\x80"


def header_of(length: int) -> str:
    return "82 7f" + length.to_bytes(8, "big").hex()


BEGUN: list[Frame] = [(TEXT, False, b"a")]
FAILURES = [
    Failure("RSV1", [], raw("c1"), 1002),
    Failure("RSV2 on a continuation", BEGUN, raw("a0"), 1002),
    Failure("RSV3 on a ping", [], raw("99"), 1002),
    Failure("reserved opcode 3", [], raw("83"), 1002),
    Failure("reserved opcode 15", BEGUN, raw("8f"), 1002),
    Failure("the wrong mask bit", [], wrong_mask, 1002),
    Failure("fragmented ping", [], raw("09"), 1002),
    Failure("long ping", [], raw("89 7e"), 1002),
    Failure("continuation first", [], raw("80"), 1002),
    Failure("continuation after a message", [(TEXT, True, b"")], raw("00"), 1002),
    Failure("text inside a message", BEGUN, raw("81"), 1002),
    Failure("text inside an empty message", [(TEXT, False, b"")], raw("81"), 1002),
    Failure("binary inside one after a ping", [*BEGUN, (PING, True, b"")], raw("02"), 1002),
    Failure("a length of 125 in 16 bits", [], raw("82 7e 00 7d"), 1002),
    Failure("a length of 65535 in 64 bits", [], raw("82 7f 00 00 00 00 00 00"), 1002),
    Failure("a length of 2^63", [], raw("82 7f 80"), 1002),
    Failure("half a close code", [], raw("88 01"), 1002),
    Failure("half a close code in a message", BEGUN, raw("88 01"), 1002),
    *(
        Failure(f"close code {code}", [], whole(CLOSE, close_payload(code)), 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)
    ),
    Failure("a close code 999 and not UTF-8", [], whole(CLOSE, close_payload(999, b"\xff")), 1002),
    Failure("a close reason not UTF-8", [], whole(CLOSE, close_payload(1000, b"\xff")), 1007),
    Failure("a close reason cut", [], whole(CLOSE, close_payload(1000, b"a\xe2\x82")), 1007),
    Failure("text not UTF-8", [], whole(TEXT, b"\xff"), 1007),
    Failure("a bad byte early in a text", [], start(b"ok\xff", 1000), 1007),
    Failure("a surrogate early in a text", [], start(b"ok\xed\xa0", 70000), 1007),
    Failure("text that ends in a character", [], whole(TEXT, b"a\xe2\x82"), 1007),
    Failure("... in a fragment", [(TEXT, False, b"\xe2")], whole(CONT, b"\x82"), 1007),
    Failure("... with an empty one", [(TEXT, False, b"\xe2\x82")], whole(CONT, b""), 1007),
    Failure("a bad byte in a fragment", [(TEXT, False, b"\xe2")], whole(CONT, b"\x82a"), 1007),
    Failure("2^62 bytes", [], raw(header_of(2**62)), 1009),
    Failure("2^63 - 1 bytes", [], raw(header_of(2**63 - 1)), 1009),
    Failure("1 MiB + 1", [], raw(header_of(2**20 + 1)), 1009),
    Failure("11 bytes of 10", [], raw("82 0b"), 1009, max_size=10),
    Failure("126 bytes of 125", [], raw("82 7e 00 7e"), 1009, max_size=125),
    Failure("a + 10 bytes of 10", BEGUN, raw("80 0a"), 1009, max_size=10),
    Failure("one byte of none", [], raw("81 01"), 1009, max_size=0),
    Failure(
        "a third of 2 fragments",
        [*BEGUN, (CONT, False, b"")],
        raw("80 00"),
        1008,
        max_fragments=2,
    ),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: failure.what)
@pytest.mark.parametrize("tail", [b"", b"\x81\x00 and more"], ids=["", "tail"])
@every_split
@both_sides
def test_a_violation_fails_the_connection(
    failure: Failure, tail: bytes, side: str, size: int
) -> None:
    connection = opened(side, max_size=failure.max_size, max_fragments=failure.max_fragments)
    before = wire(side, *failure.frames)
    proof = failure.last(side)
    events = receive(connection, *cut(before + proof[:-1], size))
    assert Close(1006) not in events, "not before the byte that proves it"
    assert connection.state is State.OPEN
    sent(connection)

    assert receive(connection, *cut(proof[-1:] + tail, size)) == [Close(1006)]
    error = connection.error
    assert isinstance(error, ProtocolError)
    assert error.code == failure.code
    assert sent(connection) == [close_frame(failure.code, str(error))]
    assert connection.close_sent == Close(failure.code, str(error))
    assert connection.close_received is None
    assert (connection.state, connection.eof_due) == (State.CLOSING, True)
    assert (connection.buffered, connection.buffered_message()) == (0, 0)


@both_sides
def test_what_follows_a_failure_is_dropped(side: str) -> None:
    connection = opened(side)
    receive(connection, b"\xff")
    sent(connection)
    text, close = wire(side, (TEXT, True, b"x")), wire(side, close_frame(1000))
    for data in (text, close, b"\xff", bytes(2**18)):
        assert receive(connection, data) == []
        assert connection.buffered == 0
    connection.receive_eof()
    assert list(connection.events()) == []
    assert sent(connection) == []
    assert connection.close_received is None
    assert connection.state is State.CLOSED


@both_sides
def test_what_came_before_a_failure_is_kept(side: str) -> None:
    connection = opened(side)
    data = wire(side, (TEXT, True, b"a"), (PING, True, b"b"), (TEXT, False, b"c")) + b"\x81"
    assert receive(connection, data) == ["a", Ping(b"b"), Close(1006)]
    assert [frame[0] for frame in sent(connection)] == [PONG, CLOSE]


# Limits


@pytest.mark.parametrize("limit", [0, 1, 125, 126, 65535, 65536, 2**20])
@every_split
@both_sides
def test_max_size_is_exact(limit: int, side: str, size: int) -> None:
    size = max(size, 997) if limit > 126 else size
    connection = opened(side, max_size=limit)
    one = [(BINARY, True, bytes(limit))]
    many = [(BINARY, False, bytes(limit)), (CONT, False, b""), (CONT, True, b"")]
    split = [
        (BINARY, False, bytes(limit // 2)),
        (PING, True, bytes(125)),
        (CONT, True, bytes(limit - limit // 2)),
    ]
    for frames in (one, many, split):
        assert bytes(limit) in receive(connection, *cut(wire(side, *frames), size))
    too_many = wire(side, *many[:2], (CONT, True, b"x"))
    assert receive(connection, *cut(too_many, size)) == [Close(1006)]
    assert connection.close_sent == Close(1009, f"message over {limit} bytes")


@both_sides
def test_max_fragments_is_exact_and_leaves_controls_alone(side: str) -> None:
    connection = opened(side, max_fragments=3)
    message = [(TEXT, False, b"a"), (CONT, False, b"b"), (CONT, True, b"c")]
    assert receive(connection, wire(side, *message)) == ["abc"]
    used_up = wire(side, *message[:2], (CONT, False, b"c"), (PING, True, b""), (PONG, True, b""))
    assert receive(connection, used_up) == [Ping(b""), Pong(b"")]
    assert sent(connection) == [(PONG, True, b"")]
    assert receive(connection, wire(side, (CONT, True, b"d"))) == [Close(1006)]
    assert connection.close_sent == Close(1008, "message in over 3 fragments")


@both_sides
def test_a_close_may_come_when_the_fragments_are_used_up(side: str) -> None:
    connection = opened(side, max_fragments=1)
    assert receive(connection, wire(side, (TEXT, False, b"a"), close_frame(1000))) == [Close(1000)]


@both_sides
def test_none_lifts_the_limits(side: str) -> None:
    connection = opened(side, max_size=None, max_fragments=None)
    frames = [(BINARY, False, bytes(2**20)), *[(CONT, False, b"")] * 2**15, (CONT, True, b"x")]
    assert receive(connection, wire(side, *frames)) == [bytes(2**20) + b"x"]


@both_sides
def test_the_limits_by_default(side: str) -> None:
    connection = opened(side)
    fits = [(BINARY, False, bytes(2**20)), *[(CONT, False, b"")] * (2**14 - 2), (CONT, True, b"")]
    assert receive(connection, wire(side, *fits)) == [bytes(2**20)]
    receive(connection, wire(side, (BINARY, False, b""), *[(CONT, False, b"")] * 2**14))
    assert connection.close_sent == Close(1008, "message in over 16384 fragments")


# The closing handshake

CLOSES = [
    (b"", Close(1005)),
    (close_payload(1000), Close(1000)),
    (close_payload(1001, "bye"), Close(1001, "bye")),
    (close_payload(3000), Close(3000)),
    (close_payload(4999, "é" * 61 + "x"), Close(4999, "é" * 61 + "x")),
]


@pytest.mark.parametrize(("payload", "close"), CLOSES, ids=lambda value: str(value)[:20])
@pytest.mark.parametrize("tail", [b"", b"\x81\x00", b"\xff"], ids=["", "tail", "bad tail"])
@pytest.mark.parametrize("begun", [[], BEGUN], ids=["", "inside a message"])
@every_split
@both_sides
def test_a_close_is_echoed(
    payload: bytes, close: Close, tail: bytes, begun: list[Frame], side: str, size: int
) -> None:
    connection = opened(side)
    data = wire(side, *begun, (CLOSE, True, payload)) + tail
    assert receive(connection, *cut(data, size)) == [close]
    assert sent(connection) == [(CLOSE, True, payload)]
    assert (connection.close_received, connection.close_sent) == (close, close)
    assert (connection.state, connection.error) == (State.CLOSING, None)
    assert connection.eof_due is (side == "server"), "RFC 6455 7.1.1: the server goes first"
    assert connection.buffered == 0
    assert str(connection.closed_error()).startswith("received")
    connection.receive_eof()
    assert (list(connection.events()), connection.state) == ([], State.CLOSED)


@pytest.mark.parametrize(("payload", "close"), CLOSES[1:], ids=lambda value: str(value)[:20])
@both_sides
def test_closing_first(payload: bytes, close: Close, side: str) -> None:
    connection = opened(side)
    connection.send_close(close.code, close.reason)
    assert sent(connection) == [(CLOSE, True, payload)]
    assert (connection.state, connection.close_sent) == (State.CLOSING, close)
    assert (connection.close_received, connection.eof_due) == (None, False)

    assert receive(connection, wire(side, (CLOSE, True, payload))) == [close]
    assert sent(connection) == [], "no Close frame is sent twice"
    assert (connection.state, connection.close_received) == (State.CLOSING, close)
    assert connection.eof_due is (side == "server")
    assert str(connection.closed_error()).startswith("sent")


@both_sides
def test_both_close_at_once(side: str) -> None:
    connection = opened(side)
    connection.send_close(1001, "ours")
    sent(connection)
    assert receive(connection, wire(side, close_frame(1000, "theirs"))) == [Close(1000, "theirs")]
    assert sent(connection) == []
    error = connection.closed_error()
    assert isinstance(error, ConnectionClosedOK)
    assert (error.code, error.reason) == (1000, "theirs")
    assert (error.received, error.sent) == (Close(1000, "theirs"), Close(1001, "ours"))
    assert not error.received_first


@both_sides
def test_after_our_close_messages_still_arrive_and_pings_are_not_answered(side: str) -> None:
    connection = opened(side)
    connection.send_close()
    sent(connection)
    frames = [(TEXT, False, b"a"), (PING, True, b"p"), (CONT, True, b"b"), (PONG, True, b"")]
    assert receive(connection, wire(side, *frames)) == [Ping(b"p"), "ab", Pong(b"")]
    assert sent(connection) == []
    assert receive(connection, wire(side, close_frame(1000))) == [Close(1000)]


@both_sides
def test_a_violation_after_our_close_sends_no_second_one(side: str) -> None:
    connection = opened(side)
    connection.send_close()
    sent(connection)
    assert receive(connection, b"\xff") == [Close(1006)]
    assert sent(connection) == []
    assert (connection.close_sent, connection.eof_due) == (Close(1000), True)
    assert isinstance(connection.error, ProtocolError)


OK, ERROR = ConnectionClosedOK, ConnectionClosedError


@pytest.mark.parametrize(
    ("ours", "theirs", "kind"),
    [
        # (the code that we send first, the one that they send, how it ended)
        (1000, 1000, OK),
        (1001, 1001, OK),
        (1000, 1001, OK),
        (1000, 1005, OK),
        (1000, 1011, ERROR),
        (1011, 1000, ERROR),
        (3000, 3000, ERROR),
        (1000, None, ERROR),
        (None, 1000, OK),
        (None, 1001, OK),
        (None, 1005, OK),
        (None, 1002, ERROR),
        (None, 4000, ERROR),
        (None, None, ERROR),
    ],
)
@both_sides
def test_how_the_connection_ended(
    ours: int | None, theirs: int | None, kind: type[ConnectionClosed], side: str
) -> None:
    connection = opened(side)
    if ours is not None:
        connection.send_close(ours)
    if theirs is not None:
        payload = b"" if theirs == 1005 else close_payload(theirs)
        receive(connection, wire(side, (CLOSE, True, payload)))
    connection.receive_eof()
    list(connection.events())
    error = connection.closed_error()
    assert type(error) is kind
    assert error.code == (1006 if theirs is None else theirs)
    assert error.received == (None if theirs is None else Close(theirs))
    if ours is not None:
        assert error.sent == Close(ours)
    else:
        assert error.sent == error.received
    assert error.received_first is (ours is None and theirs is not None)


# The end of the byte stream


@pytest.mark.parametrize(
    ("frames", "missing", "events"),
    [
        ([], 0, []),
        ([(TEXT, True, b"a")], 0, ["a"]),
        ([(TEXT, True, b"a"), (TEXT, False, b"b")], 0, ["a"]),
        ([(TEXT, True, b"a"), (BINARY, True, b"bcd")], 1, ["a"]),
        ([(TEXT, True, b"a"), (BINARY, True, bytes(126))], 126 + 1, ["a"]),
        ([close_frame(1000, "bye")], 1, []),
        ([(PING, True, b"abc")], 1, []),
    ],
    ids=[
        "at once",
        "after a message",
        "between fragments",
        "inside a payload",
        "inside a header",
        "inside a close frame",
        "inside a ping",
    ],
)
@every_split
@both_sides
def test_an_end_without_a_close_is_abnormal(
    frames: list[Frame], missing: int, events: list[Event], side: str, size: int
) -> None:
    connection = opened(side)
    data = wire(side, *frames)
    assert receive(connection, *cut(data[: len(data) - missing], size)) == events
    connection.receive_eof()
    assert connection.state is State.CLOSED
    assert list(connection.events()) == [Close(1006)]
    assert list(connection.events()) == []
    assert (connection.error, connection.buffered, sent(connection)) == (None, 0, [])
    assert isinstance(connection.closed_error(), ConnectionClosedError)
    assert connection.closed_error().code == 1006


@both_sides
def test_what_arrived_before_the_end_can_still_be_had(side: str) -> None:
    connection = opened(side)
    connection.receive_data(wire(side, (TEXT, True, b"a"), (PING, True, b"b"), (TEXT, True, b"c")))
    connection.receive_eof()
    assert connection.state is State.CLOSED
    assert list(connection.events()) == ["a", Ping(b"b"), "c", Close(1006)]
    assert sent(connection) == [], "nobody is there to answer"


@both_sides
def test_a_close_frame_before_the_end_is_the_end(side: str) -> None:
    connection = opened(side)
    connection.receive_data(wire(side, (TEXT, True, b"a"), close_frame(1000, "bye")))
    connection.receive_eof()
    assert list(connection.events()) == ["a", Close(1000, "bye")]
    assert connection.close_received == Close(1000, "bye")
    assert connection.closed_error().code == 1000


@both_sides
def test_a_violation_before_the_end_is_the_error(side: str) -> None:
    connection = opened(side)
    connection.receive_data(wire(side, (TEXT, True, b"a")) + b"\xff")
    connection.receive_eof()
    assert list(connection.events()) == ["a", Close(1006)]
    assert isinstance(connection.error, ProtocolError)
    assert (sent(connection), connection.close_sent) == ([], None)


@both_sides
def test_the_end_may_be_told_twice(side: str) -> None:
    connection = opened(side)
    connection.receive_eof()
    connection.receive_eof()
    assert list(connection.events()) == [Close(1006)]
    assert connection.state is State.CLOSED


# Events come as they are asked for


@both_sides
def test_who_stops_iterating_stops_the_parsing(side: str) -> None:
    connection = opened(side)
    frames = [(TEXT, True, b"a"), (PING, True, b"b"), (TEXT, True, b"c")]
    connection.receive_data(wire(side, *frames) + b"\xff")
    rest = connection.buffered
    for event, frame in zip(["a", Ping(b"b"), "c"], frames, strict=True):
        assert sent(connection) == []
        assert connection.next_event() == event
        rest -= len(wire(side, frame))
        assert connection.buffered == rest
        if isinstance(event, Ping):
            assert sent(connection) == [(PONG, True, b"b")]
    assert connection.state is State.OPEN, "what follows has not been looked at"
    assert connection.next_event() == Close(1006)
    assert connection.next_event() is None


@both_sides
def test_buffered_counts_what_no_event_has_brought(side: str) -> None:
    connection = opened(side)
    assert (connection.buffered, connection.buffered_message()) == (0, 0)
    receive(connection, wire(side, (BINARY, False, b"abc")) + wire(side, (CONT, True, b"d"))[:1])
    assert (connection.buffered, connection.buffered_message()) == (4, 3)
    receive(connection, wire(side, (CONT, True, b"d"))[1:])
    assert (connection.buffered, connection.buffered_message()) == (0, 0)


@both_sides
def test_a_message_can_be_taken_piece_by_piece(side: str) -> None:
    connection = opened(side)
    assert connection.take_partial() == b""
    receive(connection, wire(side, (TEXT, False, "aé".encode() + b"\xe2\x82")))
    assert (connection.take_partial(), connection.buffered_message()) == ("aé", 2)
    assert connection.take_partial() == ""
    assert receive(connection, wire(side, (PING, True, b""))) == [Ping(b"")]
    last = wire(side, (CONT, True, b"\xacbcd"))
    assert receive(connection, last[:-1]) == []
    assert (connection.take_partial(), connection.buffered) == ("€bc", 0)
    assert receive(connection, last[-1:]) == ["d"]


@both_sides
def test_a_frame_that_has_begun(side: str) -> None:
    connection = opened(side)
    assert not connection.is_amid_frame()
    frame = wire(side, (TEXT, True, b"abc"))
    for byte in cut(frame[:-1], 1):
        receive(connection, byte)
        assert connection.is_amid_frame()
    receive(connection, frame[-1:])
    assert not connection.is_amid_frame()
    assert connection.frames == 1


# Sending

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


@pytest.mark.parametrize(
    ("calls", "frames"),
    [
        ([call("send_text", "")], [(TEXT, True, b"")]),
        ([call("send_text", "κόσμε")], [(TEXT, True, "κόσμε".encode())]),
        ([call("send_text", b"\xc3\xa9")], [(TEXT, True, b"\xc3\xa9")]),
        ([call("send_binary", b"")], [(BINARY, True, b"")]),
        ([call("send_binary", b"\xff")], [(BINARY, True, b"\xff")]),
        ([call("send_ping")], [(PING, True, b"")]),
        ([call("send_ping", bytes(125))], [(PING, True, bytes(125))]),
        ([call("send_pong")], [(PONG, True, b"")]),
        ([call("send_pong", b"late")], [(PONG, True, b"late")]),
        ([call("send_close")], [close_frame(1000)]),
        ([call("send_close", 1001, "x" * 123)], [close_frame(1001, "x" * 123)]),
        (MESSAGE, [(TEXT, False, b"a"), (CONT, False, b"b"), (CONT, True, b"")]),
        (
            [
                call("send_binary", b"", fin=False),
                call("send_ping", b"p"),
                call("send_pong", b"q"),
                call("send_continuation", b"c", fin=True),
                *MESSAGE[:1],
                call("send_close", 4000),
            ],
            [
                (BINARY, False, b""),
                (PING, True, b"p"),
                (PONG, True, b"q"),
                (CONT, True, b"c"),
                (TEXT, False, b"a"),
                close_frame(4000),
            ],
        ),
    ],
    ids=lambda calls: name_of(calls[0]) or "",
)
@both_sides
def test_calls_become_frames(calls: list[Call], frames: list[Frame], side: str) -> None:
    connection = opened(side)
    for make in calls:
        make(connection)
    assert sent(connection) == frames
    assert connection.data_to_send() == b""


@pytest.mark.parametrize("length", [0, 1, 125, 126, 127, 65535, 65536, 2**20])
@both_sides
def test_what_is_sent_has_any_size(length: int, side: str) -> None:
    connection = opened(side)
    connection.send_binary(bytes(length))
    connection.send_text("x" * length)
    assert sent(connection) == [(BINARY, True, bytes(length)), (TEXT, True, b"x" * length)]


@both_sides
def test_a_client_masks_and_a_server_does_not(side: str) -> None:
    connection = opened(side)
    for make in [*MESSAGE, call("send_ping"), call("send_close")]:
        make(connection)
        assert bool(connection.data_to_send()[1] & 0x80) is (side == "client")


@both_sides
def test_a_fragmented_message_being_sent(side: str) -> None:
    connection = opened(side)
    progress = []
    for make in MESSAGE:
        progress.append(connection.sending_message)
        make(connection)
    assert [*progress, connection.sending_message] == [False, True, True, False]


@both_sides
def test_output_is_counted_and_taken_once(side: str) -> None:
    connection = opened(side)
    assert (connection.output_size, connection.data_to_send()) == (0, b"")
    connection.send_binary(b"abc")
    connection.send_binary(b"")
    size = connection.output_size
    assert size == (5 + 2 if side == "server" else 9 + 6)
    assert (len(connection.data_to_send()), connection.output_size) == (size, 0)
    assert connection.data_to_send() == b""


@pytest.mark.parametrize("size", [0, 100, 2**14 - 1, 2**14, 2**17])
@both_sides
def test_a_long_payload_is_a_piece_of_output_by_itself(side: str, size: int) -> None:
    connection = opened(side)
    payload = bytes(size)
    connection.send_binary(payload)
    pieces = connection.take_output()
    assert (connection.output_size, connection.take_output()) == (0, [])
    if side == "server" and size >= 2**14:
        assert pieces[1] is payload
        assert len(pieces) == 2
    else:
        assert len(pieces) == 1
    assert receive(opened("client" if side == "server" else "server"), *pieces) == [payload]


@both_sides
def test_borrowed_data_is_any_other_data_until_it_is_returned(side: str) -> None:
    connection = connecting(side)
    start = REQUEST if side == "server" else RESPONSE
    frames = wire(side, (TEXT, True, b"one"), (TEXT, True, b"two"))
    connection.borrow_data(start + frames + b"others'", len(start + frames))
    assert connection.next_event()
    connection.return_data()
    if isinstance(connection, ServerConnection):
        connection.send_response(connection.accept())
    for _ in range(3):
        connection.borrow_data(frames + b"others'", len(frames))
        assert connection.next_event() == "one"
        connection.return_data()
        assert connection.next_event() == "two"
    assert receive(connection) == []
    assert [connection.next_event() for _ in range(3)] == ["one", "two", None]
    connection.borrow_data(wire(side, (CLOSE, True, b"")), len(wire(side, (CLOSE, True, b""))))
    assert [connection.next_event(), connection.next_event()] == [Close(1005), None]
    connection.return_data()
    connection.borrow_data(b"after the end", 5)
    connection.return_data()
    assert connection.buffered == 0


def test_a_message_framed_before_goes_to_many() -> None:
    frame = encode_frame(TEXT, b"news", masked=False)
    for connection in (opened("server"), opened("server")):
        connection.send_frame(frame)
        assert connection.data_to_send() == frame
        assert connection.messages_sent == 1


@both_sides
def test_messages_are_counted_when_they_are_whole(side: str) -> None:
    connection = opened(side)
    connection.send_text("a")
    connection.send_text("b", fin=False)
    connection.send_ping()
    assert connection.messages_sent == 1
    connection.send_continuation(b"c", fin=True)
    assert connection.messages_sent == 2


# Misuse raises and writes nothing

SENDING = [
    *MESSAGE,
    call("send_text", "a"),
    call("send_binary", b"a"),
    call("send_ping"),
    call("send_pong"),
    call("send_close"),
    call("send_frame", b"\x81\x00"),
]


@pytest.mark.parametrize("make", SENDING, ids=name_of)
@both_sides
def test_nothing_is_sent_before_the_handshake(make: Call, side: str) -> None:
    connection = connecting(side)
    with pytest.raises(InvalidState, match=r"^the opening handshake has not completed$"):
        make(connection)
    assert (connection.data_to_send(), connection.state) == (b"", State.CONNECTING)
    assert connection.close_sent is None


def eof(connection: Connection) -> None:
    connection.receive_eof()


def receive_close(connection: Connection) -> None:
    side = "client" if isinstance(connection, ClientConnection) else "server"
    receive(connection, wire(side, close_frame(1000)))


def receive_violation(connection: Connection) -> None:
    receive(connection, b"\xff")


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (call("send_close", 1001), 1006),
        (receive_close, 1000),
        (receive_violation, 1006),
        (eof, 1006),
    ],
    ids=name_of,
)
@pytest.mark.parametrize("make", SENDING, ids=name_of)
@both_sides
def test_nothing_is_sent_after_the_end(make: Call, end: Call, code: int, side: str) -> None:
    connection = opened(side)
    end(connection)
    connection.data_to_send()
    before = connection.state, connection.close_sent
    with pytest.raises(ConnectionClosed) as caught:
        make(connection)
    assert caught.value.code == code
    assert connection.data_to_send() == b""
    assert (connection.state, connection.close_sent) == before


MISUSE = [
    (call("send_text", "\ud800"), UnicodeEncodeError),
    (call("send_text", "\ud800", fin=False), UnicodeEncodeError),
    (call("send_text", 5), TypeError),
    (call("send_text", None, fin=False), TypeError),
    (call("send_binary", "text"), TypeError),
    (call("send_binary", "text", fin=False), TypeError),
    (call("send_continuation", b"a", fin=False), InvalidState),
    (call("send_continuation", b"a", fin=True), InvalidState),
    (call("send_ping", bytes(126)), ValueError),
    (call("send_ping", "text"), TypeError),
    (call("send_pong", bytes(126)), ValueError),
    (call("send_pong", "text"), TypeError),
    (call("send_close", 1005), ValueError),
    (call("send_close", 1006), ValueError),
    (call("send_close", 1015), ValueError),
    (call("send_close", 999), ValueError),
    (call("send_close", 5000), ValueError),
    (call("send_close", 1000, "x" * 124), ValueError),
    (call("send_close", 1000, "é" * 62), ValueError),
    (call("send_close", 1000, "\ud800"), UnicodeEncodeError),
]


@pytest.mark.parametrize(("make", "error"), MISUSE, ids=name_of)
@both_sides
def test_misuse_writes_nothing_and_harms_nothing(
    make: Call, error: type[Exception], side: str
) -> None:
    connection = opened(side)
    with pytest.raises(error):
        make(connection)
    assert connection.data_to_send() == b""
    assert (connection.state, connection.close_sent) == (State.OPEN, None)
    assert not connection.sending_message
    connection.send_text("after")
    assert sent(connection) == [(TEXT, True, b"after")]


@pytest.mark.parametrize(
    "make",
    [
        call("send_text", "a"),
        call("send_text", "a", fin=False),
        call("send_binary", b"a"),
        call("send_binary", b"a", fin=False),
        call("send_frame", b"\x81\x00"),
    ],
    ids=name_of,
)
@both_sides
def test_no_message_comes_between_the_fragments_of_another(make: Call, side: str) -> None:
    connection = opened(side)
    MESSAGE[0](connection)
    with pytest.raises(
        InvalidState, match=r"^a fragmented message is being sent: finish it first$"
    ):
        make(connection)
    assert connection.sending_message
    connection.send_continuation(b"z", fin=True)
    assert sent(connection) == [(TEXT, False, b"a"), (CONT, True, b"z")]


@pytest.mark.parametrize("data", ["text", 5, None], ids=repr)
@both_sides
def test_a_wrong_continuation_leaves_the_message_open(data: object, side: str) -> None:
    connection = opened(side)
    MESSAGE[0](connection)
    with pytest.raises(TypeError):
        call("send_continuation", data, fin=True)(connection)
    assert connection.sending_message
    connection.send_continuation(b"z", fin=True)
    assert sent(connection) == [(TEXT, False, b"a"), (CONT, True, b"z")]


# Pongs that wait


@both_sides
def test_only_the_latest_ping_is_answered_when_pongs_were_held(side: str) -> None:
    connection = opened(side)
    assert not connection.hold_pongs
    connection.hold_pongs = True
    pings = [(PING, True, b"%d" % number) for number in range(1000)]
    assert len(receive(connection, wire(side, *pings))) == 1000
    assert (connection.hold_pongs, connection.output_size) == (True, 0)
    connection.hold_pongs = False
    assert sent(connection) == [(PONG, True, b"999")]
    connection.hold_pongs = False
    connection.hold_pongs = True
    connection.hold_pongs = False
    assert sent(connection) == [], "once"
    assert receive(connection, wire(side, (PING, True, b"next"))) == [Ping(b"next")]
    assert sent(connection) == [(PONG, True, b"next")]


@both_sides
def test_an_empty_ping_is_answered_too_when_pongs_were_held(side: str) -> None:
    connection = opened(side)
    connection.hold_pongs = True
    receive(connection, wire(side, (PING, True, b"a"), (PING, True, b"")))
    connection.hold_pongs = False
    assert sent(connection) == [(PONG, True, b"")]


@pytest.mark.parametrize(
    "end", [call("send_close"), receive_close, receive_violation, eof], ids=name_of
)
@both_sides
def test_a_held_pong_is_not_sent_after_the_end(end: Call, side: str) -> None:
    connection = opened(side)
    connection.hold_pongs = True
    receive(connection, wire(side, (PING, True, b"a")))
    end(connection)
    sent(connection)
    connection.hold_pongs = False
    assert sent(connection) == []


# Failures that wait


@both_sides
def test_a_failure_can_be_held_back_until_what_came_before_is_answered(side: str) -> None:
    connection = opened(side)
    connection.hold_failure = True
    data = wire(side, (TEXT, True, b"a"), (PING, True, b"b")) + b"\xff"
    assert not connection.is_failure_held()
    assert receive(connection, data) == ["a", Ping(b"b")]
    assert connection.is_failure_held()
    assert (connection.state, connection.close_sent, connection.error) == (State.OPEN, None, None)

    for dropped in (wire(side, (TEXT, True, b"c")), wire(side, close_frame(1000)), b"\xff"):
        assert receive(connection, dropped) == []
    held = connection.buffered
    assert receive(connection, bytes(2**16)) == []
    assert connection.buffered == held, "nothing more is stored"
    connection.send_text("answer")
    assert sent(connection) == [(PONG, True, b"b"), (TEXT, True, b"answer")]

    connection.hold_failure = False
    assert list(connection.events()) == [Close(1006)]
    assert sent(connection) == [close_frame(1002, "reserved bits are set")]
    assert isinstance(connection.error, ProtocolError)
    assert (connection.state, connection.eof_due) == (State.CLOSING, True)
    assert (connection.is_failure_held(), connection.buffered) == (False, 0)
    assert list(connection.events()) == []


@both_sides
def test_holding_failures_changes_nothing_else(side: str) -> None:
    connection = opened(side)
    connection.hold_failure = True
    assert receive(connection, wire(side, (TEXT, True, b"a"), close_frame(1000))) == [
        "a",
        Close(1000),
    ]
    assert not connection.is_failure_held()
    assert sent(connection) == [close_frame(1000)]


@both_sides
def test_a_held_failure_does_not_outlast_the_byte_stream(side: str) -> None:
    connection = opened(side)
    connection.hold_failure = True
    assert receive(connection, b"\xff") == []
    connection.receive_eof()
    assert list(connection.events()) == [Close(1006)]
    assert isinstance(connection.error, ProtocolError)
    assert (sent(connection), connection.is_failure_held()) == ([], False)


@both_sides
def test_closing_ends_the_wait_of_a_failure(side: str) -> None:
    connection = opened(side)
    connection.hold_failure = True
    receive(connection, b"\xff")
    connection.send_close(1001)
    assert list(connection.events()) == [Close(1006)], "there is nothing left to answer"
    assert sent(connection) == [close_frame(1001)]
    assert (connection.eof_due, connection.is_failure_held()) == (True, False)


# Linear time: shown by sizes at which anything else would not end


@both_sides
def test_many_fragments_of_a_message_are_linear(side: str) -> None:
    connection = opened(side, max_size=None, max_fragments=None)
    middle = wire(side, *[(CONT, False, bytes(64))] * 2**15)
    assert receive(connection, wire(side, (BINARY, False, b"")), *cut(middle, 1460)) == []
    assert connection.buffered_message() == 2**21
    assert receive(connection, wire(side, (CONT, True, b""))) == [bytes(2**21)]


@both_sides
def test_a_message_byte_by_byte_is_linear(side: str) -> None:
    connection = opened(side)
    data = wire(side, (TEXT, True, b"x" * 2**15))
    assert receive(connection, *cut(data, 1)) == ["x" * 2**15]


@both_sides
def test_many_messages_in_one_read_are_linear(side: str) -> None:
    connection = opened(side)
    data = wire(side, (TEXT, True, b"")) * 2**14
    assert receive(connection, data) == [""] * 2**14


@both_sides
def test_many_reads_before_the_first_event_are_linear(side: str) -> None:
    connection = opened(side)
    data = wire(side, (TEXT, True, b"ab")) * 2**14
    for chunk in cut(data, 1):
        connection.receive_data(chunk)
    assert connection.buffered == len(data)
    assert list(connection.events()) == ["ab"] * 2**14


# Any bytes at all

Outcome = tuple[list[Event], list[Frame], State, bool, str, Close | None, Close | None]


def outcome(side: str, chunks: list[bytes], *, ends: bool) -> Outcome:
    """All that can be seen of a connection that received ``chunks``."""
    connection = opened(side, max_size=200, max_fragments=3)
    events = receive(connection, *chunks)
    if ends:
        connection.receive_eof()
        events += connection.events()
    return (
        events,
        sent(connection),
        connection.state,
        connection.eof_due,
        str(connection.error),
        connection.close_sent,
        connection.close_received,
    )


def cut_at(data: bytes, seams: list[int]) -> list[bytes]:
    edges = [0, *sorted(seam % (len(data) + 1) for seam in seams), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


SIDES = st.sampled_from(["server", "client"])
SEAMS = st.lists(st.integers(0, 2**12), max_size=8)
PAYLOADS = st.one_of(
    st.text(max_size=5).map(str.encode),
    st.binary(max_size=5),
    st.sampled_from([b"", bytes(125), bytes(126), bytes(199), bytes(201)]),
    st.sampled_from([1000, 1001, 1005, 999, 4000]).map(close_payload),
)
FRAMES = st.tuples(
    st.sampled_from([CONT, TEXT, TEXT, BINARY, PING, PONG, CLOSE]), st.booleans(), PAYLOADS
)
PIECES = st.one_of(
    FRAMES.map(lambda frame: lambda side: wire(side, frame)),
    st.binary(max_size=4).map(lambda data: lambda side: data),
)
STREAMS = st.lists(PIECES, max_size=8)


@given(SIDES, STREAMS, SEAMS, st.booleans())
def test_any_split_gives_the_same_events_and_the_same_output(
    side: str, stream: list[Callable[[str], bytes]], seams: list[int], ends: bool
) -> None:
    data = b"".join(piece(side) for piece in stream)
    whole = outcome(side, [data], ends=ends)
    assert outcome(side, cut(data, 1), ends=ends) == whole
    assert outcome(side, cut_at(data, seams), ends=ends) == whole


@given(SIDES, STREAMS, SEAMS)
def test_receiving_never_raises_and_ends_once(
    side: str, stream: list[Callable[[str], bytes]], seams: list[int]
) -> None:
    data = b"".join(piece(side) for piece in stream)
    connection = opened(side, max_size=200, max_fragments=3)
    events: list[Event] = []
    for chunk in cut_at(data, seams):
        connection.receive_data(chunk)
        for event in connection.events():
            assert Close not in map(type, events), "Close is the last event"
            events.append(event)
        assert connection.buffered <= 200 + 125 + 14, "a message, a control frame, a header"
    connection.receive_eof()
    events += connection.events()
    assert [type(event) for event in events].count(Close) == 1
    frames = sent(connection)
    assert frames[: len(pongs(events))] == pongs(events)
    assert [frame[0] for frame in frames[len(pongs(events)) :]] in ([], [CLOSE])


MESSAGES = st.text(max_size=200) | st.binary(max_size=200)


@given(st.lists(st.tuples(MESSAGES, st.lists(st.integers(0, 200), max_size=3))), SIDES, SEAMS)
def test_what_one_end_sends_the_other_receives(
    messages: list[tuple[str | bytes, list[int]]], side: str, seams: list[int]
) -> None:
    """Whole or in fragments, cut anywhere."""
    sender = opened("client" if side == "server" else "server")
    for message, fragments in messages:
        data = message.encode() if isinstance(message, str) else message
        first, *rest = cut_at(data, fragments)
        begin = sender.send_text if isinstance(message, str) else sender.send_binary
        begin(first, fin=not rest)
        for index, fragment in enumerate(rest):
            sender.send_continuation(fragment, fin=index == len(rest) - 1)
    receiver = opened(side)
    assert receive(receiver, *cut_at(sender.data_to_send(), seams)) == [m for m, _ in messages]


@both_sides
def test_idle_is_when_there_is_nothing_to_look_at(side: str) -> None:
    assert not connecting(side).is_idle()
    connection = opened(side)
    assert connection.is_idle()
    data = wire(side, (TEXT, True, b"one"), (TEXT, True, b"two"))
    connection.receive_data(data[:-1])
    assert not connection.is_idle()
    assert connection.next_event() == "one"
    assert not connection.is_idle()
    assert connection.next_event() is None
    connection.receive_data(data[-1:])
    assert connection.next_event() == "two"
    assert connection.is_idle()
    connection.receive_eof()
    assert not connection.is_idle()


@both_sides
def test_a_violation_that_is_held_is_looked_at_again(side: str) -> None:
    connection = opened(side)
    connection.hold_failure = True
    connection.receive_data(b"\xff")
    assert connection.next_event() is None
    assert not connection.is_idle()
    connection.hold_failure = False
    assert isinstance(connection.next_event(), Close)


@both_sides
def test_clear_is_when_a_frame_may_go_out_at_once(side: str) -> None:
    connection = opened(side)
    assert connection.is_clear()
    connection.send_text("whole")
    assert not connection.is_clear()
    connection.data_to_send()
    assert connection.is_clear()
    connection.send_text("half", fin=False)
    connection.data_to_send()
    assert not connection.is_clear()
    connection.send_continuation(b"", fin=True)
    connection.data_to_send()
    assert connection.is_clear()
