"""What an open connection receives: every rule, on both sides."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
from either_side import (
    BEGUN,
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Frame,
    both_sides,
    close_frame,
    close_payload,
    cut,
    every_split,
    opened,
    pongs,
    receive,
    sent,
    wire,
)

from wsproto_async.exceptions import ProtocolError
from wsproto_async.sansio import Close, Event, Ping, Pong, State

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
