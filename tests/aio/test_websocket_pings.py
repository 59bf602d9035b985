"""Pings of the application; every test runs on a server and on a client."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pytest
from raw_peer import PING, PONG, TEXT, Frame, within

from wsproto_async import ConcurrencyError, ConnectionClosed, WebSocket


async def test_ping(link: Callable) -> None:
    async with link() as (ws, peer):
        assert ws.latency == 0.0
        for data in (b"payload", "text €", bytearray(b"array"), b"", b"x" * 125):
            payload = data.encode() if isinstance(data, str) else bytes(data)
            waiter = await ws.ping(data)
            assert await peer.read_frame() == Frame(PING, payload)
            await peer.send_frame(PONG, payload)
            latency = await waiter
            assert 0 < latency < 5
            assert ws.latency == latency


async def test_pings_differ(link: Callable) -> None:
    async with link() as (ws, peer):
        waiters = [await ws.ping() for _ in range(10)]
        payloads = [(await peer.read_frame()).payload for _ in waiters]
        assert len(set(payloads)) == 10
        await peer.send_frame(PONG, payloads[8])
        await asyncio.gather(*waiters[:9])  # a pong answers the earlier pings as well
        assert not waiters[9].done()
        await peer.send_frame(PONG, payloads[9])
        await waiters[9]


async def test_the_same_ping_twice(link: Callable) -> None:
    async with link() as (ws, peer):
        for _ in range(2):
            waiter = await ws.ping("same")
            with pytest.raises(
                ConcurrencyError, match=r"^a ping with the same payload is waiting for its pong$"
            ):
                await ws.ping(b"same")
            assert await peer.read_frame() == Frame(PING, b"same")
            await peer.send_frame(PONG, b"same")
            await waiter


@pytest.mark.parametrize("call", [WebSocket.ping, WebSocket.pong])
async def test_wrong_pings(link: Callable, call: Callable) -> None:
    async with link() as (ws, peer):
        for data, error in (
            (b"x" * 126, ValueError),
            ("€" * 42, ValueError),
            (1, TypeError),
            ("\ud800", UnicodeError),
        ):
            with pytest.raises(error):
                await call(ws, data)
        waiter = await ws.ping(b"right")
        assert await peer.read_frame() == Frame(PING, b"right")
        await peer.send_frame(PONG, b"right")
        await waiter


async def test_cancelling_the_wait_for_a_pong(link: Callable) -> None:
    async with link() as (ws, peer):
        first, second = await ws.ping(b"1"), await ws.ping(b"2")
        waiting = asyncio.ensure_future(first)
        waiting.cancel()
        await asyncio.wait([waiting])
        await peer.send_frame(PONG, b"2")
        assert await second > 0
        assert ws.latency > 0


@pytest.mark.parametrize("end", ["close", "abort", "peer"])
async def test_a_ping_that_is_not_answered_any_more(link: Callable, end: str) -> None:
    async with link() as (ws, peer):
        waiter = await ws.ping()
        ignored = await ws.ping()
        if end == "peer":
            peer.sock.close()
        elif end == "abort":
            ws.abort()
        else:
            closing = asyncio.create_task(ws.close())
            await peer.answer_close()
            await closing
        with pytest.raises(ConnectionClosed):
            await within(5, waiter)
        await within(5, ws.wait_closed())
        del ignored, waiter
        gc.collect()  # nobody asked for the second one's exception: that is no reason to log it
        with pytest.raises(ConnectionClosed):
            await ws.ping()


async def test_pong(link: Callable) -> None:
    async with link() as (ws, peer):
        for data in (b"", "text €", b"x" * 125):
            payload = data.encode() if isinstance(data, str) else data
            await ws.pong(data)
            assert await peer.read_frame() == Frame(PONG, payload)
        await peer.send_frame(PONG, b"unsolicited")
        await peer.send_frame(TEXT, b"alive")
        assert await ws.recv() == "alive"
        assert ws.latency == 0.0


async def test_pings_are_answered_while_nobody_receives(link: Callable) -> None:
    async with link() as (_, peer):
        for payload in (b"", b"one", b"x" * 125):
            await peer.send_frame(PING, payload)
            assert await peer.read_frame() == Frame(PONG, payload)
