"""Two connections back to back: whatever they do, in whatever pieces the network delivers it.

A model predicts every event from the bytes that have been delivered: each frame that means
something is written down with the place in the byte stream at which it ends. So nothing can be
lost, doubled, early, late or out of order without a test failing here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from wsproto_async.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidState,
)
from wsproto_async.handshake.http11 import Request, Response
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

CONNECTING, OPEN, CLOSING, CLOSED = State


class End:
    """One of the two connections, the bytes on their way to it, and what the model knows of it."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.peer: End
        # The byte stream to this end.
        self.in_flight = b""
        self.arriving: deque[tuple[int, Event | type]] = deque()  # (where it ends, what it is)
        self.written = 0  # bytes
        self.delivered = 0
        self.is_cut = False  # no more bytes follow
        self.is_eof_told = False
        # The model of the connection.
        self.state = CONNECTING
        self.is_ended = False
        self.message: str | bytes | None = None  # the one that is being sent in fragments
        self.unsent = b""  # the rest of it
        self.is_holding = False
        self.held: bytes | None = None
        self.close_sent: Close | None = None
        self.close_received: Close | None = None
        self.received_first = False

    def flush(self, *meaning: Event | type) -> None:
        """Put what the connection has written on its way; it ends with ``meaning``."""
        data = self.connection.data_to_send()
        assert data, "something had to be written"
        if not self.peer.is_cut:
            self.peer.in_flight += data
        self.peer.written += len(data)
        self.peer.arriving.extend((self.peer.written, event) for event in meaning)

    def deliver(self, size: int) -> None:
        data, self.in_flight = self.in_flight[:size], self.in_flight[size:]
        self.delivered += len(data)
        self.connection.receive_data(data)

    def expected(self) -> Event | type | None:
        if self.is_ended:
            return None
        if self.arriving and self.arriving[0][0] <= self.delivered:
            return self.arriving.popleft()[1]
        return Close(1006) if self.is_eof_told else None

    def read(self) -> bool:
        """Ask for the next event, which has to be the expected one; tell if there was one."""
        expected = self.expected()
        event = self.connection.next_event()
        if isinstance(expected, type):
            assert type(event) is expected
        else:
            assert event == expected
            assert type(event) is type(expected)
        self.react(event)
        return event is not None

    def react(self, event: Event | None) -> None:
        """Do what RFC 6455 says to an event."""
        match event:
            case Request():
                assert isinstance(self.connection, ServerConnection)
                self.connection.send_response(self.connection.accept())
                self.flush(Response)
                self.open()
            case Response():
                self.open()
            case Ping(payload=payload):
                if self.is_holding:
                    self.held = payload
                elif self.state is OPEN:
                    self.flush(Pong(payload))
            case Close():
                self.is_ended = True
                if event.code != 1006:
                    self.close_received = event
                    if self.state is OPEN:
                        self.received_first = True
                        self.close(event)

    def open(self) -> None:
        if self.state is CONNECTING:
            self.state = OPEN

    def close(self, close: Close) -> None:
        self.close_sent = close
        self.state = CLOSING
        self.flush(close)

    def end_of_stream(self) -> None:
        self.is_eof_told = True
        self.connection.receive_eof()
        self.state = CLOSED

    def check(self) -> None:
        connection = self.connection
        assert connection.state is self.state
        assert connection.output_size == 0
        assert connection.close_sent == self.close_sent
        assert connection.close_received == self.close_received
        assert connection.sending_message is (self.message is not None)
        assert connection.buffered <= self.delivered
        if self.is_ended:
            assert connection.buffered == 0
        # RFC 6455 7.1.1: the server goes first, unless the handshake failed.
        is_server = isinstance(connection, ServerConnection)
        assert connection.eof_due is bool(self.close_received if is_server else connection.error)


SIZES = st.integers(1, 20) | st.sampled_from([50, 2**20])
MESSAGES = (
    st.text(max_size=10) | st.binary(max_size=10) | st.sampled_from(["x" * 126, b"y" * 65536])
)
PAYLOADS = st.binary(max_size=5) | st.just(bytes(125))
CLOSES = st.builds(
    Close, st.sampled_from([1000, 1001, 1011, 3000, 4999]), st.sampled_from(["", "bye", "€" * 41])
)


some_end_is_open = precondition(lambda self: OPEN in (self.client.state, self.server.state))


class BackToBack(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.client = End(ClientConnection("ws://h"))
        self.server = End(ServerConnection())
        self.client.peer, self.server.peer = self.server, self.client
        self.ends = {True: self.client, False: self.server}

    @initialize(opened=st.sampled_from([True, True, False]))
    def request(self, opened: bool) -> None:
        assert isinstance(self.client.connection, ClientConnection)
        self.client.connection.send_request()
        self.client.flush(Request)
        if opened:
            for end in (self.server, self.client):
                end.deliver(2**20)
                assert end.read()

    # The network

    @rule(is_client=st.booleans(), size=SIZES, reads=st.integers(0, 3))
    def deliver(self, is_client: bool, size: int, reads: int) -> None:
        """Some bytes arrive, and some of what they mean is looked at."""
        end = self.ends[is_client]
        end.deliver(size)
        for _ in range(reads):
            end.read()

    @rule(is_client=st.booleans())
    def deliver_all(self, is_client: bool) -> None:
        end = self.ends[is_client]
        end.deliver(2**30)
        while end.read():
            pass

    @precondition(lambda self: not (self.client.is_cut and self.server.is_cut))
    @rule(is_client=st.booleans(), size=st.integers(0, 20))
    def cut(self, is_client: bool, size: int) -> None:
        """Only some of the bytes on their way will still arrive, and none that follow."""
        end = self.ends[is_client]
        end.in_flight = end.in_flight[:size]
        end.is_cut = True

    @precondition(lambda self: self.client.is_cut or self.server.is_cut)
    @rule(is_client=st.booleans())
    def tell_eof(self, is_client: bool) -> None:
        end = self.ends[is_client]
        if end.is_cut and not end.in_flight:
            end.end_of_stream()

    # The applications

    def sender(self, is_client: bool) -> End:
        """That end, or the other one if that is not open."""
        end = self.ends[is_client]
        return end if end.state is OPEN else end.peer

    @some_end_is_open
    @rule(is_client=st.booleans(), message=MESSAGES)
    def send(self, is_client: bool, message: str | bytes) -> None:
        end = self.sender(is_client)
        if end.message is None:
            if isinstance(message, str):
                end.connection.send_text(message)
            else:
                end.connection.send_binary(message)
            end.flush(message)

    @some_end_is_open
    @rule(is_client=st.booleans(), message=MESSAGES, size=st.integers(0, 10))
    def send_first_fragment(self, is_client: bool, message: str | bytes, size: int) -> None:
        end = self.sender(is_client)
        if end.message is None:
            if isinstance(message, str):
                data = message.encode()
                end.connection.send_text(data[:size], fin=False)
            else:
                data = message
                end.connection.send_binary(data[:size], fin=False)
            end.message, end.unsent = message, data[size:]
            end.flush()

    @some_end_is_open
    @rule(is_client=st.booleans(), size=st.integers(0, 10))
    def send_next_fragment(self, is_client: bool, size: int) -> None:
        end = self.sender(is_client)
        if end.message is not None:
            end.connection.send_continuation(end.unsent[:size], fin=False)
            end.unsent = end.unsent[size:]
            end.flush()

    @some_end_is_open
    @rule(is_client=st.booleans())
    def send_last_fragment(self, is_client: bool) -> None:
        end = self.sender(is_client)
        if end.message is not None:
            end.connection.send_continuation(end.unsent, fin=True)
            end.flush(end.message)
            end.message = None

    @some_end_is_open
    @rule(is_client=st.booleans(), payload=PAYLOADS)
    def send_ping(self, is_client: bool, payload: bytes) -> None:
        end = self.sender(is_client)
        end.connection.send_ping(payload)
        end.flush(Ping(payload))

    @some_end_is_open
    @rule(is_client=st.booleans(), payload=PAYLOADS)
    def send_pong(self, is_client: bool, payload: bytes) -> None:
        end = self.sender(is_client)
        end.connection.send_pong(payload)
        end.flush(Pong(payload))

    @some_end_is_open
    @rule(is_client=st.booleans(), close=CLOSES)
    def send_close(self, is_client: bool, close: Close) -> None:
        end = self.sender(is_client)
        end.connection.send_close(close.code, close.reason)
        end.close(close)

    @rule(is_client=st.booleans())
    def hold_or_release_pongs(self, is_client: bool) -> None:
        end = self.ends[is_client]
        end.is_holding = not end.is_holding
        end.connection.hold_pongs = end.is_holding
        if not end.is_holding and end.held is not None:
            if end.state is OPEN:
                end.flush(Pong(end.held))
            end.held = None

    @rule(is_client=st.booleans())
    def misuse(self, is_client: bool) -> None:
        """Calls that do not fit the state raise, and the invariants find nothing changed."""
        connection, state = self.ends[is_client].connection, self.ends[is_client].state
        wrong: list[Callable[[], None]] = []
        if state is not OPEN or self.ends[is_client].message is None:
            wrong += [lambda: connection.send_continuation(b"x", fin=False)]
        if state is not OPEN or self.ends[is_client].message is not None:
            wrong += [lambda: connection.send_text("x"), lambda: connection.send_binary(b"x")]
        if state is not OPEN:
            wrong += [connection.send_ping, connection.send_pong, connection.send_close]
        for call in wrong:
            with pytest.raises(InvalidState if state in (CONNECTING, OPEN) else ConnectionClosed):
                call()

    # What always holds

    @invariant()
    def the_model_is_right(self) -> None:
        self.client.check()
        self.server.check()

    def teardown(self) -> None:
        """Let the network calm down: all that was sent before a cut has arrived, once."""
        ends = (self.client, self.server)
        is_moving = True
        while is_moving:
            is_moving = False
            for end in ends:
                end.deliver(2**30)
                while end.read():
                    is_moving = True  # and may have answered
        for end in ends:
            if not end.is_cut:
                while end.read():
                    pass
                assert end.is_ended or not end.arriving
            end.end_of_stream()
            while end.read():
                pass
            assert end.is_ended
            end.check()
            error = end.connection.closed_error()
            assert (error.received, error.sent) == (end.close_received, end.close_sent)
            assert error.received_first is end.received_first
            ok = {close.code in (1000, 1001) for close in (error.received, error.sent) if close}
            is_ok = error.received is not None and error.sent is not None and ok == {True}
            assert type(error) is (ConnectionClosedOK if is_ok else ConnectionClosedError)


TestBackToBack = BackToBack.TestCase
TestBackToBack.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
