"""The server's end: from the first byte of a request to an open connection, or to its refusal.

Requests are fed as bytes and answers compared as bytes, without Date.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from http import HTTPStatus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsproto_async.exceptions import (
    InvalidHeader,
    InvalidHost,
    InvalidMessage,
    InvalidOrigin,
    InvalidState,
    InvalidUpgrade,
)
from wsproto_async.handshake.http11 import Request, Response
from wsproto_async.handshake.origin import Origins
from wsproto_async.sansio import Close, Event, Ping, ServerConnection, State

WHOLE = 2**30
every_split = pytest.mark.parametrize("size", [1, 7, WHOLE], ids=["bytes", "sevens", "whole"])

FIELDS = {
    "Host": "server.example.com",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",  # RFC 6455 1.3
    "Sec-WebSocket-Version": "13",
}
ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\n"
    b"Upgrade: websocket\r\n"
    b"Connection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
)
HELLO = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"  # RFC 6455 5.7
PING, CLOSE = b"\x89\x80\0\0\0\0", b"\x88\x80\0\0\0\0"


def build(changes: dict[str, str | None] | None = None, start: str = "GET /chat HTTP/1.1") -> bytes:
    """The upgrade request with some fields changed, or left out where they are None."""
    fields = FIELDS | (changes or {})
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join([start, *lines, "", ""]).encode("latin-1")


REQUEST = build()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def receive(connection: ServerConnection, *chunks: bytes) -> list[Event]:
    events: list[Event] = []
    for chunk in chunks:
        connection.receive_data(chunk)
        events += connection.events()
    return events


def requested(data: bytes = REQUEST, **options: object) -> ServerConnection:
    """A connection that has received a request and not answered it."""
    connection = ServerConnection(**options)  # type: ignore[arg-type]
    events = receive(connection, data)
    assert list(map(type, events)) == [Request]
    return connection


def undated(data: bytes) -> bytes:
    return re.sub(rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", b"", data)


def refusal(status: int, text: str, *fields: str, connection: str = "close") -> bytes:
    """What a refusal looks like on the wire."""
    body = f"{text}\n"
    head = [
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}",
        *fields,
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(body)}",
        f"Connection: {connection}",
    ]
    return "\r\n".join([*head, "", body]).encode()


# Accepting


@pytest.mark.parametrize("frames", [b"", HELLO, HELLO[:3]], ids=["", "a frame", "half a frame"])
@every_split
def test_an_upgrade(frames: bytes, size: int) -> None:
    """Frames that come with the request wait for the answer, and are not lost."""
    connection = ServerConnection()
    request, *others = receive(connection, *cut(REQUEST + frames, size))
    assert isinstance(request, Request)
    assert connection.request is request
    assert (request.method, request.path, dict(request.headers)) == (
        "GET",
        "/chat",
        {name.lower(): value for name, value in FIELDS.items()},
    )
    assert (others, connection.buffered) == ([], len(frames))
    assert (connection.state, connection.data_to_send()) == (State.CONNECTING, b"")

    response = connection.accept()
    assert (connection.state, connection.data_to_send()) == (State.CONNECTING, b"")
    connection.send_response(response)
    assert connection.data_to_send() == ACCEPTED + b"\r\n"
    assert connection.response is not None
    assert connection.response.status == 101
    assert (connection.state, connection.eof_due) == (State.OPEN, False)
    assert (connection.subprotocol, connection.error) == (None, None)

    expected = ["Hello"] if frames == HELLO else []
    assert list(connection.events()) == expected
    assert receive(connection, HELLO[len(frames) :]) == ["Hello"][len(expected) :]
    assert receive(connection, PING) == [Ping(b"")]
    assert connection.data_to_send() == b"\x8a\x00"


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_may_be_received(kind: Callable[[bytes], bytes]) -> None:
    buffer = bytearray(REQUEST)
    connection = ServerConnection()
    connection.receive_data(kind(buffer))
    buffer[:] = bytes(len(buffer))
    assert isinstance(connection.next_event(), Request)


OFFER = build({"Sec-WebSocket-Protocol": "chat, superchat"})


@pytest.mark.parametrize(
    ("request_", "supported", "chosen"),
    [
        (REQUEST, (), None),
        (REQUEST, ["chat"], None),
        (OFFER, (), None),
        (OFFER, ["other"], None),
        (OFFER, ["superchat", "chat"], "superchat"),
        (OFFER, ["other", "chat"], "chat"),
    ],
)
def test_a_subprotocol_is_negotiated(
    request_: bytes, supported: Sequence[str], chosen: str | None
) -> None:
    connection = requested(request_, subprotocols=supported)
    connection.send_response(connection.accept())
    assert connection.subprotocol == chosen
    header = f"Sec-WebSocket-Protocol: {chosen}\r\n".encode() if chosen else b""
    assert connection.data_to_send() == ACCEPTED + header + b"\r\n"


@pytest.mark.parametrize(("request_", "offered"), [(REQUEST, []), (OFFER, ["chat", "superchat"])])
def test_the_application_may_choose_the_subprotocol(request_: bytes, offered: list[str]) -> None:
    for choice in (None, *offered):
        connection = requested(request_, subprotocols=["superchat"])
        choices = {tuple(offered): choice}
        response = connection.accept(lambda names, choices=choices: choices[tuple(names)])
        assert response.headers.get("Sec-WebSocket-Protocol") == choice
        assert connection.subprotocol == choice


def test_a_subprotocol_that_was_not_offered_is_misuse() -> None:
    connection = requested(OFFER)
    with pytest.raises(ValueError, match=r"^subprotocol 'other' was not offered: "):
        connection.accept(lambda offered: "other")
    assert (connection.subprotocol, connection.data_to_send()) == (None, b"")
    connection.send_response(Response(500))
    assert connection.data_to_send().startswith(b"HTTP/1.1 500 ")


def test_what_the_application_raises_goes_through() -> None:
    connection = requested()
    with pytest.raises(ZeroDivisionError):
        connection.accept(lambda offered: str(1 / 0))
    assert (connection.state, connection.data_to_send()) == (State.CONNECTING, b"")


@pytest.mark.parametrize(
    ("origins", "origin", "allowed"),
    [
        ("same-origin", None, True),
        ("same-origin", "https://server.example.com", True),
        ("same-origin", "https://evil.example.com", False),
        (["https://app.example.com"], "https://app.example.com", True),
        (["https://app.example.com"], None, False),
        (None, "https://evil.example.com", True),
    ],
)
def test_origins(origins: Origins, origin: str | None, allowed: bool) -> None:
    connection = requested(build({"Origin": origin}), origins=origins)
    assert connection.accept().status == (101 if allowed else 403)
    assert isinstance(connection.error, InvalidOrigin) is not allowed


def test_the_hosts_allowed_are_those_of_the_server() -> None:
    assert requested(allowed_hosts=["server.example.com"]).request is not None
    connection = ServerConnection(allowed_hosts=["other.example.com"])
    connection.receive_data(REQUEST)
    assert list(connection.events()) == [Close(1006)]
    assert connection.data_to_send().startswith(b"HTTP/1.1 421 Misdirected Request\r\n")
    assert isinstance(connection.error, InvalidHost)
    assert connection.request.headers["Host"] == "server.example.com"


def test_other_origins_are_refused_by_default() -> None:
    assert requested(build({"Origin": "null"})).accept().status == 403
    assert requested(build({"Origin": "http://evil"})).accept().status == 403


def test_a_server_header_that_http_cannot_carry() -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^value of header Server holds a character "):
            ServerConnection(server_header="me\r\nSet-Cookie: a=b")


def test_the_server_header_stands_in_every_response() -> None:
    accepting = requested(server_header="me/1")
    accepting.send_response(accepting.accept())
    assert accepting.data_to_send() == ACCEPTED + b"Server: me/1\r\n\r\n"
    for data in (REQUEST, b"\x16"):
        connection = ServerConnection(server_header="me/1")
        if receive(connection, data) != [Close(1006)]:
            connection.send_response(Response(404))
        assert b"\r\nServer: me/1\r\n" in connection.data_to_send()


# Refusing what is no valid request

UPGRADE = "Upgrade: websocket"
ALLOW = "Allow: GET, HEAD"
NO_HOST = "exactly one valid Host header is required"
OTHER_HOST = "Host differs from the authority of the request target"
CONTROL = "value of header X holds a control character"
LONG_LINE = b"GET / HTTP/1.1\r\nA: " + b"x" * 8192
MANY_LINES = b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101
LARGE_HEAD = b"GET / HTTP/1.1\r\n" + (b"A: ".ljust(8000, b"x") + b"\r\n") * 9
BAD_REQUESTS: list[tuple[str, bytes, int, str, list[str]]] = [
    ("TLS", b"\x16\x03\x01", 400, "not an HTTP message", []),
    ("bare LF", b"GET / HTTP/1.1\n", 400, "line does not end in CRLF", []),
    ("no target", b"GET HTTP/1.1\r\n", 400, "malformed request line", []),
    ("POST", build(start="POST / HTTP/1.1"), 405, "method POST is not supported", [ALLOW]),
    ("get", build(start="get / HTTP/1.1"), 405, "method get is not supported", [ALLOW]),
    ("HTTP/1.0", build(start="GET / HTTP/1.0"), 505, "HTTP/1.1 is required", []),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/1.1 is required", []),
    ("no Host", build({"Host": None}), 400, NO_HOST, []),
    ("a body", build({"Content-Length": "5"}), 400, "request has a body", []),
    ("chunks", build({"Transfer-Encoding": "chunked"}), 400, "request has a body", []),
    ("another host", build(start="GET http://a/ HTTP/1.1"), 400, OTHER_HOST, []),
    ("NUL", build({"X": "a\0"}), 400, CONTROL, []),
    ("ESC", build({"X": "\x1b"}), 400, CONTROL, []),
    ("a long target", b"GET /" + b"x" * 8192, 414, "start line over 8192 bytes", []),
    ("a long header", LONG_LINE, 431, "header line over 8192 bytes", []),
    ("many headers", MANY_LINES, 431, "more than 100 headers", []),
    ("a large head", LARGE_HEAD, 431, "head over 65536 bytes", []),
]


@pytest.mark.parametrize(
    ("data", "status", "text", "fields"),
    [case[1:] for case in BAD_REQUESTS],
    ids=[case[0] for case in BAD_REQUESTS],
)
@pytest.mark.parametrize("tail", [b"", REQUEST + HELLO], ids=["", "tail"])
@every_split
def test_a_bad_request_is_refused_at_once(
    data: bytes, status: int, text: str, fields: list[str], tail: bytes, size: int
) -> None:
    connection = ServerConnection()
    assert receive(connection, *cut(data + tail, size)) == [Close(1006)]
    assert undated(connection.data_to_send()) == refusal(status, text, *fields)
    assert isinstance(connection.error, InvalidMessage)
    assert connection.response is not None
    assert connection.response.status == connection.error.status == status
    assert connection.request is None
    assert (connection.state, connection.eof_due) == (State.CLOSING, True)
    assert connection.buffered == 0
    assert receive(connection, REQUEST, HELLO) == []
    assert (connection.buffered, connection.data_to_send()) == (0, b"")
    connection.receive_eof()
    assert (list(connection.events()), connection.state) == ([], State.CLOSED)


@pytest.mark.parametrize("data", [b"HEAD / HTTP/1.1\r\n\r\n", b"HEAD / HTTP/1.1\r\nA : b\r\n"])
def test_a_bad_head_request_gets_no_body(data: bytes) -> None:
    connection = ServerConnection()
    assert receive(connection, data) == [Close(1006)]
    head, body = connection.data_to_send().split(b"\r\n\r\n")
    assert (head[:12], body) == (b"HTTP/1.1 400", b"")


# Refusing what is no valid upgrade

V13 = "Sec-WebSocket-Version: 13"
PLAIN = "this is a WebSocket server: upgrade to websocket"
NO_KEY = "Sec-WebSocket-Key is not 16 bytes in base64, once"
FOREIGN = "origin {} is not allowed by the parameter origins"
NO_UPGRADES: list[tuple[str, str | None, int, str, list[str]]] = [
    ("Upgrade", None, 426, PLAIN, [UPGRADE]),
    ("Upgrade", "h2c", 426, PLAIN, [UPGRADE]),
    ("Connection", "close", 426, "Connection lacks the token upgrade", [UPGRADE]),
    ("Sec-WebSocket-Version", "8", 426, "Sec-WebSocket-Version is not 13", [UPGRADE, V13]),
    ("Sec-WebSocket-Version", None, 426, "Sec-WebSocket-Version is not 13", [UPGRADE, V13]),
    ("Sec-WebSocket-Key", "short", 400, NO_KEY, []),
    ("Sec-WebSocket-Key", None, 400, NO_KEY, []),
    ("Sec-WebSocket-Protocol", "a b", 400, "Sec-WebSocket-Protocol is not a list of tokens", []),
    ("Origin", "http://evil", 403, FOREIGN.format("http://evil"), []),
    ("Origin", "http://\xe9", 403, FOREIGN.format("http://\\xe9"), []),
]
KINDS = {400: InvalidHeader, 403: InvalidOrigin, 426: InvalidUpgrade}


@pytest.mark.parametrize(("name", "value", "status", "text", "fields"), NO_UPGRADES)
@pytest.mark.parametrize("tail", [b"", HELLO, REQUEST], ids=["", "frames", "a second request"])
@every_split
def test_what_is_no_upgrade_is_refused_by_accept(
    name: str,
    value: str | None,
    status: int,
    text: str,
    fields: list[str],
    tail: bytes,
    size: int,
) -> None:
    connection = ServerConnection()
    events = receive(connection, *cut(build({name: value}) + tail, size))
    assert list(map(type, events)) == [Request], "what follows is not read as another"
    connection.send_response(connection.accept())
    upgrade = "close, Upgrade" if UPGRADE in fields else "close"
    answer = refusal(status, text, *fields, connection=upgrade)
    assert undated(connection.data_to_send()) == answer
    assert type(connection.error) is KINDS[status]
    assert (connection.state, connection.eof_due) == (State.CLOSING, True)
    assert list(connection.events()) == [], "the caller knows that it refused"
    assert receive(connection, REQUEST, HELLO) == []
    assert (connection.buffered, connection.data_to_send()) == (0, b"")


# Answers of the application's own


@pytest.mark.parametrize(
    ("start", "response", "answer"),
    [
        (
            "GET /health HTTP/1.1",
            Response(200, body="OK\n"),
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Content-Length: 3\r\nConnection: close\r\n\r\nOK\n",
        ),
        (
            "HEAD /health HTTP/1.1",
            Response(200, body="OK\n"),
            b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
            b"Content-Length: 3\r\nConnection: close\r\n\r\n",
        ),
        (
            "GET / HTTP/1.1",
            Response(302, headers={"Location": "/there"}),
            b"HTTP/1.1 302 Found\r\nLocation: /there\r\n"
            b"Content-Length: 0\r\nConnection: close\r\n\r\n",
        ),
        (
            "GET / HTTP/1.1",
            Response(204),
            b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        ),
    ],
)
def test_a_plain_http_request_can_be_answered(
    start: str, response: Response, answer: bytes
) -> None:
    connection = requested(build({"Upgrade": None}, start=start))
    connection.send_response(response)
    assert undated(connection.data_to_send()) == answer
    assert (connection.state, connection.eof_due) == (State.CLOSING, True)
    assert receive(connection, HELLO) == []


def test_a_request_can_be_rejected() -> None:
    connection = ServerConnection()
    connection.receive_data(REQUEST)
    list(connection.events())
    connection.send_response(connection.reject(403, "not you\n"))
    answer = connection.data_to_send()
    assert answer.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert answer.endswith(b"\r\n\r\nnot you\n")
    assert connection.state is State.CLOSING


@pytest.mark.parametrize("status", [101, 100, 199, 600])
def test_not_every_status_rejects(status: int) -> None:
    connection = ServerConnection()
    with pytest.raises(ValueError, match=str(status)):
        connection.reject(status)
    assert connection.data_to_send() == b""


def test_a_refusal_may_come_before_the_request() -> None:
    connection = ServerConnection()
    receive(connection, REQUEST[:20])
    connection.send_response(Response(503))
    assert connection.data_to_send().startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert (connection.state, connection.buffered) == (State.CLOSING, 0)
    assert receive(connection, REQUEST[20:], HELLO) == []


# Misuse raises and writes nothing


@pytest.mark.parametrize("received", [b"", REQUEST[:-1]], ids=["nothing", "half a request"])
def test_there_is_nothing_to_accept_before_the_request(received: bytes) -> None:
    connection = ServerConnection()
    assert receive(connection, received) == []
    with pytest.raises(InvalidState, match=r"^there is no request to accept$"):
        connection.accept()
    with pytest.raises(InvalidState, match=r"^there is no request to accept$"):
        connection.send_response(Response(101))
    assert (connection.data_to_send(), connection.state) == (b"", State.CONNECTING)
    assert connection.response is None
    assert list(map(type, receive(connection, REQUEST[len(received) :]))) == [Request]


@pytest.mark.parametrize("first", [101, 403])
@pytest.mark.parametrize("second", [101, 403])
def test_a_request_is_answered_once(first: int, second: int) -> None:
    connection = requested()
    connection.send_response(connection.accept() if first == 101 else Response(first))
    connection.data_to_send()
    state, response = connection.state, connection.response
    with pytest.raises(InvalidState, match=r"^the request has been answered already$"):
        connection.send_response(Response(second))
    assert connection.data_to_send() == b""
    assert (connection.state, connection.response) == (state, response)


def test_a_request_that_was_refused_for_us_is_answered_once() -> None:
    connection = ServerConnection()
    receive(connection, b"\x16")
    connection.data_to_send()
    for status in (101, 403):
        with pytest.raises(InvalidState):
            connection.send_response(Response(status))
    assert connection.data_to_send() == b""


# The end of the byte stream


@pytest.mark.parametrize("size", [0, 1, 20, len(REQUEST) - 1])
@pytest.mark.parametrize("read_first", [True, False])
def test_an_end_before_the_request_is_complete(size: int, read_first: bool) -> None:
    connection = ServerConnection()
    connection.receive_data(REQUEST[:size])
    if read_first:
        assert list(connection.events()) == []
    connection.receive_eof()
    assert list(connection.events()) == [Close(1006)]
    assert str(connection.error) == "connection closed before the request was complete"
    assert isinstance(connection.error, InvalidMessage)
    assert (connection.state, connection.buffered, connection.request) == (State.CLOSED, 0, None)
    assert connection.data_to_send() == b"", "nobody is there to be answered"


@pytest.mark.parametrize("data", [REQUEST, REQUEST + HELLO])
def test_an_end_before_the_answer(data: bytes) -> None:
    connection = ServerConnection()
    connection.receive_data(data)
    connection.receive_eof()
    assert list(map(type, connection.events())) == [Request, Close]
    assert list(connection.events()) == []
    assert (connection.state, connection.error) == (State.CLOSED, None)


def test_a_half_closed_request_can_be_answered() -> None:
    connection = ServerConnection()
    connection.receive_data(REQUEST + HELLO)
    connection.receive_eof()
    assert isinstance(connection.next_event(), Request)
    connection.send_response(connection.accept())
    assert connection.data_to_send() == ACCEPTED + b"\r\n"
    assert list(connection.events()) == ["Hello", Close(1006)]
    assert connection.state is State.CLOSED


def test_a_bad_request_before_the_end_is_the_error() -> None:
    connection = ServerConnection()
    connection.receive_data(b"\x16")
    connection.receive_eof()
    assert list(connection.events()) == [Close(1006)]
    assert str(connection.error) == "not an HTTP message"


# Bytes that wait


def test_buffered_counts_the_head_and_what_follows_it() -> None:
    connection = ServerConnection()
    assert connection.buffered == 0
    receive(connection, REQUEST[:50])
    assert connection.buffered == 50
    receive(connection, REQUEST[50:] + HELLO)
    assert connection.buffered == len(HELLO)
    connection.send_response(connection.accept())
    assert list(connection.events()) == ["Hello"]
    assert connection.buffered == 0


def test_frames_that_wait_for_the_answer_are_stored_in_linear_time() -> None:
    connection = requested()
    for _ in range(2**15):
        assert receive(connection, HELLO) == []
    assert connection.buffered == len(HELLO) * 2**15
    connection.send_response(connection.accept())
    assert list(connection.events()) == ["Hello"] * 2**15


def test_an_endless_head_is_cut_off() -> None:
    connection = ServerConnection()
    receive(connection, b"GET / HTTP/1.1\r\n")
    for _ in range(2**15):
        receive(connection, b"A: " + b"b" * 637)
        assert connection.buffered <= 2**16 + 700
    assert (connection.state, connection.buffered) == (State.CLOSING, 0)


# Any bytes at all


def answer(chunks: list[bytes], *, ends: bool) -> tuple[object, ...]:
    """All that can be seen of a server that accepts what it can."""
    connection = ServerConnection(subprotocols=["chat"])
    events: list[Event | tuple[str, str, list[tuple[str, str]]]] = []

    def read() -> None:
        for event in connection.events():
            if isinstance(event, Request):
                events.append((event.method, event.path, event.headers.pairs()))
                connection.send_response(connection.accept())
            else:
                events.append(event)

    for chunk in chunks:
        connection.receive_data(chunk)
        read()
    if ends:
        connection.receive_eof()
        read()
    output = undated(connection.data_to_send())
    return events, output, connection.state, connection.eof_due, str(connection.error)


def cut_at(data: bytes, seams: list[int]) -> list[bytes]:
    edges = [0, *sorted(seam % (len(data) + 1) for seam in seams), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


CHANGES = st.dictionaries(
    st.sampled_from([*FIELDS, "Origin", "Content-Length", "Sec-WebSocket-Protocol", "X"]),
    st.none()
    | st.sampled_from(["", "websocket", "upgrade, close", "13", "0", "chat", "http://h", "a\r\nB"])
    | st.text(st.characters(codec="latin-1"), max_size=5),
    max_size=3,
)
STARTS = st.sampled_from(
    [
        "GET / HTTP/1.1",
        "HEAD / HTTP/1.1",
        "GET / HTTP/1.0",
        "PUT / HTTP/1.1",
        "GET http://h HTTP/1.1",
    ]
)
NOISE = st.sampled_from([b"", HELLO, PING, CLOSE, b"\r\n", REQUEST]) | st.binary(max_size=6)
REQUESTS = st.builds(build, CHANGES, STARTS) | st.just(REQUEST) | NOISE
SEAMS = st.lists(st.integers(0, 2**12), max_size=8)


@given(REQUESTS, st.lists(NOISE, max_size=3).map(b"".join), SEAMS, st.booleans())
@example(REQUEST, HELLO + PING + CLOSE + HELLO, [5, 200], True)
def test_any_split_gives_the_same_events_and_the_same_output(
    request_: bytes, rest: bytes, seams: list[int], ends: bool
) -> None:
    data = request_ + rest
    whole = answer([data], ends=ends)
    assert answer(cut(data, 1), ends=ends) == whole
    assert answer(cut_at(data, seams), ends=ends) == whole


@given(REQUESTS, NOISE, st.integers(0, 2**12), NOISE, SEAMS)
def test_receiving_never_raises_and_ends_once(
    request_: bytes, rest: bytes, place: int, noise: bytes, seams: list[int]
) -> None:
    data = request_ + rest
    place %= len(data) + 1
    chunks = cut_at(data[:place] + noise + data[place:], seams)
    events, output, state, *_ = answer(chunks, ends=True)
    assert isinstance(events, list)
    assert isinstance(output, bytes)
    assert [type(event) for event in events].count(Close) <= 1
    statuses = re.findall(rb"^HTTP/1\.1 [0-9]{3} ", output, re.MULTILINE)
    assert len(statuses) == bool(output), "one answer, unless the request was cut off"
    assert state is State.CLOSED


# Refusing by a response whose body follows


def test_body_in_parts() -> None:
    connection = requested(server_header="me/1")
    connection.begin_refusal(Response(403, headers=[("Date", "today")]))
    assert connection.state is State.CLOSING
    assert not connection.eof_due
    assert connection.data_to_send() == (
        b"HTTP/1.1 403 Forbidden\r\nDate: today\r\nServer: me/1\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    )
    connection.send_body(b"no", more_body=True)
    assert connection.data_to_send() == b"2\r\nno\r\n"
    assert not connection.eof_due
    connection.send_body(b"!", more_body=False)
    assert connection.data_to_send() == b"1\r\n!\r\n0\r\n\r\n"
    assert connection.eof_due


def test_body_in_parts_of_a_known_length() -> None:
    connection = requested(server_header="me/1")
    connection.begin_refusal(Response(403, headers=[("Content-Length", "3"), ("Server", "it")]))
    assert b"chunked" not in connection.data_to_send()
    connection.send_body(b"no", more_body=True)
    with pytest.raises(ValueError, match="not as long"):
        connection.send_body(b"!!", more_body=False)
    connection.send_body(b"!", more_body=False)
    assert connection.data_to_send() == b"no!"


def test_input_is_dropped_while_a_body_is_sent() -> None:
    connection = requested()
    connection.begin_refusal(Response(403))
    assert receive(connection, HELLO) == []
    assert connection.buffered == 0


@pytest.mark.parametrize("status", [101, 204, 304])
def test_status_that_has_no_body(status: int) -> None:
    connection = requested()
    with pytest.raises(ValueError, match="has no body"):
        connection.begin_refusal(Response(status))
    assert connection.data_to_send() == b""
    connection.send_response(connection.accept())


def test_body_that_nobody_waits_for() -> None:
    connection = requested()
    with pytest.raises(InvalidState):
        connection.send_body(b"x", more_body=False)
    connection.begin_refusal(Response(403))
    connection.send_body(b"x", more_body=False)
    with pytest.raises(InvalidState):
        connection.send_body(b"x", more_body=False)
    with pytest.raises(InvalidState):
        connection.begin_refusal(Response(403))
