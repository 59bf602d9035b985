"""The client's end: from its request to an open connection, or to the reason why it failed."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsproto_async.exceptions import (
    HandshakeError,
    InvalidExtension,
    InvalidHeader,
    InvalidMessage,
    InvalidState,
    InvalidStatus,
    InvalidSubprotocol,
    InvalidUpgrade,
)
from wsproto_async.handshake.http11 import Response
from wsproto_async.handshake.uri import parse_uri
from wsproto_async.sansio import ClientConnection, Close, Event, Ping, State

WHOLE = 2**30
every_split = pytest.mark.parametrize("size", [1, 7, WHOLE], ids=["bytes", "sevens", "whole"])

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3
REQUEST = (
    b"GET /chat HTTP/1.1\r\n"
    b"Host: server.example.com\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Version: 13\r\n"
)
FIELDS = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
}
HELLO = b"\x81\x05Hello"  # RFC 6455 5.7
PING, CLOSE = b"\x89\x00", b"\x88\x00"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n"


def build(
    changes: dict[str, str | None] | None = None, start: str = "HTTP/1.1 101 Switching Protocols"
) -> bytes:
    """The server's response with some fields changed, or left out where they are None."""
    fields = FIELDS | (changes or {})
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([start, *lines, "", ""]).encode("latin-1")


RESPONSE = build()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def requesting(**options: object) -> ClientConnection:
    """A connection that has sent its request."""
    connection = ClientConnection("ws://server.example.com/chat", key=KEY, **options)  # type: ignore[arg-type]
    connection.send_request()
    connection.data_to_send()
    return connection


def receive(connection: ClientConnection, *chunks: bytes) -> list[Event]:
    events: list[Event] = []
    for chunk in chunks:
        connection.receive_data(chunk)
        events += connection.events()
    return events


# The request


@pytest.mark.parametrize("parse", [str, parse_uri], ids=["text", "parsed"])
def test_the_request(parse: Callable[[str], str]) -> None:
    connection = ClientConnection(parse("ws://server.example.com/chat"), key=KEY)
    assert connection.request.path == "/chat"
    assert (connection.state, connection.data_to_send()) == (State.CONNECTING, b"")
    connection.send_request()
    assert connection.data_to_send() == REQUEST + b"\r\n"
    assert connection.state is State.CONNECTING


def test_what_the_caller_adds() -> None:
    connection = ClientConnection(
        "ws://server.example.com/chat",
        key=KEY,
        subprotocols=["chat", "superchat"],
        origin="https://app.example.com",
        additional_headers={"Cookie": "a=1"},
        user_agent_header="me/1",
    )
    connection.send_request()
    assert connection.data_to_send() == REQUEST + (
        b"Origin: https://app.example.com\r\n"
        b"Sec-WebSocket-Protocol: chat, superchat\r\n"
        b"User-Agent: me/1\r\n"
        b"Cookie: a=1\r\n"
        b"\r\n"
    )


def test_each_connection_has_its_own_key() -> None:
    requests = [ClientConnection("ws://h").request for _ in range(10)]
    keys = {request.headers["Sec-WebSocket-Key"] for request in requests}
    assert len(keys) == 10
    assert {len(base64.b64decode(key)) for key in keys} == {16}


def test_the_request_is_sent_once() -> None:
    connection = requesting()
    with pytest.raises(InvalidState, match=r"^the request has been sent already$"):
        connection.send_request()
    assert connection.data_to_send() == b""


@pytest.mark.parametrize(
    ("uri", "options"),
    [
        ("http://h", {}),
        ("ws://h/#", {}),
        ("ws://h", {"subprotocols": ["a b"]}),
        ("ws://h", {"subprotocols": ["a", "a"]}),
        ("ws://h", {"origin": "a\r\nb"}),
        ("ws://h", {"additional_headers": {"a b": "c"}}),
    ],
)
def test_what_cannot_be_requested(uri: str, options: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        ClientConnection(uri, **options)  # type: ignore[arg-type]


# Opening


@pytest.mark.parametrize("interim", [b"", CONTINUE, CONTINUE + HINTS], ids=["", "one", "two"])
@pytest.mark.parametrize("frames", [b"", HELLO, HELLO[:3]], ids=["", "a frame", "half a frame"])
@every_split
def test_a_response_that_opens(interim: bytes, frames: bytes, size: int) -> None:
    """Interim responses before it are passed over; frames glued to it are not lost."""
    connection = requesting()
    response, *events = receive(connection, *cut(interim + RESPONSE + frames, size))
    assert isinstance(response, Response)
    assert connection.response is response
    assert (response.status, response.reason) == (101, "Switching Protocols")
    assert response.headers.pairs() == list(FIELDS.items())
    assert (connection.state, connection.error) == (State.OPEN, None)
    assert (connection.subprotocol, connection.eof_due) == (None, False)

    assert events == (["Hello"] if frames == HELLO else [])
    assert receive(connection, HELLO[len(frames) :]) == ["Hello"][len(events) :]
    assert receive(connection, PING) == [Ping(b"")]
    assert connection.data_to_send()[:2] == b"\x8a\x80"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_may_be_received(kind: Callable[[bytes], bytes]) -> None:
    buffer = bytearray(RESPONSE)
    connection = requesting()
    connection.receive_data(kind(buffer))
    buffer[:] = bytes(len(buffer))
    assert isinstance(connection.next_event(), Response)


def test_the_event_comes_before_the_frames_are_looked_at() -> None:
    connection = requesting()
    connection.receive_data(RESPONSE + b"\xff")
    assert isinstance(connection.next_event(), Response)
    assert connection.state is State.OPEN
    assert connection.next_event() == Close(1006)


@pytest.mark.parametrize(("chosen", "subprotocol"), [(None, None), ("chat", "chat")])
def test_the_server_chooses_a_subprotocol(chosen: str | None, subprotocol: str | None) -> None:
    connection = requesting(subprotocols=["superchat", "chat"])
    receive(connection, build({"Sec-WebSocket-Protocol": chosen}))
    assert (connection.state, connection.subprotocol) == (State.OPEN, subprotocol)


# Failing

FAILURES = [
    ("no HTTP", b"\x15\x03", InvalidMessage, "not an HTTP message"),
    ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n", InvalidMessage, "malformed status line"),
    ("bare LF", b"HTTP/1.1 101 x\n", InvalidMessage, "line does not end in CRLF"),
    ("a bad field", b"HTTP/1.1 101 x\r\nA : b\r\n", InvalidMessage, "malformed header line"),
    (
        "HTTP/1.0",
        build(start="HTTP/1.0 101 x"),
        InvalidMessage,
        "server upgrades in HTTP/1.0",
    ),
    ("a long line", b"HTTP/1.1 " + b"1" * 8192, InvalidMessage, "start line over 8192 bytes"),
    (
        "many headers",
        b"HTTP/1.1 101 x\r\n" + b"A: b\r\n" * 101,
        InvalidMessage,
        "more than 100 headers",
    ),
    ("endless 1xx", CONTINUE * 9, InvalidMessage, "over 8 interim responses"),
    ("bad after 1xx", CONTINUE + b"\0", InvalidMessage, "not an HTTP message"),
    (
        "a refusal",
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno",
        InvalidStatus,
        "server answered 403 Forbidden instead of 101",
    ),
    (
        "a redirection",
        b"HTTP/1.1 301 Moved\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
        InvalidStatus,
        "server answered 301 Moved instead of 101",
    ),
    (
        "a refusal in HTTP/1.0",
        b"HTTP/1.0 503 \r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n",
        InvalidStatus,
        "server answered 503  instead of 101",
    ),
    ("no Upgrade", build({"Upgrade": None}), InvalidUpgrade, "Upgrade is not websocket"),
    (
        "no Connection",
        build({"Connection": None}),
        InvalidUpgrade,
        "Connection lacks the token upgrade",
    ),
    (
        "another key's",
        build({"Sec-WebSocket-Accept": KEY}),
        InvalidHeader,
        "Sec-WebSocket-Accept does not answer the key",
    ),
    (
        "an extension",
        build({"Sec-WebSocket-Extensions": "permessage-deflate"}),
        InvalidExtension,
        "server chose extension permessage-deflate, not offered",
    ),
    (
        "a subprotocol",
        build({"Sec-WebSocket-Protocol": "chat"}),
        InvalidSubprotocol,
        "server chose subprotocol chat, not offered",
    ),
]


@pytest.mark.parametrize(
    ("data", "kind", "text"),
    [case[1:] for case in FAILURES],
    ids=[case[0] for case in FAILURES],
)
@pytest.mark.parametrize("tail", [b"", RESPONSE + HELLO], ids=["", "tail"])
@every_split
def test_a_response_that_fails(
    data: bytes, kind: type[HandshakeError], text: str, tail: bytes, size: int
) -> None:
    connection = requesting()
    assert receive(connection, *cut(data + tail, size)) == [Close(1006)]
    assert (type(connection.error), str(connection.error)) == (kind, text)
    if isinstance(connection.error, InvalidStatus):
        assert connection.response is connection.error.response
    assert (connection.state, connection.eof_due) == (State.CLOSING, True)
    assert (connection.data_to_send(), connection.subprotocol) == (b"", None)
    assert connection.buffered == 0
    assert receive(connection, RESPONSE, HELLO) == []
    assert connection.buffered == 0
    connection.receive_eof()
    assert (list(connection.events()), connection.state) == ([], State.CLOSED)


@pytest.mark.parametrize(
    ("fields", "wire", "body"),
    [
        (b"Content-Length: 5\r\n", b"sorry", b"sorry"),
        (b"Content-Length: 0\r\n", b"", b""),
        (b"Transfer-Encoding: chunked\r\n", b"3\r\nsor\r\n2\r\nry\r\n0\r\n", b"sorry"),
        (b"", bytes(2**20), bytes(2**20)),
        (b"Content-Length: 2000000\r\n", bytes(2**20), bytes(2**20)),
    ],
    ids=["length", "empty", "chunks", "endless", "too long"],
)
@pytest.mark.parametrize("interim", [b"", CONTINUE], ids=["", "after 100"])
@pytest.mark.parametrize("tail", [b"", RESPONSE], ids=["", "tail"])
@pytest.mark.parametrize("size", [1, 4099, WHOLE])
def test_a_refusal_brings_its_body(
    fields: bytes, wire: bytes, body: bytes, interim: bytes, tail: bytes, size: int
) -> None:
    connection = requesting()
    data = interim + b"HTTP/1.1 403 Forbidden\r\n" + fields + b"\r\n" + wire
    size = max(size, len(data) // 1000)
    assert receive(connection, *cut(data[:-1], size)) == []
    assert (connection.state, connection.error) == (State.CONNECTING, None)
    assert receive(connection, *cut(data[-1:] + tail, size)) == [Close(1006)]
    assert isinstance(connection.error, InvalidStatus)
    assert connection.error.response is connection.response
    assert connection.error.response.body == body
    assert (connection.state, connection.buffered) == (State.CLOSING, 0)


@pytest.mark.parametrize("status", [204, 304])
@every_split
def test_a_refusal_that_has_no_body(status: int, size: int) -> None:
    connection = requesting()
    data = b"HTTP/1.1 %d \r\n\r\n" % status
    assert receive(connection, *cut(data + b"tail", size)) == [Close(1006)]
    assert isinstance(connection.error, InvalidStatus)
    assert connection.error.response.body == b""


@pytest.mark.parametrize("fields", [b"", b"Content-Length: 9\r\n"])
@pytest.mark.parametrize("read_first", [True, False])
def test_a_refusal_that_was_cut_off_brings_what_has_come(fields: bytes, read_first: bool) -> None:
    connection = requesting()
    connection.receive_data(b"HTTP/1.1 403 Forbidden\r\n" + fields + b"\r\nsorry")
    if read_first:
        assert list(connection.events()) == []
        assert connection.buffered == 5
    connection.receive_eof()
    assert list(connection.events()) == [Close(1006)]
    assert isinstance(connection.error, InvalidStatus)
    assert connection.error.response.body == b"sorry"
    assert (connection.state, connection.buffered) == (State.CLOSED, 0)


@every_split
def test_as_many_interim_responses_as_allowed(size: int) -> None:
    connection = requesting()
    response, *events = receive(connection, *cut(CONTINUE * 8 + RESPONSE + HELLO, size))
    assert isinstance(response, Response)
    assert events == ["Hello"]


def test_an_endless_row_of_interim_responses_is_linear() -> None:
    connection = requesting()
    assert receive(connection, CONTINUE * 2**17) == [Close(1006)]


def test_an_endless_head_is_cut_off() -> None:
    connection = requesting()
    receive(connection, b"HTTP/1.1 101 x\r\n")
    for _ in range(2**15):
        receive(connection, b"A: " + b"b" * 637)
        assert connection.buffered <= 2**16 + 700
    assert (connection.state, connection.buffered) == (State.CLOSING, 0)


# The end of the byte stream


@pytest.mark.parametrize(
    "data", [b"", RESPONSE[:1], RESPONSE[:-1], CONTINUE, CONTINUE + RESPONSE[:30]]
)
@pytest.mark.parametrize("read_first", [True, False])
def test_an_end_before_the_response_is_complete(data: bytes, read_first: bool) -> None:
    connection = requesting()
    connection.receive_data(data)
    if read_first:
        assert list(connection.events()) == []
    connection.receive_eof()
    assert list(connection.events()) == [Close(1006)]
    assert isinstance(connection.error, InvalidMessage)
    assert str(connection.error) == "connection closed before the response was complete"
    assert (connection.state, connection.buffered) == (State.CLOSED, 0)
    assert connection.data_to_send() == b""


def test_what_arrived_before_the_end_can_still_be_had() -> None:
    connection = requesting()
    connection.receive_data(RESPONSE + HELLO)
    connection.receive_eof()
    assert list(map(type, connection.events())) == [Response, str, Close]
    assert (connection.state, connection.error) == (State.CLOSED, None)


def test_a_refusal_before_the_end_is_the_error() -> None:
    connection = requesting()
    connection.receive_data(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    connection.receive_eof()
    assert list(connection.events()) == [Close(1006)]
    assert isinstance(connection.error, InvalidStatus)


def test_buffered_counts_the_head_and_what_follows_it() -> None:
    connection = requesting()
    assert connection.buffered == 0
    receive(connection, RESPONSE[:50])
    assert connection.buffered == 50
    receive(connection, RESPONSE[50:] + HELLO[:3])
    assert connection.buffered == 3 - 2, "the header of the frame has been taken"


# Any bytes at all


def outcome(chunks: list[bytes], *, ends: bool) -> tuple[object, ...]:
    """All that can be seen of a client; of its masked output, how much."""
    connection = requesting(subprotocols=["chat"])
    events: list[object] = receive(connection, *chunks)
    if ends:
        connection.receive_eof()
        events += connection.events()
    seen = [
        (event.status, event.reason, event.headers.pairs())
        if isinstance(event, Response)
        else event
        for event in events
    ]
    error, size = connection.error, connection.output_size
    body = error.response.body if isinstance(error, InvalidStatus) else b""
    return seen, size, connection.state, connection.eof_due, str(error), body


def cut_at(data: bytes, seams: list[int]) -> list[bytes]:
    edges = [0, *sorted(seam % (len(data) + 1) for seam in seams), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


CHANGES = st.dictionaries(
    st.sampled_from(
        [*FIELDS, "Sec-WebSocket-Protocol", "Content-Length", "Transfer-Encoding", "X"]
    ),
    st.none()
    | st.sampled_from(["", "websocket", "upgrade, close", "chat", "chunked", "3", "a\r\nB"])
    | st.text(st.characters(codec="latin-1"), max_size=5),
    max_size=2,
)
STARTS = st.sampled_from(
    ["HTTP/1.1 101 ", "HTTP/1.1 100 Continue", "HTTP/1.1 200 OK", "HTTP/1.1 304 ", "HTTP/2 1"]
)
NOISE = st.sampled_from([b"", HELLO, PING, CLOSE, CONTINUE, b"\r\n"]) | st.binary(max_size=6)
RESPONSES = st.builds(build, CHANGES, STARTS) | st.just(RESPONSE) | NOISE
SEAMS = st.lists(st.integers(0, 2**12), max_size=8)


@given(NOISE, RESPONSES, st.lists(NOISE, max_size=3).map(b"".join), SEAMS, st.booleans())
@example(CONTINUE, RESPONSE, HELLO + PING + CLOSE + HELLO, [5, 200], True)
def test_any_split_gives_the_same(
    before: bytes, response: bytes, rest: bytes, seams: list[int], ends: bool
) -> None:
    data = before + response + rest
    whole = outcome([data], ends=ends)
    assert outcome(cut(data, 1), ends=ends) == whole
    assert outcome(cut_at(data, seams), ends=ends) == whole


@given(NOISE, RESPONSES, st.integers(0, 2**12), NOISE, SEAMS)
def test_receiving_never_raises_and_ends_once(
    before: bytes, response: bytes, place: int, noise: bytes, seams: list[int]
) -> None:
    data = before + response
    place %= len(data) + 1
    chunks = cut_at(data[:place] + noise + data[place:], seams)
    events, _, state, *_ = outcome(chunks, ends=True)
    assert isinstance(events, list)
    assert [type(event) for event in events].count(Close) == 1
    assert type(events[-1]) is Close
    assert state is State.CLOSED
