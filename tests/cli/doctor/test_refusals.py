"""Answers that open no connection."""

from __future__ import annotations

from collections.abc import Callable

import pytest

LOST = "proxy_set_header Upgrade $http_upgrade"


def response(status: str, headers: str = "", body: str = "") -> bytes:
    return (f"HTTP/1.1 {status}\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}").encode(
        "latin-1"
    )


@pytest.mark.parametrize(
    ("answer", "options", "side", "why", "remedy"),
    [
        (response("200 OK"), [], "server", "This is a web page, and no WebSocket endpoint", LOST),
        (response("204 No Content"), [], "server", "This is a web page", "Check the path (/)."),
        (response("304 Not Modified"), [], "server", "does not say where", "Check the URL."),
        (response("400 Bad Request"), [], "server", "does not take the request for a valid", LOST),
        (
            response("400 Bad Request", body="The plain HTTP request was sent to HTTPS port"),
            [],
            "client",
            "The port is one for TLS, and was spoken to without.",
            "Take a wss: URL: wss://127.0.0.1:",
        ),
        (response("401 Unauthorized"), [], "client", "wants to know who asks", "credentials"),
        (response("403 Forbidden"), [], "server", "without an Origin", "Try --origin http://127"),
        (
            response("403 Forbidden"),
            ["--origin", "https://a.example"],
            "server",
            "does not let pages of https://a.example connect",
            "Add that origin",
        ),
        (response("404 Not Found"), [], "client", "nothing at that path", "Check the path"),
        (response("405 Method"), [], "client", "takes no GET", "Check the path"),
        (response("407 Proxy"), [], "client", "A proxy wants to know", "--proxy http://user"),
        (response("410 Gone"), [], "server", "does not take the request", "log"),
        (response("421 Misdirected"), [], "server", "not answer for that host", "allowed_hosts"),
        (response("426 Upgrade Required"), [], "proxy", "without Upgrade: websocket", LOST),
        (
            response("426 Upgrade Required", "Sec-WebSocket-Version: 8, 7\x85\r\n"),
            [],
            "server",
            r"another version of the protocol: 8, 7\x85, not 13.",
            "RFC 6455",
        ),
        (
            response("426 Upgrade Required", "Sec-WebSocket-Version: 8, 13\r\n"),
            [],
            "proxy",
            "without Upgrade: websocket",
            LOST,
        ),
        (response("429 Too Many"), [], "client", "asked too often", "Wait"),
        (response("500 Oops"), [], "server", "The server has failed", "Read its log."),
        (response("502 Bad Gateway"), [], "proxy", "no valid answer from the server", LOST),
        (response("503 Unavailable"), [], "server", "overloaded", "Try again"),
        (response("504 Timeout"), [], "proxy", "has waited in vain", "firewall"),
        (response("599 Odd"), [], "server", "The server has failed", "Read its log."),
    ],
    ids=lambda value: value[9:12].decode() if isinstance(value, bytes) else "",
)
def test_a_status(
    doctor: Callable,
    answering: Callable,
    answer: bytes,
    options: list[str],
    side: str,
    why: str,
    remedy: str,
) -> None:
    found = doctor(answering(answer), *options)
    assert (found.status, found.last["step"], found.side) == (5, "HTTP", side)
    assert found.last["text"].startswith(answer[9:12].decode())
    assert why in found.last["problem"]["why"]
    assert remedy in found.last["problem"]["remedy"]


def test_who_has_answered(doctor: Callable, answering: Callable) -> None:
    headers = "Server: nginx\x9b\r\nVia: 1.1 a\r\nVia: 1.1 b\r\n"
    found = doctor(answering(response("502 Bad Gateway", headers, "no\x1b\r\nbackend")))
    assert found.last["text"] == (r"502 Bad Gateway (Server: nginx\x9b, Via: 1.1 a, 1.1 b): no\x1b")


@pytest.mark.parametrize(
    ("answer", "side", "text", "why"),
    [
        (b"", "server", "hung up without an answer", "has closed the connection at our request"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "client", "a TLS record", "The port is one for TLS"),
        (b"\x00\x00\x12\x04\x00\x00", "server", "HTTP/2", "speaks HTTP/2 alone"),
        (b"SSH-2.0-OpenSSH\r\n", "client", "this is SSH", "speaks SSH, not HTTP."),
        (b"220 mail ESMTP\r\n", "client", "this is SMTP or FTP", "speaks SMTP or FTP, not HTTP."),
        (b"-ERR unknown\r\n", "client", "this is Redis", "speaks Redis, not HTTP."),
        (b"\x1b[2Jwhat\r\n", "server", r"no HTTP: \x1b[2Jwhat\r\n", "does not speak HTTP/1.1"),
        (
            b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
            "server",
            "a bad answer: malformed header line",
            "breaks the rules of HTTP/1.1",
        ),
        (
            b"HTTP/1.0 101 Sure\r\n\r\n",
            "server",
            "a bad answer: server upgrades in HTTP/1.0",
            "breaks the rules of HTTP/1.1",
        ),
    ],
)
def test_no_http(
    doctor: Callable, answering: Callable, answer: bytes, side: str, text: str, why: str
) -> None:
    found = doctor(answering(answer))
    assert (found.status, found.last["step"], found.last["text"]) == (5, "HTTP", text)
    assert found.side == side
    assert why in found.last["problem"]["why"]
