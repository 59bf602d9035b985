"""What the strategies draw, held against the protocol without IO: right is right, wrong wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsproto_async.codec.opcodes import is_sendable_close_code
from wsproto_async.handshake.http11 import Request
from wsproto_async.handshake.uri import parse_uri
from wsproto_async.sansio import ClientConnection, Close, Ping, Pong, ServerConnection
from wsproto_async.testing import connected_pair, strategies, virtual_clock


def open_pair() -> tuple[ClientConnection, ServerConnection]:
    client, server = ClientConnection(parse_uri("ws://localhost/")), ServerConnection()
    client.send_request()
    server.receive_data(client.data_to_send())
    assert isinstance(server.next_event(), Request)
    server.send_response(server.accept())
    client.receive_data(server.data_to_send())
    client.next_event()
    return client, server


def receiver(masked: bool) -> ClientConnection | ServerConnection:
    client, server = open_pair()
    return server if masked else client


@pytest.mark.parametrize("masked", [True, False], ids=["client's", "server's"])
@given(data=st.data())
def test_frames_are_right(masked: bool, data: st.DataObject) -> None:
    frame = data.draw(strategies.frames(masked))
    connection = receiver(masked)
    connection.receive_data(frame)
    list(connection.events())
    assert connection.error is None


@pytest.mark.parametrize("masked", [True, False], ids=["client's", "server's"])
@given(data=st.data())
def test_invalid_frames_are_wrong(masked: bool, data: st.DataObject) -> None:
    frame = data.draw(strategies.invalid_frames(masked))
    connection = receiver(masked)
    connection.receive_data(frame)
    list(connection.events())
    assert connection.close_sent is not None
    assert connection.close_sent.code in (1002, 1007)


@given(st.data())
def test_close_codes(data: st.DataObject) -> None:
    assert is_sendable_close_code(data.draw(strategies.close_codes()))
    assert not is_sendable_close_code(data.draw(strategies.close_codes(valid=False)))
    assert len(data.draw(strategies.closes()).reason.encode()) <= 123


@given(st.data(), st.integers(0, 200))
def test_messages(data: st.DataObject, size: int) -> None:
    message = data.draw(strategies.messages(size))
    assert len(message.encode() if isinstance(message, str) else message) <= size


@given(st.data(), st.binary(max_size=50))
def test_cuts(data: st.DataObject, whole: bytes) -> None:
    pieces = data.draw(strategies.cuts(whole))
    assert b"".join(pieces) == whole
    assert all(pieces)


@settings(max_examples=50)
@given(st.data())
def test_conversations(data: st.DataObject) -> None:
    said = data.draw(strategies.conversations(max_size=70_000))
    server = ServerConnection()
    messages, pings, close = [], [], None
    for piece in data.draw(strategies.cuts(said.data)):
        server.receive_data(piece)
        for event in server.events():
            match event:
                case Request():
                    server.send_response(server.accept())
                case str() | bytes():
                    messages.append(event)
                case Ping():
                    pings.append(event.payload)
                case Pong():
                    pass
                case Close():
                    close = event
                case _:
                    raise AssertionError(event)
    assert server.error is None
    assert (tuple(messages), tuple(pings), close) == (said.messages, said.pings, said.close)


@settings(max_examples=30)
@given(st.lists(strategies.messages(2000), max_size=5), st.lists(st.integers(1, 9), max_size=3))
def test_a_handler(messages: list[str | bytes], sizes: list[int]) -> None:
    """As users do it: examples from Hypothesis, each with a pair of its own."""

    @virtual_clock
    async def example() -> None:
        async with connected_pair() as pair:
            pair.link.split(*sizes)
            for message in messages:
                await pair.client.send(message)
                assert await pair.server.recv() == message

    example()
