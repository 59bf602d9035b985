"""Peers that begin and do not go on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from raw_peer import BINARY, CLOSE, TEXT, UPGRADE, frame, head, tcp_peer, until, within

from wsproto_async import ConnectionClosedError, State, broadcast, serve

QUICK = 0.1
STANDS_STILL = b"\x03\xf0frame brought less than 1 KiB in 0.1 s"


@pytest.mark.parametrize("sent", [1, 2, 5, 6, 7, 1000])
async def test_a_frame_that_does_not_go_on(link: Callable, sent: int) -> None:
    async with link(frame_timeout=QUICK, read_limit=100, close_timeout=0.1) as (ws, peer):
        receiving = asyncio.create_task(ws.recv())
        await peer.send(peer.frame(BINARY, bytes(2000))[:sent])
        assert (await peer.read_close()).payload == STANDS_STILL
        with pytest.raises(ConnectionClosedError, match="1008"):
            await within(1, receiving)


async def test_a_frame_that_drips(server_link: Callable) -> None:
    """Each byte proves life, and still the frame will not end in this century."""
    async with server_link(frame_timeout=QUICK, ping_interval=0.02, ping_timeout=0.05) as (_, peer):
        frame = peer.frame(BINARY, bytes(2000))
        closing = asyncio.create_task(peer.read_close())
        at = 0
        while not closing.done():
            await peer.send(frame[at : at + 1])
            at += 1
            await asyncio.sleep(0.01)
        assert closing.result().payload == STANDS_STILL


async def test_a_frame_that_takes_its_time(server_link: Callable) -> None:
    """1 KiB in each timeout is enough."""
    async with server_link(frame_timeout=QUICK) as (ws, peer):
        receiving = asyncio.create_task(ws.recv())
        frame = peer.frame(BINARY, bytes(20_000))
        start = time.monotonic()
        for at in range(0, len(frame), 1000):
            await peer.send(frame[at : at + 1000])
            await asyncio.sleep(0.02)
        assert time.monotonic() - start > 3 * QUICK
        assert await receiving == bytes(20_000)


async def test_many_frames_that_are_split(server_link: Callable) -> None:
    """Whenever one looks, a frame is on its way; but it is never the same."""
    async with server_link(frame_timeout=QUICK) as (ws, peer):
        frame = peer.frame(TEXT, b"slow")
        await peer.send(frame[:3])
        for _ in range(20):
            await asyncio.sleep(0.02)
            await peer.send(frame[3:] + frame[:3])
            assert await ws.recv() == "slow"
        assert ws.state is State.OPEN


async def test_a_message_may_rest_between_its_fragments(server_link: Callable) -> None:
    async with server_link(frame_timeout=0.05) as (ws, peer):
        receiving = asyncio.create_task(ws.recv())
        await peer.send(peer.frame(TEXT, b"a", fin=False))
        await asyncio.sleep(0.4)
        await peer.send(peer.frame(0, b"b"))
        assert await receiving == "ab"


async def test_while_we_do_not_read_nobody_is_to_blame(server_link: Callable) -> None:
    async with server_link(frame_timeout=0.05, read_limit=100) as (ws, peer):
        frame = peer.frame(BINARY, bytes(1000))
        await peer.send(frame * 3 + frame[:500])
        await until(lambda: ws._protocol.is_reading_paused)
        await asyncio.sleep(0.4)
        assert ws.state is State.OPEN
        for _ in range(3):
            assert await ws.recv() == bytes(1000)
        await peer.send(frame[500:])
        assert await within(1, ws.recv()) == bytes(1000)


async def test_a_loop_that_stood_still_reads_what_is_pending(server_link: Callable) -> None:
    async with server_link(frame_timeout=0.05) as (ws, peer):
        frame = peer.frame(BINARY, bytes(1000))
        await peer.send(frame[:500])
        await until(lambda: ws._protocol.bytes_received > 500)
        peer.sock.send(frame[500:])
        time.sleep(0.3)  # noqa: ASYNC251 - that is what is tried
        assert await ws.recv() == bytes(1000)
        assert ws.state is State.OPEN


async def test_no_timeout_for_frames(server_link: Callable) -> None:
    async with server_link(frame_timeout=None) as (ws, peer):
        await peer.send(peer.frame(BINARY, bytes(10))[:5])
        await asyncio.sleep(0.3)
        assert ws.state is State.OPEN


async def test_a_peer_that_takes_nothing(link: Callable) -> None:
    async with link(send_timeout=QUICK, small_buffers=True) as (ws, peer):
        with pytest.raises(ConnectionClosedError):
            async with asyncio.timeout(5):
                while True:
                    await ws.send(bytes(65536))
        assert (ws.state, ws.close_code) == (State.CLOSED, 1006)
        peer.sock.close()


async def test_a_peer_that_takes_little_at_a_time(server_link: Callable) -> None:
    async with server_link(send_timeout=0.2, small_buffers=True, write_limit=1000) as (ws, peer):
        sending = asyncio.create_task(ws.send(bytes(200_000)))
        await sending
        waiting = asyncio.create_task(ws.send(b"the end"))
        taken = b""
        while not waiting.done():
            taken += await peer.take(4000)
            await asyncio.sleep(0.02)
        assert ws.state is State.OPEN


@pytest.mark.one_loop
async def test_what_a_peer_takes_from_our_kernel_is_progress(server_link: Callable) -> None:
    """It says that there is room again only when much of what it holds has gone."""
    async with server_link(send_timeout=1) as (ws, peer):
        while ws._protocol.send_progress is None:
            broadcast([ws], bytes(4000))
            await asyncio.sleep(0)
        start = time.monotonic()
        while time.monotonic() - start < 2.5:
            peer.sock.recv(20_000)
            await asyncio.sleep(0.1)
        assert ws.state is State.OPEN
        assert ws.buffered_amount


async def test_no_timeout_for_those_who_take_nothing(server_link: Callable) -> None:
    async with server_link(send_timeout=None, small_buffers=True) as (ws, peer):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.4):
                while True:
                    await ws.send(bytes(65536))
        assert ws.state is State.OPEN
        peer.sock.close()


async def test_nothing_is_left_of_it(server_link: Callable) -> None:
    async with server_link(frame_timeout=5, send_timeout=5, small_buffers=True) as (ws, peer):
        await peer.send(peer.frame(BINARY, bytes(10))[:5])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                while True:
                    await ws.send(bytes(65536))
        protocol = ws._protocol
        assert protocol.frame_progress.tick
        assert protocol.send_progress.tick
        watches = protocol.frame_progress, protocol.send_progress
        ws.abort()
        await ws.wait_closed()
        assert [watch.tick for watch in watches] == [0, 0]
        assert protocol.frame_progress is protocol.send_progress is None


async def test_a_close_in_the_middle_of_a_frame(server_link: Callable) -> None:
    """The verdict is about open connections; those that close have a deadline of their own."""
    async with server_link(frame_timeout=0.05, close_timeout=0.5) as (ws, peer):
        await peer.send(peer.frame(BINARY, bytes(10))[:5])
        await until(lambda: ws._protocol.frame_progress)
        closing = asyncio.create_task(ws.close(4000))
        assert (await peer.read_frame()).payload == b"\x0f\xa0"
        await closing
        assert await peer.read_frame() is None


async def test_a_frame_that_came_with_the_request() -> None:
    async with (
        serve(lambda ws: ws.wait_closed(), 0, frame_timeout=QUICK, close_timeout=0.1) as server,
        tcp_peer(server.port) as peer,
    ):
        await peer.send(head(*UPGRADE) + frame(BINARY, bytes(2000))[:100])
        assert (await peer.read_head()).startswith(b"HTTP/1.1 101 ")
        assert (await peer.read_frame())[:2] == (CLOSE, STANDS_STILL)


async def test_a_frame_that_stood_behind_what_nobody_took(server_link: Callable) -> None:
    """While nothing is read it is not watched; then it is."""
    async with server_link(frame_timeout=QUICK, read_limit=1000, close_timeout=0.1) as (ws, peer):
        data = peer.frame(BINARY, bytes(900)) * 10 + peer.frame(BINARY, bytes(2000))[:100]
        await peer.send(data)
        await until(lambda: ws._protocol.is_reading_paused)
        await asyncio.sleep(3 * QUICK)
        assert ws.state is State.OPEN
        for _ in range(10):
            assert await ws.recv() == bytes(900)
        assert (await peer.read_close()).payload == STANDS_STILL
