"""Heads of HTTP requests that are refused: one response, `Connection: close`, and the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from raw_peer import (
    KEY,
    TEXT,
    UPGRADE,
    Frame,
    RawPeer,
    frame,
    head,
    raw_peer,
    tcp_peer,
    within,
)

from wsproto_async import Request, Response, WebSocket, serve

CLOSE_TIMEOUT = 0.2
OPEN_TIMEOUT = 5.0


def request(start: str = UPGRADE[0], *more: str, without: str = "") -> bytes:
    """A valid upgrade request with another request line, more headers, or one header less."""
    fields = [line for line in UPGRADE[1:] if not (without and line.startswith(f"{without}:"))]
    return head(start, *fields, *more)


def replaced(name: str, *lines: str) -> bytes:
    """A valid upgrade request with other lines in place of one header."""
    return request(UPGRADE[0], *lines, without=name)


GOOD = request()
TLS_CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(189))

REQUEST_LINES = {
    "GET /": 400,
    "GET  / HTTP/1.1": 400,
    "GET /  HTTP/1.1": 400,
    "GET /\tHTTP/1.1": 400,
    "GET\t/ HTTP/1.1": 400,
    "GET / HTTP/1.1 ": 400,
    " GET / HTTP/1.1": 400,
    "GET / HTTP/1.1\0": 400,
    "GET /\0 HTTP/1.1": 400,
    "GET / http/1.1": 400,
    "GET / HTTP/11": 400,
    "GET / HTTP/1.10": 400,
    "GET / HTTP/x.y": 400,
    "GET / HTTPS/1.1": 400,
    "GET /é HTTP/1.1": 400,
    "GET /a b HTTP/1.1": 400,
    "GET nowhere HTTP/1.1": 400,
    "G(T / HTTP/1.1": 400,
    "/ HTTP/1.1": 400,
    "hello": 400,
    "GET http://elsewhere/ HTTP/1.1": 400,
    "GET / HTTP/1.0": 505,
    "GET / HTTP/0.9": 505,
    "GET / HTTP/2.0": 505,
    "POST / HTTP/1.1": 405,
    "PUT / HTTP/1.1": 405,
    "DELETE / HTTP/1.1": 405,
    "TRACE / HTTP/1.1": 405,
    "OPTIONS * HTTP/1.1": 405,
    "CONNECT localhost:80 HTTP/1.1": 405,
    "get / HTTP/1.1": 405,
    "Get / HTTP/1.1": 405,
    f"GET /{'a' * 9000} HTTP/1.1": 414,
    "G" * 9000: 414,
}
HEADER_LINES = {
    "folded": ("X-A: one\r\n two", 400),
    "folded with a tab": ("X-A: one\r\n\ttwo", 400),
    "space before the colon": ("X-A : one", 400),
    "tab before the colon": ("X-A\t: one", 400),
    "space before the name": (" X-A: one", 400),
    "no name": (": one", 400),
    "no colon": ("X-A", 400),
    "space in the name": ("X A: one", 400),
    "name that is no token": ("X(A): one", 400),
    "name that is not ASCII": ("Xé: one", 400),
    "NUL in the value": ("X-A: o\0ne", 400),
    "NUL in the name": ("X\0A: one", 400),
    "bare CR in the value": ("X-A: o\rne", 400),
    "bare LF in the value": ("X-A: o\nX-B: ne", 400),
    "control character in the value": ("X-A: \x01", 400),
    "escape sequence in the value": ("X-A: \x1b[31m", 400),
    "DEL in the value": ("X-A: \x7f", 400),
    "long": (f"X-A: {'a' * 9000}", 431),
    "long name": (f"{'X' * 9000}: a", 431),
    "body": ("Content-Length: 5", 400),
    "body of strange length": ("Content-Length: -1", 400),
    "two lengths": ("Content-Length: 0\r\nContent-Length: 5", 400),
    "chunked": ("Transfer-Encoding: chunked", 400),
    "encoded": ("Transfer-Encoding: gzip", 400),
    "foreign origin": ("Origin: https://evil.example", 403),
    "null origin": ("Origin: null", 403),
    "lookalike origin": ("Origin: http://localhost.evil.example", 403),
    "prefix origin": ("Origin: http://localhost:80@evil.example", 403),
    "two origins": ("Origin: http://localhost\r\nOrigin: http://evil.example", 403),
    "empty origin": ("Origin:", 403),
}
REPLACED = {
    "no Host": ("Host", [], 400),
    "two Hosts": ("Host", ["Host: localhost", "Host: localhost"], 400),
    "empty Host": ("Host", ["Host:"], 400),
    "list of Hosts": ("Host", ["Host: localhost, other"], 400),
    "Host with a path": ("Host", ["Host: localhost/x"], 400),
    "no Upgrade": ("Upgrade", [], 426),
    "other Upgrade": ("Upgrade", ["Upgrade: h2c"], 426),
    "almost Upgrade": ("Upgrade", ["Upgrade: websockets"], 426),
    "no Connection": ("Connection", [], 426),
    "other Connection": ("Connection", ["Connection: keep-alive"], 426),
    "no version": ("Sec-WebSocket-Version", [], 426),
    "version 8": ("Sec-WebSocket-Version", ["Sec-WebSocket-Version: 8"], 426),
    "version 14": ("Sec-WebSocket-Version", ["Sec-WebSocket-Version: 14"], 426),
    "version 013": ("Sec-WebSocket-Version", ["Sec-WebSocket-Version: 013"], 426),
    "version 0xd": ("Sec-WebSocket-Version", ["Sec-WebSocket-Version: 0xd"], 426),
    "versions 13, 8": ("Sec-WebSocket-Version", ["Sec-WebSocket-Version: 13, 8"], 426),
    "no key": ("Sec-WebSocket-Key", [], 400),
    "empty key": ("Sec-WebSocket-Key", ["Sec-WebSocket-Key:"], 400),
    "short key": ("Sec-WebSocket-Key", ["Sec-WebSocket-Key: c2hvcnQ="], 400),
    "long key": ("Sec-WebSocket-Key", [f"Sec-WebSocket-Key: {'QUFB' * 6}"], 400),
    "key not base64": ("Sec-WebSocket-Key", ["Sec-WebSocket-Key: ??????????????????????=="], 400),
    "key without padding": ("Sec-WebSocket-Key", [f"Sec-WebSocket-Key: {KEY[:-2]}"], 400),
    "two keys": ("Sec-WebSocket-Key", [f"Sec-WebSocket-Key: {KEY}"] * 2, 400),
}
WHOLE = {
    "bare LF everywhere": (GOOD.replace(b"\r\n", b"\n"), 400),
    "bare LF after the request line": (GOOD.replace(b"\r\n", b"\n", 1), 400),
    "bare LF at the end": (GOOD[:-2] + b"\n", 400),
    "101 headers": (request(UPGRADE[0], *(f"X-{n}: a" for n in range(96))), 431),
    "10,000 headers": (request(UPGRADE[0], *("X: a" for _ in range(10_000))), 431),
    "64 KiB": (request(UPGRADE[0], *(f"X-{n}: {'a' * 8000}" for n in range(9))), 431),
    "request line without an end": (b"GET /" + b"a" * 9000, 414),
    "header line without an end": (head(*UPGRADE)[:-2] + b"X-A: " + b"a" * 9000, 431),
    "TLS on a plain port": (TLS_CLIENT_HELLO, 400),
    "two requests, the first refused": (request(without="Upgrade") + GOOD, 426),
    "two requests, the first malformed": (b"nonsense\r\n\r\n" + GOOD, 400),
    "body of a refused request": (
        head("POST / HTTP/1.1", "Host: localhost", f"Content-Length: {len(GOOD)}") + GOOD,
        405,
    ),
}

CASES = [
    *(
        pytest.param(request(line), status, id=f"line {line[:30]!r}")
        for line, status in REQUEST_LINES.items()
    ),
    *(
        pytest.param(request(UPGRADE[0], line), status, id=name)
        for name, (line, status) in HEADER_LINES.items()
    ),
    *(
        pytest.param(replaced(name, *lines), status, id=case)
        for case, (name, lines, status) in REPLACED.items()
    ),
    *(pytest.param(data, status, id=name) for name, (data, status) in WHOLE.items()),
]


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@asynccontextmanager
async def connected(**options: object) -> AsyncIterator[RawPeer]:
    options = {"close_timeout": CLOSE_TIMEOUT, "open_timeout": OPEN_TIMEOUT} | options
    async with serve(echo, 0, **options) as server, tcp_peer(server.port) as peer:
        yield peer


async def read_response(peer: RawPeer, *, has_body: bool = True) -> tuple[int, dict, bytes]:
    """Status, headers by their lower-case names, and body of the only response."""
    start, *fields = (await peer.read_head()).decode("latin-1").split("\r\n")[:-2]
    version, status, reason = start.split(" ", 2)
    assert version == "HTTP/1.1"
    assert reason
    headers = {}
    for field in fields:
        name, _, value = field.partition(": ")
        assert name.lower() not in headers, f"two {name} headers"
        headers[name.lower()] = value
    length = int(headers["content-length"]) if has_body else 0
    body = await peer.take(length)
    return int(status), headers, body


def check_refusal(status: int, headers: dict[str, str], body: bytes) -> None:
    assert "close" in headers["connection"].lower().split(", ")
    assert body.isascii()
    assert all(byte >= 0x20 or byte == 0x0A for byte in body)
    if status == 405:
        assert "GET" in headers["allow"].split(", ")
    if status == 426:
        assert headers["upgrade"] == "websocket"
        assert "upgrade" in headers["connection"].lower().split(", ")


@pytest.mark.parametrize(("data", "status"), CASES)
async def test_refused_with_one_response(data: bytes, status: int) -> None:
    """Whole and byte by byte."""
    for size in (len(data), 1 if len(data) < 1000 else 97):
        async with connected() as peer:
            await peer.send_pieces(data, size)
            found, headers, body = await read_response(peer)
            assert found == status
            check_refusal(status, headers, body)
            peer.finish()
            assert await within(CLOSE_TIMEOUT, peer.read_eof()) == b""


@pytest.mark.parametrize("version", ["8", "7", "14", "13, 8", ""])
async def test_other_versions_are_told_which_one_is_spoken(version: str) -> None:
    async with connected() as peer:
        await peer.send(replaced("Sec-WebSocket-Version", f"Sec-WebSocket-Version: {version}"))
        status, headers, _ = await read_response(peer)
        assert (status, headers["sec-websocket-version"]) == (426, "13")


async def test_a_foreign_page_is_told_why() -> None:
    async with connected() as peer:
        await peer.send(request(UPGRADE[0], "Origin: https://evil.example"))
        status, _, body = await read_response(peer)
        assert status == 403
        assert b"https://evil.example" in body
        assert b"origins" in body


@pytest.mark.parametrize(
    "data",
    [
        request(without="Upgrade"),
        b"nonsense\r\n\r\n",
        request("POST / HTTP/1.1"),
        b"GET /" + b"a" * 9000,
        request(UPGRADE[0], "Origin: https://evil.example"),
    ],
    ids=["426", "400", "405", "414", "403"],
)
@pytest.mark.parametrize("chatty", [False, True])
async def test_a_client_that_stays_is_dropped(data: bytes, chatty: bool) -> None:
    """It does not close its side, or goes on sending requests: there is no second answer."""
    async with connected() as peer:
        await peer.send(data)
        await read_response(peer)
        start = time.monotonic()
        try:
            while chatty and time.monotonic() - start < CLOSE_TIMEOUT + 2:
                await peer.send(GOOD)
                await asyncio.sleep(0.01)
            rest = await within(CLOSE_TIMEOUT, peer.read_eof())
        except ConnectionError:
            rest = b""  # the server hung up on what was sent to it
        assert rest == b""
        assert time.monotonic() - start < CLOSE_TIMEOUT + 2


def health(ws: WebSocket, request: Request) -> Response | None:
    return Response(200, body=b"fine\n") if request.path == "/health" else None


@pytest.mark.parametrize("split", [False, True], ids=["whole", "in pieces"])
@pytest.mark.parametrize("pipelined", [False, True])
async def test_plain_http_gets_one_answer(split: bool, pipelined: bool) -> None:
    data = head("GET /health HTTP/1.1", "Host: localhost") * (3 if pipelined else 1)
    async with connected(process_request=health) as peer:
        await (peer.send_pieces if split else peer.send)(data)
        status, headers, body = await read_response(peer)
        assert (status, headers["connection"], body) == (200, "close", b"fine\n")
        assert await within(CLOSE_TIMEOUT, peer.read_eof()) == b""


async def test_head_gets_no_body() -> None:
    async with connected(process_request=health) as peer:
        await peer.send(head("HEAD /health HTTP/1.1", "Host: localhost"))
        status, headers, _ = await read_response(peer, has_body=False)
        assert (status, headers["content-length"]) == (200, "5")
        assert await within(CLOSE_TIMEOUT, peer.read_eof()) == b""


ACCEPTED = {
    "plain": GOOD,
    "names in any case": GOOD.replace(b"Upgrade: websocket", b"uPGRADE: WebSocket"),
    "token in a list": replaced("Connection", "Connection: keep-alive, Upgrade"),
    "tokens in two headers": replaced(
        "Connection", "Connection: keep-alive", "Connection: upgrade"
    ),
    "white space around the value": replaced("Host", "Host: \t localhost \t"),
    "no white space": replaced("Host", "Host:localhost"),
    "absolute form": request("GET http://localhost/x?y HTTP/1.1"),
    "100 headers": request(UPGRADE[0], *(f"X-{n}: a" for n in range(95))),
    "header line of 8 KiB": request(UPGRADE[0], f"X-A: {'a' * 8187}"),
    "bytes over 127 in a value": request(UPGRADE[0], "X-A: é"),
    "empty value": request(UPGRADE[0], "X-A:"),
    "no body": request(UPGRADE[0], "Content-Length: 0"),
    "same origin": request(UPGRADE[0], "Origin: http://localhost"),
    "loopback origin": request(UPGRADE[0], "Origin: http://127.0.0.1:5173"),
}


@pytest.mark.parametrize("split", [False, True], ids=["whole", "in pieces"])
@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in ACCEPTED.items()])
async def test_accepted(data: bytes, split: bool) -> None:
    """With the first frame glued to the head."""
    data += frame(TEXT, b"glued")
    async with connected() as peer:
        if split:
            await peer.send_pieces(data, 1 if len(data) < 1000 else 97)
        else:
            await peer.send(data)
        assert (await peer.read_head()).startswith(b"HTTP/1.1 101 ")
        assert await peer.read_message() == Frame(TEXT, b"glued")


async def test_a_refused_client_does_not_disturb_others() -> None:
    async with serve(echo, 0) as server, raw_peer(server.port) as good:
        for number, (data, _) in enumerate(case.values for case in CASES[:20]):
            async with tcp_peer(server.port) as bad:
                await bad.send(data)
                await good.send(frame(TEXT, b"%d" % number))
                assert await good.read_message() == Frame(TEXT, b"%d" % number)
                assert (await bad.read_eof()).startswith(b"HTTP/1.1 4")
