"""The server's side of the opening handshake: every refusal with its status and headers."""

from __future__ import annotations

import base64
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.exceptions import (
    HandshakeError,
    InvalidHeader,
    InvalidMessage,
    InvalidOrigin,
    InvalidUpgrade,
)
from wsproto_async.handshake.headers import Headers
from wsproto_async.handshake.http11 import Request, Response
from wsproto_async.handshake.server import (
    accept_response,
    accept_token,
    build_request,
    check_upgrade,
    finish_response,
    refusal,
    select_subprotocol,
)

Fields = list[tuple[str, str]]

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3
UPGRADE: Fields = [
    ("Host", "server.example.com"),
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
]


def changed(name: str, *values: str) -> Request:
    """The upgrade request with another field of that name, with several, or with none."""
    kept = [pair for pair in UPGRADE if pair[0] != name]
    return Request("/", Headers([*kept, *((name, value) for value in values)]))


# Any HTTP request


@pytest.mark.parametrize(
    ("target", "host", "path"),
    [
        ("/", "example.com", "/"),
        ("/chat?room=1", "example.com:8765", "/chat?room=1"),
        ("//evil.com", "example.com", "//evil.com"),
        ("/", "EXAMPLE.com.", "/"),
        ("/", "127.0.0.1:", "/"),
        ("/", "[::1]:8765", "/"),
        ("/", "[2001:db8::192.0.2.1]", "/"),
        ("/", "a-b_c~d.example", "/"),
        ("http://example.com/chat", "example.com", "/chat"),
        ("HTTPS://Example.COM/", "example.com", "/"),
        ("ws://example.com:80/a?b", "example.com:80", "/a?b"),
        ("wss://example.com", "example.com", "/"),
        ("http://example.com?a=/b", "example.com", "/?a=/b"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_request(target: str, host: str, path: str, method: str) -> None:
    headers = Headers([("Host", host), ("Content-Length", "0")])
    request = build_request((method, target), headers)
    assert (request.method, request.path, request.headers) == (method, path, headers)


BAD_REQUESTS: list[tuple[str, Fields, str]] = [
    ("/", [], "exactly one valid Host header is required"),
    ("/", [("Host", "a"), ("Host", "b")], "exactly one valid Host header is required"),
    ("/", [("Host", "a"), ("host", "a")], "exactly one valid Host header is required"),
    ("/", [("Host", "")], "exactly one valid Host header is required"),
    ("/", [("Host", "a b")], "exactly one valid Host header is required"),
    ("/", [("Host", "a, b")], "exactly one valid Host header is required"),
    ("/", [("Host", "a/b")], "exactly one valid Host header is required"),
    ("/", [("Host", "u@a")], "exactly one valid Host header is required"),
    ("/", [("Host", "a:b")], "exactly one valid Host header is required"),
    ("/", [("Host", "a:1:2")], "exactly one valid Host header is required"),
    ("/", [("Host", ":80")], "exactly one valid Host header is required"),
    ("/", [("Host", "::1")], "exactly one valid Host header is required"),
    ("/", [("Host", "[::1")], "exactly one valid Host header is required"),
    ("/", [("Host", "[::1]x")], "exactly one valid Host header is required"),
    ("/", [("Host", "\xe9")], "exactly one valid Host header is required"),
    ("/", [("Host", "h"), ("Content-Length", "1")], "request has a body"),
    ("/", [("Host", "h"), ("Content-Length", "00")], "request has a body"),
    ("/", [("Host", "h"), ("Content-Length", "+0")], "request has a body"),
    ("/", [("Host", "h"), ("Content-Length", "")], "request has a body"),
    ("/", [("Host", "h"), ("Content-Length", "0"), ("Content-Length", "0")], "request has a body"),
    ("/", [("Host", "h"), ("Content-Length", "x")], "request has a body"),
    ("/", [("Host", "h"), ("Transfer-Encoding", "chunked")], "request has a body"),
    ("/", [("Host", "h"), ("transfer-encoding", "identity")], "request has a body"),
    ("/", [("Host", "h"), ("Transfer-Encoding", "")], "request has a body"),
    ("http://a/", [("Host", "b")], "Host differs from the authority of the request target"),
    ("http://a:80/", [("Host", "a")], "Host differs from the authority of the request target"),
    ("http://u@a/", [("Host", "a")], "Host differs from the authority of the request target"),
    ("http:///", [("Host", "a")], "Host differs from the authority of the request target"),
    ("*", [("Host", "h")], "request target is not a path"),
    ("h:80", [("Host", "h")], "request target is not a path"),
    ("ftp://h/", [("Host", "h")], "request target is not a path"),
    ("chat", [("Host", "h")], "request target is not a path"),
]


@pytest.mark.parametrize(("target", "fields", "error"), BAD_REQUESTS)
def test_a_bad_request(target: str, fields: Fields, error: str) -> None:
    with pytest.raises(InvalidMessage, match=f"^{error}$") as caught:
        build_request(("GET", target), Headers(fields))
    assert caught.value.status == 400


# The upgrade request


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Upgrade", "websocket"),
        ("Upgrade", "WebSocket"),
        ("Upgrade", "h2c, websocket"),
        ("Upgrade", "IRC/6.9, websocket, RTA/x11"),
        ("Connection", "upgrade"),
        ("Connection", "keep-alive, Upgrade"),
        ("Connection", "UPGRADE,close"),
        ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("Sec-WebSocket-Key", "+/+/+/+/+/+/+/+/+/+/+w=="),
        ("Expect", "100-continue"),
    ],
)
def test_an_upgrade_request(name: str, value: str) -> None:
    key = value if name == "Sec-WebSocket-Key" else KEY
    assert check_upgrade(changed(name, value)) == key


def test_several_fields_of_a_list_are_one_list() -> None:
    assert check_upgrade(changed("Connection", "keep-alive", "upgrade")) == KEY
    assert check_upgrade(changed("Upgrade", "h2c", "websocket")) == KEY


TO_WEBSOCKET = [("Upgrade", "websocket")]
TO_VERSION_13 = [*TO_WEBSOCKET, ("Sec-WebSocket-Version", "13")]

REFUSED: list[tuple[str, list[str], int, Fields]] = [
    ("Upgrade", [], 426, TO_WEBSOCKET),
    ("Upgrade", [""], 426, TO_WEBSOCKET),
    ("Upgrade", ["h2c"], 426, TO_WEBSOCKET),
    ("Upgrade", ["HTTP/2.0"], 426, TO_WEBSOCKET),
    ("Upgrade", ["websockets"], 426, TO_WEBSOCKET),
    ("Upgrade", ["web socket"], 426, TO_WEBSOCKET),
    ("Connection", [], 426, TO_WEBSOCKET),
    ("Connection", ["keep-alive"], 426, TO_WEBSOCKET),
    ("Connection", ["upgraded"], 426, TO_WEBSOCKET),
    ("Sec-WebSocket-Version", [], 426, TO_VERSION_13),
    ("Sec-WebSocket-Version", ["8"], 426, TO_VERSION_13),
    ("Sec-WebSocket-Version", ["13, 8"], 426, TO_VERSION_13),
    ("Sec-WebSocket-Version", ["13", "8"], 426, TO_VERSION_13),
    ("Sec-WebSocket-Version", ["13", "13"], 426, TO_VERSION_13),
    ("Sec-WebSocket-Version", ["013"], 426, TO_VERSION_13),
    ("Sec-WebSocket-Version", ["0xd"], 426, TO_VERSION_13),
    ("Sec-WebSocket-Version", ["1.3e1"], 426, TO_VERSION_13),
    ("Sec-WebSocket-Version", ["+13"], 426, TO_VERSION_13),
    ("Sec-WebSocket-Version", ["14"], 426, TO_VERSION_13),
    ("Sec-WebSocket-Key", [], 400, []),
    ("Sec-WebSocket-Key", [""], 400, []),
    ("Sec-WebSocket-Key", [KEY, KEY], 400, []),
    ("Sec-WebSocket-Key", ["dGhlIHNhbXBsZSBub25jZQ="], 400, []),
    ("Sec-WebSocket-Key", ["dGhlIHNhbXBsZSBub25jZQ"], 400, []),
    ("Sec-WebSocket-Key", ["dGhlIHNhbXBsZSBub25jZQ==="], 400, []),
    ("Sec-WebSocket-Key", ["dGhlIHNhbXBsZSBub25j"], 400, []),
    ("Sec-WebSocket-Key", ["dGhlIHNhbXBsZSBub25jZXh4"], 400, []),
    ("Sec-WebSocket-Key", ["dGhlIHNhbXBsZSBub25jZXg="], 400, []),
    ("Sec-WebSocket-Key", ["dGhlIHNhbXBsZSBub2 5jZQ="], 400, []),
    ("Sec-WebSocket-Key", ["dGhlIHNhbXBsZSBub25jZ-=="], 400, []),
    ("Sec-WebSocket-Key", ["dGhlIHNhbXBsZSBub25j\xe9Q=="], 400, []),
    ("Sec-WebSocket-Key", ["=" * 24], 400, []),
]


@pytest.mark.parametrize(("name", "values", "status", "headers"), REFUSED)
def test_what_is_no_upgrade(name: str, values: list[str], status: int, headers: Fields) -> None:
    kind = InvalidUpgrade if status == 426 else InvalidHeader
    with pytest.raises(kind) as caught:
        check_upgrade(changed(name, *values))
    assert (caught.value.status, list(caught.value.headers)) == (status, headers)


def test_head_is_no_upgrade() -> None:
    with pytest.raises(InvalidUpgrade) as caught:
        check_upgrade(Request("/", Headers(UPGRADE), method="HEAD"))
    assert (caught.value.status, caught.value.headers) == (426, TO_WEBSOCKET)


@given(st.binary(max_size=20))
def test_a_key_is_16_bytes(random: bytes) -> None:
    key = base64.b64encode(random).decode()
    try:
        assert check_upgrade(changed("Sec-WebSocket-Key", key)) == key
    except InvalidHeader:
        assert len(random) != 16
    else:
        assert len(random) == 16


@given(st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=24))
def test_any_key_is_accepted_or_refused(text: str) -> None:
    try:
        check_upgrade(changed("Sec-WebSocket-Key", text.strip(" ")))
    except InvalidHeader:
        return
    assert len(base64.b64decode(text)) == 16


# The answer


def test_the_accept_token_of_rfc_6455_1_3() -> None:
    assert accept_token(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(
    ("offered", "supported", "chosen"),
    [
        ([], [], None),
        ([], ["chat"], None),
        (["chat"], [], None),
        (["chat"], ["chat"], "chat"),
        (["a", "b"], ["b", "a"], "b"),
        (["a", "b"], ["c", "b"], "b"),
        (["a"], ["c"], None),
        (["Chat"], ["chat"], None),
    ],
)
def test_the_server_s_preference_chooses_the_subprotocol(
    offered: list[str], supported: list[str], chosen: str | None
) -> None:
    assert select_subprotocol(offered, supported) == chosen


@pytest.mark.parametrize("subprotocol", [None, "chat"])
def test_the_101(subprotocol: str | None) -> None:
    response = accept_response(KEY, subprotocol)
    assert response.status == 101
    assert response.headers.pairs() == [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
        *([("Sec-WebSocket-Protocol", "chat")] if subprotocol else []),
    ]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidMessage("bad"), 400),
        (InvalidHeader("bad"), 400),
        (InvalidOrigin("bad"), 403),
        (InvalidMessage("bad", status=405, headers=[("Allow", "GET, HEAD")]), 405),
        (InvalidMessage("bad", status=414), 414),
        (InvalidUpgrade("bad", headers=TO_VERSION_13), 426),
        (InvalidMessage("bad", status=431), 431),
        (InvalidMessage("bad", status=505), 505),
    ],
)
def test_a_refusal_says_why(error: HandshakeError, status: int) -> None:
    response = refusal(error)
    assert (response.status, response.body) == (status, b"bad\n")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    for name, value in error.headers:
        assert response.headers[name] == value


def test_a_refusal_is_plain_ascii_whatever_the_client_sent() -> None:
    assert refusal(InvalidOrigin("origin http://\xe9 \x9b")).body == b"origin http://\\xe9 \\x9b\n"


FINISHED: list[tuple[str, Response, Fields, bytes]] = [
    ("a 101 stays as it is", Response(101, headers=[("Upgrade", "websocket")]), TO_WEBSOCKET, b""),
    (
        "a body has a length",
        Response(200, body=b"12345"),
        [("Content-Length", "5"), ("Connection", "close"), ("Date", "now")],
        b"12345",
    ),
    (
        "so has none",
        Response(403),
        [("Content-Length", "0"), ("Connection", "close"), ("Date", "now")],
        b"",
    ),
    (
        "no other length stands in its place, nor another Connection",
        Response(200, headers=[("content-length", "9"), ("connection", "keep-alive")], body=b"1"),
        [("Content-Length", "1"), ("Connection", "close"), ("Date", "now")],
        b"1",
    ),
    (
        "Upgrade is named in Connection",
        Response(426, headers=TO_WEBSOCKET),
        [
            *TO_WEBSOCKET,
            ("Content-Length", "0"),
            ("Connection", "close, Upgrade"),
            ("Date", "now"),
        ],
        b"",
    ),
    (
        "a date that is there stays",
        Response(200, headers=[("date", "then")]),
        [("date", "then"), ("Content-Length", "0"), ("Connection", "close")],
        b"",
    ),
    (
        "204 has no content",
        Response(204, body=b"12345"),
        [("Connection", "close"), ("Date", "now")],
        b"",
    ),
    (
        "304 neither",
        Response(304, body=b"12345"),
        [("Connection", "close"), ("Date", "now")],
        b"",
    ),
]


@pytest.mark.parametrize(
    ("response", "fields", "body"),
    [case[1:] for case in FINISHED],
    ids=[case[0] for case in FINISHED],
)
def test_what_any_response_of_a_kind_has(response: Response, fields: Fields, body: bytes) -> None:
    before = response.headers.pairs()
    finished = finish_response(response, None)
    date = r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"
    pairs = [
        (name, "now" if re.fullmatch(date, value) else value)
        for name, value in finished.headers.pairs()
    ]
    assert (pairs, finished.body) == (fields, body)
    assert (finished.status, finished.reason) == (response.status, response.reason)
    assert response.headers.pairs() == before, "the application's own stays as it is"


@pytest.mark.parametrize("status", [101, 200, 204, 426])
@pytest.mark.parametrize(
    ("own", "server_header", "value"),
    [
        ([], None, None),
        ([], "wsproto_async", "wsproto_async"),
        ([("server", "mine")], "wsproto_async", "mine"),
        ([("Server", "mine")], None, "mine"),
    ],
)
def test_the_server_header(
    status: int, own: Fields, server_header: str | None, value: str | None
) -> None:
    finished = finish_response(Response(status, headers=own), server_header)
    assert finished.headers.get("Server") == value
