"""The client's side of the opening handshake: what it asks, and what it takes for an answer."""

from __future__ import annotations

import base64

import pytest

from wsproto_async.exceptions import (
    HandshakeError,
    InvalidHeader,
    InvalidStatus,
    InvalidSubprotocol,
    InvalidUpgrade,
)
from wsproto_async.handshake.client import build_upgrade_request, check_response, generate_key
from wsproto_async.handshake.headers import Headers
from wsproto_async.handshake.http11 import Response
from wsproto_async.handshake.uri import parse_uri

Fields = list[tuple[str, str]]

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 1.3
ACCEPTED: Fields = [
    ("Upgrade", "websocket"),
    ("Connection", "Upgrade"),
    ("Sec-WebSocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
]


def request_fields(uri: str, **options: object) -> Fields:
    return build_upgrade_request(parse_uri(uri), KEY, **options).headers.pairs()  # type: ignore[arg-type]


def answer(name: str, *values: str) -> Response:
    """The 101 with another field of that name, with several, or with none."""
    kept = [pair for pair in ACCEPTED if pair[0] != name]
    return Response(101, headers=[*kept, *((name, value) for value in values)])


def test_a_key_is_16_fresh_bytes() -> None:
    keys = {generate_key() for _ in range(100)}
    assert len(keys) == 100
    assert {len(base64.b64decode(key, validate=True)) for key in keys} == {16}


# The request


def test_the_request() -> None:
    request = build_upgrade_request(parse_uri("ws://h:8765/chat?room=1"), KEY)
    assert request.serialize() == (
        b"GET /chat?room=1 HTTP/1.1\r\n"
        b"Host: h:8765\r\n"
        b"Upgrade: websocket\r\n"
        b"Connection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Version: 13\r\n"
        b"\r\n"
    )


@pytest.mark.parametrize(
    ("uri", "options", "added"),
    [
        ("ws://h", {"origin": "https://h"}, [("Origin", "https://h")]),
        ("ws://h", {"subprotocols": ["b", "a"]}, [("Sec-WebSocket-Protocol", "b, a")]),
        ("ws://h", {"subprotocols": ("a",)}, [("Sec-WebSocket-Protocol", "a")]),
        ("ws://h", {"user_agent_header": "me/1"}, [("User-Agent", "me/1")]),
        ("ws://u:p@h", {}, [("Authorization", "Basic dTpw")]),
        ("ws://%C3%BC:p@h", {}, [("Authorization", "Basic w7w6cA==")]),
        ("ws://h", {"additional_headers": {"X-A": "1"}}, [("X-A", "1")]),
        (
            "ws://h",
            {"additional_headers": [("Cookie", "a=1"), ("Cookie", "b=2")]},
            [("Cookie", "a=1"), ("Cookie", "b=2")],
        ),
        (
            "ws://u:p@h",
            {
                "user_agent_header": "me/1",
                "origin": "https://h",
                "subprotocols": ["a"],
                "additional_headers": Headers([("X-A", "1")]),
            },
            [
                ("Origin", "https://h"),
                ("Sec-WebSocket-Protocol", "a"),
                ("User-Agent", "me/1"),
                ("Authorization", "Basic dTpw"),
                ("X-A", "1"),
            ],
        ),
    ],
)
def test_what_can_be_added(uri: str, options: dict[str, object], added: Fields) -> None:
    assert request_fields(uri, **options) == [*request_fields("ws://h"), *added]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("host", {}),
        ("user-agent", {"user_agent_header": "ours"}),
        ("origin", {"origin": "https://ours"}),
        ("authorization", {}),
    ],
)
def test_the_caller_s_fields_replace_ours(name: str, options: dict[str, object]) -> None:
    fields = request_fields("ws://u:p@h", additional_headers=[(name, "theirs")], **options)
    assert Headers(fields).get_all(name) == ["theirs"]
    assert len(fields) == len(request_fields("ws://u:p@h", **options))


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"subprotocols": "chat"}, "subprotocols is not a sequence of tokens"),
        ({"subprotocols": ["a", "b c"]}, "subprotocols is not a sequence of tokens"),
        ({"subprotocols": ["a, b"]}, "subprotocols is not a sequence of tokens"),
        ({"subprotocols": [""]}, "subprotocols is not a sequence of tokens"),
        ({"subprotocols": ["a\r\n"]}, "subprotocols is not a sequence of tokens"),
        ({"subprotocols": ["a", "b", "a"]}, "subprotocols are not all different"),
        ({"origin": "https://h\r\nX: y"}, "value of header Origin"),
        ({"user_agent_header": "a\0"}, "value of header User-Agent"),
        ({"additional_headers": {"X": "a\nb"}}, "value of header X"),
        ({"additional_headers": {"X y": "a"}}, "header name 'X y' is not a token"),
    ],
)
def test_what_http_cannot_carry_is_misuse(options: dict[str, object], error: str) -> None:
    with pytest.raises(ValueError, match=error):
        request_fields("ws://h", **options)


# The response


@pytest.mark.parametrize(
    ("response", "offered", "subprotocol"),
    [
        (Response(101, headers=ACCEPTED), [], None),
        (Response(101, headers=ACCEPTED), ["chat"], None),
        (answer("Upgrade", "WebSocket"), [], None),
        (answer("Connection", "keep-alive, UPGRADE"), [], None),
        (answer("Connection", "keep-alive", "upgrade"), [], None),
        (answer("Sec-WebSocket-Protocol", "chat"), ["chat"], "chat"),
        (answer("Sec-WebSocket-Protocol", "chat"), ("other", "chat"), "chat"),
        (answer("Server", "theirs"), [], None),
    ],
)
def test_a_response_that_opens(
    response: Response, offered: list[str], subprotocol: str | None
) -> None:
    assert check_response(response, KEY, offered) == subprotocol


@pytest.mark.parametrize(
    ("response", "kind", "error"),
    [
        (answer("Upgrade"), InvalidUpgrade, "Upgrade is not websocket"),
        (answer("Upgrade", "h2c"), InvalidUpgrade, "Upgrade is not websocket"),
        (answer("Upgrade", "websocket, h2c"), InvalidUpgrade, "Upgrade is not websocket"),
        (answer("Upgrade", "websocket", "websocket"), InvalidUpgrade, "Upgrade is not websocket"),
        (answer("Connection"), InvalidUpgrade, "Connection lacks the token upgrade"),
        (answer("Connection", "close"), InvalidUpgrade, "Connection lacks the token upgrade"),
        (answer("Sec-WebSocket-Accept"), InvalidHeader, "does not answer the key"),
        (answer("Sec-WebSocket-Accept", KEY), InvalidHeader, "does not answer the key"),
        (
            answer("Sec-WebSocket-Accept", "S3PPLMBITXAQ9KYGZZHZRBK+XOO="),
            InvalidHeader,
            "does not answer the key",
        ),
        (
            answer("Sec-WebSocket-Accept", *["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="] * 2),
            InvalidHeader,
            "does not answer the key",
        ),
        (
            answer("Sec-WebSocket-Protocol", "other"),
            InvalidSubprotocol,
            "server chose subprotocol other, not offered",
        ),
        (
            answer("Sec-WebSocket-Protocol", "CHAT"),
            InvalidSubprotocol,
            "server chose subprotocol CHAT, not offered",
        ),
        (
            answer("Sec-WebSocket-Protocol", "chat, second"),
            InvalidSubprotocol,
            "server chose subprotocol chat, second, not offered",
        ),
        (
            answer("Sec-WebSocket-Protocol", "chat", "chat"),
            InvalidSubprotocol,
            "server chose subprotocol chat, chat, not offered",
        ),
        (
            answer("Sec-WebSocket-Protocol", "a b"),
            InvalidHeader,
            "Sec-WebSocket-Protocol is not a list of tokens",
        ),
    ],
)
def test_a_response_that_does_not(
    response: Response, kind: type[HandshakeError], error: str
) -> None:
    with pytest.raises(kind, match=f"{error}$"):
        check_response(response, KEY, ["chat", "second"])


def test_a_subprotocol_needs_an_offer() -> None:
    with pytest.raises(InvalidSubprotocol):
        check_response(answer("Sec-WebSocket-Protocol", "chat"), KEY, [])


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 426, 500, 503])
def test_another_status_is_brought_to_the_caller(status: int) -> None:
    response = Response(status, headers=ACCEPTED)
    with pytest.raises(InvalidStatus) as caught:
        check_response(response, KEY, [])
    assert caught.value.response is response
