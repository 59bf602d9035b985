"""Misuse raises and writes nothing, on both sides."""

from __future__ import annotations

import pytest
from either_side import (
    CONT,
    MESSAGE,
    TEXT,
    Call,
    both_sides,
    call,
    connecting,
    eof,
    name_of,
    opened,
    receive_close,
    receive_violation,
    sent,
)

from wsproto_async.exceptions import ConnectionClosed, InvalidState
from wsproto_async.sansio import State

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
