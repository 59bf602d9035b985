"""The state of a connection: the laws of the table, and every way through it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wsproto_async.handshake.http11 import Response
from wsproto_async.sansio import ServerConnection
from wsproto_async.sansio.state import TRANSITIONS, Cause, Lifecycle, State

CONNECTING, OPEN, CLOSING, CLOSED = State


def test_the_values_are_those_of_ready_state() -> None:
    assert [(state.name, state.value) for state in State] == [
        ("CONNECTING", 0),
        ("OPEN", 1),
        ("CLOSING", 2),
        ("CLOSED", 3),
    ]


def test_connecting_comes_first_and_never_again() -> None:
    assert Lifecycle().state is CONNECTING
    assert CONNECTING not in TRANSITIONS.values()


def test_no_state_comes_back() -> None:
    assert all(after >= before for (before, _), after in TRANSITIONS.items())


def test_closing_is_left_by_the_end_of_the_byte_stream_alone() -> None:
    assert {cause: to for (state, cause), to in TRANSITIONS.items() if state is CLOSING} == {
        Cause.EOF: CLOSED
    }


def test_the_end_of_the_byte_stream_closes_from_everywhere() -> None:
    assert {TRANSITIONS[state, Cause.EOF] for state in State} == {CLOSED}


def test_closed_is_last() -> None:
    assert {to for (state, _), to in TRANSITIONS.items() if state is CLOSED} == {CLOSED}


def test_only_an_open_connection_sends_a_close_frame() -> None:
    assert {state for state, cause in TRANSITIONS if cause is Cause.CLOSE_SENT} == {OPEN}


Step = Callable[[ServerConnection], object]


def receive(data: bytes) -> Step:
    def step(connection: ServerConnection) -> None:
        connection.receive_data(data)
        list(connection.events())

    return step


def accept(connection: ServerConnection) -> None:
    connection.send_response(connection.accept())


def refuse(connection: ServerConnection) -> None:
    connection.send_response(Response(403))


def send_close(connection: ServerConnection) -> None:
    connection.send_close()


def end(connection: ServerConnection) -> None:
    connection.receive_eof()
    list(connection.events())


request = receive(
    b"GET / HTTP/1.1\r\n"
    b"Host: h\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n\r\n"
)
bad_request = receive(b"GET\r\n")
text = receive(b"\x81\x82\0\0\0\0hi")
close = receive(b"\x88\x80\0\0\0\0")
violation = receive(b"\xff")


@pytest.mark.parametrize(
    "walk",
    [
        [(end, CLOSED), (end, CLOSED)],
        [(bad_request, CLOSING), (end, CLOSED)],
        [(request, CONNECTING), (refuse, CLOSING), (request, CLOSING), (end, CLOSED)],
        [(request, CONNECTING), (end, CLOSED), (accept, CLOSED)],
        [(request, CONNECTING), (end, CLOSED), (refuse, CLOSED)],
        [(request, CONNECTING), (accept, OPEN), (text, OPEN), (end, CLOSED)],
        [(request, CONNECTING), (accept, OPEN), (close, CLOSING), (end, CLOSED)],
        [(request, CONNECTING), (accept, OPEN), (violation, CLOSING), (end, CLOSED)],
        [(request, CONNECTING), (accept, OPEN), (send_close, CLOSING), (close, CLOSING)],
        [(request, CONNECTING), (accept, OPEN), (send_close, CLOSING), (text, CLOSING)],
        [(request, CONNECTING), (accept, OPEN), (send_close, CLOSING), (violation, CLOSING)],
        [(request, CONNECTING), (accept, OPEN), (send_close, CLOSING), (end, CLOSED)],
    ],
    ids=lambda walk: " > ".join(state.name for _, state in walk),
)
def test_every_way_through_the_states(walk: list[tuple[Step, State]]) -> None:
    connection = ServerConnection()
    assert connection.state is CONNECTING
    for step, state in walk:
        step(connection)
        assert connection.state is state
