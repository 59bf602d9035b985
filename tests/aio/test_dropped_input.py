"""Who goes on sending after the end: heard out for a while, then cut off."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from raw_peer import (
    BINARY,
    CLOSE,
    PATIENCE,
    UPGRADE,
    Frame,
    RawPeer,
    frame_header,
    head,
    tcp_peer,
    until,
)

from wsproto_async import WebSocket, serve
from wsproto_async.aio.stream import DROP_LIMIT

CHUNK = bytes(2**18)
IN_THE_KERNEL = 2**25  # bytes, at both ends together, and some more
VERDICT = Frame(CLOSE, b"\x03\xf1message over 1048576 bytes")
# Nothing else ends it.
FOREVER: dict[str, Any] = {"close_timeout": None, "ping_interval": None, "send_timeout": None}


def too_large(is_client: bool = True) -> bytes:
    """The header of a frame over the limit, with what comes of its payload before the end."""
    return frame_header(BINARY, 2**30, masked=is_client) + bytes(4)


async def handler(ws: WebSocket) -> None:
    await ws.wait_closed()


async def send(peer: RawPeer, size: int) -> int:
    """Send so many bytes, or until the connection is reset; give how many went out."""
    sent = 0
    with suppress(ConnectionError):
        while sent < size:
            await peer.send(CHUNK)
            sent += len(CHUNK)
    return sent


async def assert_is_cut_off(peer: RawPeer) -> None:
    sent = await send(peer, DROP_LIMIT + 4 * IN_THE_KERNEL)
    assert DROP_LIMIT <= sent < DROP_LIMIT + IN_THE_KERNEL


async def test_who_is_amid_a_large_message_reads_the_verdict_at_its_end(link: Callable) -> None:
    async with link(**FOREVER) as (ws, peer):
        await peer.send(too_large(peer.is_client))
        assert await send(peer, DROP_LIMIT // 2) == DROP_LIMIT // 2
        assert await peer.read_frame() == VERDICT
        assert await peer.read_eof() == b""
        peer.sock.close()
        await until(lambda: ws._protocol.is_lost)


@pytest.mark.parametrize("ends", ["by a violation", "by closing"])
async def test_who_never_stops_is_cut_off(link: Callable, ends: str) -> None:
    async with link(**FOREVER) as (ws, peer):
        if ends == "by closing":
            await peer.send_close()
        else:
            await peer.send(too_large(peer.is_client))
        await assert_is_cut_off(peer)
        await until(lambda: ws._protocol.is_lost)


async def test_who_never_stops_after_a_refusal_is_cut_off() -> None:
    async with serve(handler, 0, **FOREVER) as server, tcp_peer(server.port) as peer:
        await peer.send(head("POST / HTTP/1.1", *UPGRADE[1:]))
        assert (await peer.read_head()).startswith(b"HTTP/1.1 405 ")
        await assert_is_cut_off(peer)
        await until(lambda: not server._websockets)


async def test_over_tls_too(tls: Any) -> None:
    def open_and_fail() -> socket.socket:
        """Give the bare socket of a TLS connection whose input is at its end."""
        plain = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        with tls.client.wrap_socket(plain, server_hostname="127.0.0.1") as sock:
            sock.sendall(head(*UPGRADE))
            assert sock.recv(1000).startswith(b"HTTP/1.1 101 ")
            sock.sendall(too_large())
            assert sock.recv(1000)[2:] == VERDICT.payload
            return socket.socket(fileno=sock.detach())

    async with serve(handler, 0, ssl=tls.server, **FOREVER) as server:
        with await asyncio.to_thread(open_and_fail) as sock:
            sock.setblocking(False)
            await assert_is_cut_off(RawPeer(sock))
            await until(lambda: not server._websockets)
