"""The PROXY header before a connection, plain and over TLS."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from typing import Any

import pytest
from raw_peer import TEXT, UPGRADE, frame, head, let_it_read, tcp_peer, until

from wsproto_async import WebSocket, connect, serve

PROXIES = {"trusted_proxies": ["127.0.0.0/8"], "proxy_protocol": True}
V1 = b"PROXY TCP4 8.8.8.8 10.0.0.1 4711 80\r\n"
V2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([8, 8, 8, 8, 10, 0, 0, 1, 0x12, 0x67, 0, 80])
NEXT_PROXY = V1.replace(b"8.8.8.8", b"127.1.1.1")
LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"


async def tell_address(ws: WebSocket) -> None:
    await ws.send("{}:{}".format(*ws.remote_address))


@pytest.mark.parametrize("size", [1, 2**20])
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (V1, b"8.8.8.8:4711"),
        (V2, b"8.8.8.8:4711"),
        (V1 + head(*UPGRADE, "X-Forwarded-For: 1.1.1.1"), b"8.8.8.8:4711"),
        (
            V1.replace(b"8.8.8.8", b"127.1.1.1") + head(*UPGRADE, "X-Forwarded-For: 1.1.1.1"),
            b"1.1.1.1:0",
        ),
        (LOCAL, None),
        (b"PROXY UNKNOWN\r\n", None),
    ],
)
async def test_headers(header: bytes, expected: bytes | None, size: int) -> None:
    data = header if b"HTTP" in header else header + head(*UPGRADE)
    async with serve(tell_address, 0, **PROXIES) as server, tcp_peer(server.port) as peer:
        for at in range(0, len(data), size):
            await peer.send(data[at : at + size])
            await let_it_read()
        assert (await peer.read_head()).startswith(b"HTTP/1.1 101 ")
        own = "{}:{}".format(*peer.sock.getsockname()).encode()
        assert await peer.read_message() == (TEXT, expected or own, True)


async def test_frames_in_the_same_segment() -> None:
    async def echo(ws: WebSocket) -> None:
        await ws.send(await ws.recv())

    async with serve(echo, 0, **PROXIES) as server, tcp_peer(server.port) as peer:
        await peer.send(V2 + head(*UPGRADE) + frame(TEXT, b"hello"))
        await peer.read_head()
        assert await peer.read_message() == (TEXT, b"hello", True)


@pytest.mark.parametrize(
    "data", [head(*UPGRADE), b"\x16\x03\x01", b"PROXY TCP4 nonsense\r\n", b"X"]
)
async def test_who_sends_none(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "wsproto_async")
    async with serve(tell_address, 0, **PROXIES) as server, tcp_peer(server.port) as peer:
        await peer.send(data)
        with pytest.raises((ConnectionError, EOFError)):
            await peer.take(1)
        await until(lambda: not server._websockets)
        assert f"handshake failed: {peer.name} " in caplog.text
    assert "PROXY header" in caplog.text


async def test_who_is_not_trusted() -> None:
    options: dict[str, Any] = {**PROXIES, "trusted_proxies": ["10.0.0.0/8"]}
    async with serve(tell_address, 0, **options) as server, tcp_peer(server.port) as peer:
        with pytest.raises((ConnectionError, EOFError)):
            await peer.send(V1 + head(*UPGRADE))
            await peer.take(1)
        await until(lambda: not server._websockets)


async def test_who_sends_half_of_it_has_the_deadline_of_the_handshake() -> None:
    async with (
        serve(tell_address, 0, open_timeout=0.1, **PROXIES) as server,
        tcp_peer(server.port) as peer,
    ):
        await peer.send(V1[:10])
        with pytest.raises((ConnectionError, EOFError)):
            await peer.take(1)


async def test_in_front_of_tls(tls: Any) -> None:
    context: ssl.SSLContext = tls.client
    async with serve(tell_address, 0, ssl=tls.server, **PROXIES) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        sock.sendall(V2)
        await asyncio.sleep(0)
        uri = f"wss://127.0.0.1:{server.port}/"
        async with connect(uri, sock=sock, ssl=context) as ws:
            assert await ws.recv() == "8.8.8.8:4711"


def test_it_needs_somebody_to_trust() -> None:
    with pytest.raises(ValueError, match="trusted_proxies"):
        serve(tell_address, 0, proxy_protocol=True)
