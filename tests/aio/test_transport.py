"""Sockets and their transports, those of the compiled build and those of the loop alike."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from raw_peer import BINARY, UPGRADE, Frame, RawPeer, frame, head, let_it_read, tcp_peer, until

from wsproto_async import ConnectionClosed, Server, WebSocket, connect, serve

HAS_IPV6 = socket.has_ipv6 and os.path.exists("/proc/net/if_inet6")


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("host", ["127.0.0.1", *(["::1"] if HAS_IPV6 else [])])
async def test_both_ends_know_each_others_addresses(host: str) -> None:
    seen: list[tuple[object, object]] = []

    async def handler(ws: WebSocket) -> None:
        seen.append((ws.local_address, ws.remote_address))
        sock = ws.transport.get_extra_info("socket")
        assert sock.fileno() >= 0
        assert not isinstance(sock, socket.socket), "it is not the caller's to close"
        assert ws.transport.get_extra_info("nothing", "default") == "default"
        await ws.wait_closed()
        seen.append((None, ws.remote_address))

    where = f"[{host}]" if ":" in host else host
    async with (
        serve(handler, 0, host=host) as server,
        connect(f"ws://{where}:{server.port}") as ws,
    ):
        ours = ws.local_address, ws.remote_address
        assert ours[1][:2] == (host, server.port)
    assert seen == [(ours[1], ours[0]), (None, ours[0])]


async def test_small_frames_are_sent_at_once() -> None:
    def delays(ws: WebSocket) -> int:
        sock = ws.transport.get_extra_info("socket")
        return int(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    nodelay: list[int] = []

    async def handler(ws: WebSocket) -> None:
        nodelay.append(delays(ws))

    async with serve(handler, 0) as server, connect(f"ws://127.0.0.1:{server.port}") as ws:
        nodelay.append(delays(ws))
        await ws.wait_closed()
    assert all(nodelay)
    assert len(nodelay) == 2


async def test_every_descriptor_is_closed() -> None:
    async with serve(echo, 0) as server:
        uri = f"ws://127.0.0.1:{server.port}"
        await (await connect(uri)).close()  # the loop has what it opens only once
        before = open_files()
        for _ in range(5):
            async with connect(uri) as ws:
                await ws.send("a")
                await ws.recv()
            async with connect(uri) as ws:
                ws.abort()
        async with asyncio.timeout(5):
            while open_files() != before:  # noqa: ASYNC110
                await asyncio.sleep(0)


async def test_a_loop_holds_nothing_for_servers_that_are_gone() -> None:
    async def come_and_go() -> None:
        async with serve(echo, 0) as server, connect(f"ws://127.0.0.1:{server.port}") as ws:
            await ws.send("a")
            assert await ws.recv() == "a"

    await come_and_go()  # the loop has what it opens only once
    before = open_files()
    for _ in range(3):
        await come_and_go()
    assert open_files() == before


@asynccontextmanager
async def flooded() -> AsyncIterator[tuple[WebSocket, RawPeer]]:
    """A server's end whose peer does not read until it is asked to."""
    opened: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()

    async def handler(ws: WebSocket) -> None:
        opened.set_result(ws)
        await ws.wait_closed()

    async with serve(handler, 0, close_timeout=5) as server, tcp_peer(server.port) as peer:
        await peer.upgrade()
        yield await opened, peer


async def test_what_the_socket_does_not_take_waits_and_arrives() -> None:
    message = bytes(range(256)) * 2**12
    async with flooded() as (ws, peer):
        sending = asyncio.create_task(_send_all(ws, [message] * 16))
        async with asyncio.timeout(5):
            while not ws.transport.get_write_buffer_size():  # noqa: ASYNC110
                await asyncio.sleep(0)
        assert ws.buffered_amount > 0
        for _ in range(16):
            assert await peer.read_message() == Frame(2, message)
        await sending
        assert ws.transport.get_write_buffer_size() == 0


async def _send_all(ws: WebSocket, messages: list[bytes]) -> None:
    for message in messages:
        await ws.send(message)


async def test_all_of_a_burst_is_read_though_nothing_comes_after_it() -> None:
    """More than one read takes, in the socket before the first read: no event tells of the rest."""
    frames = frame(BINARY, bytes(2**16))
    loop = asyncio.get_running_loop()
    finished: asyncio.Future[None] = loop.create_future()

    async def handler(ws: WebSocket) -> None:
        for _ in range(256):  # at first the system lets little wait
            await ws.recv()
        peer.sendall(frames * 12)  # while the loop stands still
        for _ in range(12):
            await ws.recv()
        finished.set_result(None)

    async with serve(handler, 0) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as peer:
            peer.settimeout(5)
            peer.sendall(head(*UPGRADE))
            await loop.run_in_executor(None, peer.recv, 4096)
            await loop.run_in_executor(None, peer.sendall, frames * 256)
            async with asyncio.timeout(5):
                await finished


async def test_what_comes_behind_urgent_data_is_read() -> None:
    async with serve(echo, 0) as server, tcp_peer(server.port) as peer:
        await peer.upgrade()
        await let_it_read()
        peer.sock.send(frame(BINARY, b"one"))
        peer.sock.send(b"!", socket.MSG_OOB)
        peer.sock.send(frame(BINARY, b"two"))
        assert [await peer.read_message(), await peer.read_message()] == [
            Frame(BINARY, b"one"),
            Frame(BINARY, b"two"),
        ]


def test_an_interrupted_callback_takes_no_others_event_along() -> None:
    """Several connections are ready in the turn of the loop in which one handles Ctrl-C."""
    received: list[str | bytes] = []

    async def handler(ws: WebSocket) -> None:
        received.append(await ws.recv())

    class Interrupting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logger.removeHandler(self)
            raise KeyboardInterrupt

    logger = logging.Logger("interrupting", logging.DEBUG)

    async def prepare() -> None:
        for sock in socks[1:]:
            sock.connect(("127.0.0.1", server.port))
            sock.send(head(*UPGRADE))
            await loop.run_in_executor(None, sock.recv, 4096)
        socks[0].connect(("127.0.0.1", server.port))
        await let_it_read()
        logger.addHandler(Interrupting())
        socks[0].send(b"no request\r\n\r\n")
        for number, sock in enumerate(socks[1:]):
            sock.send(frame(BINARY, b"%d" % number))

    async def see_it_through() -> None:
        await until(lambda: len(received) == 4)
        server.close(grace=0)
        await server.wait_closed()

    async def start() -> Server:
        return await serve(handler, 0, logger=logger)

    socks = [socket.socket() for _ in range(5)]
    loop = asyncio.new_event_loop()
    try:
        server = loop.run_until_complete(start())
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(prepare())
            loop.run_until_complete(asyncio.sleep(5))
        loop.run_until_complete(see_it_through())
    finally:
        for sock in socks:
            sock.close()
        loop.close()
    assert sorted(received) == [b"0", b"1", b"2", b"3"]


async def test_the_last_words_wait_for_what_is_before_them() -> None:
    message = bytes(2**20)
    async with flooded() as (ws, peer):
        await ws.send(message)
        closing = asyncio.create_task(ws.close(1000, "enough"))
        await asyncio.sleep(0)
        assert await peer.read_message() == Frame(2, message)
        assert await peer.read_message() == Frame(8, b"\x03\xe8enough")
        ws.abort()
        await closing


async def test_a_peer_that_resets_while_something_waits() -> None:
    async with flooded() as (ws, peer):
        with pytest.raises(ConnectionClosed):
            sending = asyncio.create_task(_send_all(ws, [bytes(2**20)] * 64))
            async with asyncio.timeout(5):
                while not ws.transport.get_write_buffer_size():  # noqa: ASYNC110
                    await asyncio.sleep(0)
                linger = struct.pack("ii", 1, 0)
                peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                peer.sock.close()
                await sending
        await ws.wait_closed()
        assert ws.close_code == 1006
