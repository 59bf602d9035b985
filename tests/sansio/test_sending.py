"""What an open connection sends, on both sides."""

from __future__ import annotations

import pytest
from either_side import (
    BINARY,
    CLOSE,
    CONT,
    MESSAGE,
    PING,
    PONG,
    REQUEST,
    RESPONSE,
    TEXT,
    Call,
    Frame,
    both_sides,
    call,
    close_frame,
    connecting,
    name_of,
    opened,
    receive,
    sent,
    wire,
)

from wsproto_async.codec.frames import encode_frame
from wsproto_async.sansio import Close, ServerConnection


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
