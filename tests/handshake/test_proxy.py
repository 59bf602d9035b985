"""Which proxy is taken, and what is said to it."""

from __future__ import annotations

import pytest

from wsproto_async.exceptions import InvalidMessage, ProxyError
from wsproto_async.handshake.headers import Headers
from wsproto_async.handshake.proxy import (
    AnswerReader,
    ProxyURI,
    build_connect_request,
    check_connect,
    parse_proxy,
    system_proxy,
)
from wsproto_async.handshake.uri import parse_uri

VARIABLES = [f"{scheme}_proxy" for scheme in ("ws", "wss", "http", "https", "all", "no", "socks")]


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("http://p", ("http", "p", 80, None)),
        ("HTTP://P:3128/", ("http", "p", 3128, None)),
        ("https://p", ("https", "p", 443, None)),
        ("https://p:8443", ("https", "p", 8443, None)),
        ("socks4://p", ("socks4", "p", 1080, None)),
        ("socks4a://p", ("socks4a", "p", 1080, None)),
        ("socks5://[::1]:9", ("socks5", "::1", 9, None)),
        ("socks5h://u%40:p%3A@p", ("socks5h", "p", 1080, ("u@", "p:"))),
        ("http://u@p", ("http", "p", 80, ("u", ""))),
    ],
)
def test_a_proxys_uri(uri: str, parts: tuple[object, ...]) -> None:
    assert parse_proxy(uri) == parts


@pytest.mark.parametrize("uri", ["", "p", "p:3128", "ws://p", "http://", "http://p:x", "ftp://p"])
def test_what_is_no_proxys_uri(uri: str) -> None:
    with pytest.raises(ValueError, match=r"proxy|[Pp]ort"):
        parse_proxy(uri)


@pytest.mark.parametrize(
    ("scheme", "is_socks", "resolves"),
    [
        ("http", False, False),
        ("https", False, False),
        ("socks4", True, False),
        ("socks4a", True, True),
        ("socks5", True, False),
        ("socks5h", True, True),
    ],
)
def test_kinds_of_proxies(scheme: str, is_socks: bool, resolves: bool) -> None:
    proxy = ProxyURI(scheme, "p", 1, None)
    assert (proxy.is_socks, proxy.resolves) == (is_socks, resolves)


@pytest.mark.parametrize(
    ("environment", "uri", "host"),
    [
        ({}, "ws://h", None),
        ({"http_proxy": "http://p"}, "ws://h", "p"),
        ({"http_proxy": "http://p"}, "wss://h", None),
        ({"https_proxy": "http://p"}, "wss://h", "p"),
        ({"https_proxy": "http://p"}, "ws://h", None),
        ({"all_proxy": "socks5h://p"}, "ws://h", "p"),
        ({"all_proxy": "socks5h://p"}, "wss://h", "p"),
        ({"all_proxy": "http://a", "http_proxy": "http://p"}, "ws://h", "p"),
        ({"ws_proxy": "http://p", "http_proxy": "http://q"}, "ws://h", "p"),
        ({"wss_proxy": "http://p", "https_proxy": "http://q"}, "wss://h", "p"),
        ({"http_proxy": "p:3128"}, "ws://h", "p"),
        ({"http_proxy": "http://p", "no_proxy": "h"}, "ws://h", None),
        ({"http_proxy": "http://p", "no_proxy": "h:81"}, "ws://h", "p"),
        ({"http_proxy": "http://p", "no_proxy": "h:81"}, "ws://h:81", None),
        ({"http_proxy": "http://p", "no_proxy": "example.com"}, "ws://sub.example.com", None),
        ({"http_proxy": "http://p", "no_proxy": "*"}, "ws://h", None),
    ],
)
def test_the_environments_proxy(
    environment: dict[str, str], uri: str, host: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = system_proxy(parse_uri(uri))
    assert (None if proxy is None else proxy.host) == host


@pytest.mark.parametrize(
    ("uri", "target"),
    [
        ("ws://h/", b"h:80"),
        ("wss://h/", b"h:443"),
        ("wss://me:secret@h:8443/path", b"h:8443"),
        ("ws://[::1]/", b"[::1]:80"),
    ],
)
def test_the_request_for_a_tunnel(uri: str, target: bytes) -> None:
    request = build_connect_request(ProxyURI("http", "p", 80, None), parse_uri(uri))
    assert request == b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (target, target)


def test_the_proxys_credentials() -> None:
    proxy = ProxyURI("http", "p", 80, ("Aladdin", "open sesame"))
    assert build_connect_request(proxy, parse_uri("ws://h/")) == (
        b"CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n"
        b"Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"
    )


@pytest.mark.parametrize("status", [200, 204, 299])
def test_a_tunnel_that_is_open(status: int) -> None:
    check_connect((status, "OK"), Headers())


@pytest.mark.parametrize("status", [300, 403, 407, 502, 599])
def test_a_proxy_that_refuses(status: int) -> None:
    with pytest.raises(ProxyError) as caught:
        check_connect((status, "No"), Headers({"X": "1"}))
    assert str(caught.value) == f"proxy answered {status} No to CONNECT"
    assert caught.value.response is not None
    assert (caught.value.response.status, caught.value.response.headers["x"]) == (status, "1")


@pytest.mark.parametrize("status", [100, 101, 199])
def test_a_proxy_that_does_not_know(status: int) -> None:
    with pytest.raises(ProxyError) as caught:
        check_connect((status, "Hm"), Headers())
    assert caught.value.response is None


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
OPEN = b"HTTP/1.1 200 OK\r\nVia: proxy\r\n\r\n"


def read_in_pieces(data: bytes, size: int) -> bytes | None:
    """What has come through the tunnel of a proxy that says ``data``, None if none was opened."""
    answer = AnswerReader()
    rest = None
    for start in range(0, len(data), size):
        piece = data[start : start + size]
        if rest is not None:
            rest += piece
        else:
            answer.feed(piece)
            rest = answer.read()
    return rest


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("interim", [0, 1, 8])
def test_the_answer_that_opens_the_tunnel(interim: int, size: int) -> None:
    """RFC 9110 15.2: any number of interim answers may come before it."""
    head = INTERIM * interim + OPEN
    assert read_in_pieces(head + b"the rest", size) == b"the rest"
    assert read_in_pieces(head, size) == b""
    assert read_in_pieces(head[:-1], size) is None


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize(
    ("data", "error"),
    [
        (INTERIM * 9, "proxy: over 8 interim responses"),
        (INTERIM + b"SSH-2.0\r\n", "proxy: malformed status line"),
        (INTERIM + b"HTTP/1.1 403 No\r\n\r\n", "proxy answered 403 No to CONNECT"),
        (b"HTTP/1.1 101 Switching\r\n\r\n" + OPEN, "proxy answered 101 Switching to CONNECT"),
    ],
)
def test_answers_that_open_none(data: bytes, error: str, size: int) -> None:
    with pytest.raises(ProxyError) as caught:
        read_in_pieces(data, size)
    assert str(caught.value) == error
    assert isinstance(caught.value.__cause__, InvalidMessage) is error.startswith("proxy: ")
