"""When events come, what waits for them, and what a loop may ask of a connection."""

from __future__ import annotations

import pytest
from either_side import (
    BINARY,
    CONT,
    PING,
    PONG,
    TEXT,
    Call,
    both_sides,
    call,
    close_frame,
    connecting,
    cut,
    eof,
    name_of,
    opened,
    receive,
    receive_close,
    receive_violation,
    sent,
    wire,
)

from wsproto_async.exceptions import ProtocolError
from wsproto_async.sansio import Close, Ping, State


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
