"""Why there is no connection, in one line."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable

import pytest

from wsproto_async import Response
from wsproto_async.cli.failure import body_text

Streams = (asyncio.StreamReader, asyncio.StreamWriter)


@pytest.fixture
def outcome(run: Callable) -> Callable[..., tuple[int, str]]:
    """Connect, and give the exit status and the one line that is printed."""

    def outcome(url: str, *arguments: str) -> tuple[int, str]:
        status, out, err = run("connect", url, *arguments)
        assert out == ""
        (line,) = err.splitlines()
        return status, line.removeprefix("wsproto-async: error: ")

    return outcome


def answering(answer: bytes) -> Callable:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    return talk


def test_nothing_listens(outcome: Callable, closed_port: int) -> None:
    status, line = outcome(f"ws://127.0.0.1:{closed_port}/")
    assert status == 3
    assert line == (
        f"127.0.0.1:{closed_port} cannot be reached: nothing listens there (connection refused)"
    )


def test_a_name_without_address(outcome: Callable) -> None:
    status, line = outcome("ws://nobody.invalid/")
    assert status == 3
    assert line.startswith("nobody.invalid cannot be reached: there is no address for its name: ")


def test_a_name_that_is_none(outcome: Callable) -> None:
    host = f"{'a' * 64}.example"
    assert outcome(f"ws://{host}/") == (3, f"{host} cannot be reached: that is no name")


def test_a_server_that_is_silent(outcome: Callable, raw_server: Callable) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    port = raw_server(talk)
    status, line = outcome(f"ws://127.0.0.1:{port}/", "--timeout", "0.05")
    assert status == 3
    assert line == f"127.0.0.1:{port} cannot be reached: opening handshake took over 0.05 s"


def test_a_refusal(outcome: Callable, raw_server: Callable) -> None:
    head = b"HTTP/1.1 403 Not \xe9 you\r\nContent-Length: 30\r\nContent-Type: text/plain\r\n\r\n"
    port = raw_server(answering(head + b"\n go\x1b[2J away \r\nsecond line.."))
    status, line = outcome(f"ws://127.0.0.1:{port}/")
    assert status == 5
    assert line == r"the server answered 403 Not é you instead of 101: go\x1b[2J away"


def test_a_redirect_in_circles(outcome: Callable, raw_server: Callable) -> None:
    port = raw_server(answering(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"))
    assert outcome(f"ws://127.0.0.1:{port}/") == (
        5,
        "the server answered 302 and redirects more than 5 times",
    )


def test_no_websocket_server(outcome: Callable, raw_server: Callable) -> None:
    port = raw_server(answering(b"SSH-2.0-OpenSSH\r\n"))
    status, line = outcome(f"ws://127.0.0.1:{port}/")
    assert status == 5
    assert line == (
        f"the handshake with 127.0.0.1:{port} failed: malformed status line; "
        "wsproto-async doctor tells what is there"
    )


def test_tls_where_there_is_none(outcome: Callable, raw_server: Callable) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    port = raw_server(talk)
    status, line = outcome(f"wss://127.0.0.1:{port}/")
    assert status == 4
    assert line == (
        f"TLS with 127.0.0.1:{port} failed: what answers does not speak TLS; is it a ws: URL?"
    )


def test_a_certificate_that_nobody_trusts(
    outcome: Callable, server: Callable, tls: ssl.SSLContext
) -> None:
    async def handler(ws: object) -> None: ...

    port = server(handler, ssl=tls)
    status, line = outcome(f"wss://127.0.0.1:{port}/")
    assert status == 4
    assert line.startswith(
        f"TLS with 127.0.0.1:{port} failed: the certificate is not trusted: unable to get local"
    )


def test_a_proxy_that_refuses(outcome: Callable, raw_server: Callable) -> None:
    port = raw_server(answering(b"HTTP/1.1 407 Who are you\r\n\r\n"))
    assert outcome("ws://far.example/", "--proxy", f"http://127.0.0.1:{port}") == (
        3,
        "no way through the proxy: proxy answered 407 Who are you to CONNECT",
    )


def test_a_proxy_of_the_environment_that_is_none(
    outcome: Callable, monkeypatch: pytest.MonkeyPatch, run: Callable
) -> None:
    monkeypatch.setenv("http_proxy", "ftp://a")
    status, line = outcome("ws://far.example/")
    assert status == 2
    assert line.startswith("a proxy's URI needs a host and one of http:")


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("text/plain", b"", ""),
        ("text/plain; charset=utf-8", b"x\xff", "x\ufffd"),
        ("application/json", b'{"error":\n5}', '{"error":'),
        ("text/html", b"<html>", ""),
        ("text/plain", b"x" * 300, "x" * 200 + "..."),
    ],
)
def test_what_is_told_of_a_body(kind: str, body: bytes, text: str) -> None:
    assert body_text(Response(400, headers={"Content-Type": kind}, body=body)) == text
