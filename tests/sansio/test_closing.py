"""How a connection ends: the closing handshake, and the end of the byte stream."""

from __future__ import annotations

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
    receive,
    sent,
    wire,
)

from wsproto_async.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    ProtocolError,
)
from wsproto_async.sansio import Close, Event, Ping, Pong, State

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
