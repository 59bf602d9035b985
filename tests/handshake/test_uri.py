"""WebSocket URIs (RFC 6455 3): what is connected to, and what stands in the request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.handshake.uri import WebSocketURI, parse_uri


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("ws://h", (False, "h", 80, "h", "/", None)),
        ("wss://h", (True, "h", 443, "h", "/", None)),
        ("WS://Host.Example/Path", (False, "host.example", 80, "host.example", "/Path", None)),
        ("ws://h:80/", (False, "h", 80, "h", "/", None)),
        ("wss://h:443/", (True, "h", 443, "h", "/", None)),
        ("ws://h:443/", (False, "h", 443, "h:443", "/", None)),
        ("wss://h:80/", (True, "h", 80, "h:80", "/", None)),
        ("ws://h:8765", (False, "h", 8765, "h:8765", "/", None)),
        ("ws://h:/", (False, "h", 80, "h", "/", None)),
        ("ws://127.0.0.1:1/", (False, "127.0.0.1", 1, "127.0.0.1:1", "/", None)),
        ("ws://[::1]/", (False, "::1", 80, "[::1]", "/", None)),
        ("wss://[2001:DB8::1]:9/", (True, "2001:db8::1", 9, "[2001:db8::1]:9", "/", None)),
        ("ws://münchen.de/", (False, "xn--mnchen-3ya.de", 80, "xn--mnchen-3ya.de", "/", None)),
        ("ws://h/a/b;c?d=e&f=/?", (False, "h", 80, "h", "/a/b;c?d=e&f=/?", None)),
        ("ws://h?token=x", (False, "h", 80, "h", "/?token=x", None)),
        ("ws://h/%2Fa%20b?%C3%A9", (False, "h", 80, "h", "/%2Fa%20b?%C3%A9", None)),
        ("ws://h/é?ü=€", (False, "h", 80, "h", "/%C3%A9?%C3%BC=%E2%82%AC", None)),
        ('ws://h/a{b}|c"<>^`', (False, "h", 80, "h", "/a%7Bb%7D%7Cc%22%3C%3E%5E%60", None)),
        ("ws://user:pass@h/", (False, "h", 80, "h", "/", ("user", "pass"))),
        ("ws://us%40er:p%3Aa%C3%A9@h:1/", (False, "h", 1, "h:1", "/", ("us@er", "p:aé"))),
        ("ws://user@h/", (False, "h", 80, "h", "/", ("user", ""))),
        ("ws://@h/", (False, "h", 80, "h", "/", ("", ""))),
    ],
)
def test_parts(uri: str, parts: tuple[object, ...]) -> None:
    assert tuple(parse_uri(uri)) == parts


def test_parts_have_names() -> None:
    assert parse_uri("wss://u:p@h:1/x") == WebSocketURI(
        secure=True, host="h", port=1, authority="h:1", path="/x", credentials=("u", "p")
    )


@pytest.mark.parametrize(
    ("uri", "error"),
    [
        ("http://h/", "is not a ws: or wss: URI"),
        ("h:8765", "is not a ws: or wss: URI"),
        ("localhost", "is not a ws: or wss: URI"),
        ("//h/", "is not a ws: or wss: URI"),
        ("", "is not a ws: or wss: URI"),
        ("ws://h/#top", "has a fragment, which RFC 6455 does not allow"),
        ("ws://h/#", "has a fragment, which RFC 6455 does not allow"),
        ("ws:h", "has no host"),
        ("ws:///path", "has no host"),
        ("ws://:80/", "has no host"),
        ("ws://user@/", "has no host"),
        ("ws://h<x>/", "has a malformed host"),
        ('ws://h"/', "has a malformed host"),
        ("ws://a\\b/", "holds a backslash"),
        ("ws://h\\@other/", "holds a backslash"),
        ("ws://h/a\\b", "holds a backslash"),
        ("ws://h\xa0x/", "has a malformed host"),
        ("ws://h\u3000x/", "has a malformed host"),
        ("ws://h:x/", "Port could not be cast"),
        ("ws://h:65536/", "Port out of range"),
        ("ws://h:-1/", "Port could not be cast|Port out of range"),
        ("ws://[::1/", "Invalid IPv6 URL"),
        ("ws://h/a b", "holds white space or control characters"),
        (" ws://h/", "holds white space or control characters"),
        ("ws://h/\r\nX: y", "holds white space or control characters"),
        ("ws://h\t/", "holds white space or control characters"),
        ("ws://h/\x7f", "holds white space or control characters"),
        ("ws://h/\0", "holds white space or control characters"),
    ],
    ids=ascii,
)
def test_what_is_no_web_socket_uri(uri: str, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        parse_uri(uri)


@pytest.mark.parametrize("uri", ["ws://ä" + "x" * 70 + "/", "ws://ä..b/"])
def test_a_host_that_has_no_idna_form(uri: str) -> None:
    with pytest.raises(ValueError):
        parse_uri(uri)


@given(
    st.text(max_size=30), st.sampled_from(["", "ws:", "ws://", "ws://h", "wss://h/", "ws://h/?"])
)
def test_whatever_is_accepted_fits_into_a_request_line(rest: str, start: str) -> None:
    try:
        uri = parse_uri(start + rest)
    except ValueError:
        return
    assert uri.path.startswith("/")
    for part in (uri.path, uri.authority):
        assert part.isascii()
        assert not set(part) & set(map(chr, [*range(33), 127]))
    assert "#" not in uri.path
    assert 0 <= uri.port <= 65535
