"""Closing; every test runs on a server and on a client."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from raw_peer import CLOSE, PING, PONG, TEXT, Frame, within
from receiving import closed_by

from wsproto_async import (
    ConnectionClosedError,
    ConnectionClosedOK,
    State,
    WebSocket,
    connect,
    serve,
)


async def test_close(link: Callable) -> None:
    async with link() as (ws, peer):
        closing = asyncio.create_task(ws.close())
        assert await peer.read_frame() == Frame(CLOSE, b"\x03\xe8")
        assert ws.state is State.CLOSING
        assert not closing.done()
        assert ws.close_code is None
        assert ws.close_reason is None
        await peer.send_close(1000)
        if peer.is_client:
            assert await peer.read_eof() == b""
            assert not closing.done()  # the connection is gone when both ends have hung up
        peer.sock.close()
        await within(5, closing)
        assert ws.state is State.CLOSED
        assert (ws.close_code, ws.close_reason) == (1000, "")


async def test_close_with_a_code_and_a_reason(link: Callable) -> None:
    async with link() as (ws, peer):
        closing = asyncio.create_task(ws.close(4999, reason="€" * 41))
        assert await peer.answer_close() == Frame(CLOSE, b"\x13\x87" + ("€" * 41).encode())
        await closing
        assert (ws.close_code, ws.close_reason) == (4999, "€" * 41)


async def test_close_validates_first(link: Callable) -> None:
    async with link() as (ws, peer):
        for code, reason in (
            *((code, "") for code in (-1, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65536)),
            (1000, "x" * 124),
            (1000, "€" * 42),
            (1000, "\ud800"),
        ):
            with pytest.raises(ValueError):
                await ws.close(code, reason)
        assert ws.state is State.OPEN
        await ws.send("still open")
        assert await peer.read_frame() == Frame(TEXT, b"still open")


async def test_close_is_idempotent(link: Callable) -> None:
    async with link() as (ws, peer):
        closings = [asyncio.create_task(ws.close(1000 + 8 * n)) for n in range(2)]
        closings.append(asyncio.create_task(ws.wait_closed()))
        assert (await peer.answer_close()).close_code == 1000
        await within(5, asyncio.gather(*closings))
        await within(1, ws.close(4000, "again"))
        with pytest.raises(ValueError):
            await ws.close(1005)
        await within(1, ws.wait_closed())
        ws.abort()
        assert (ws.state, ws.close_code) == (State.CLOSED, 1000)


async def test_close_while_recv_waits(link: Callable) -> None:
    async with link() as (ws, peer):
        receiving = asyncio.create_task(ws.recv())
        await asyncio.sleep(0)
        closing = asyncio.create_task(ws.close())
        await peer.read_close()
        await peer.send(peer.frame(TEXT, b"last words") + peer.close_frame(1000))
        assert await within(5, receiving) == "last words"
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()
        peer.sock.close()
        await within(5, closing)


async def test_nothing_is_sent_after_the_close_frame(link: Callable) -> None:
    async with link() as (ws, peer):
        closing = asyncio.create_task(ws.close())
        await peer.read_close()
        for call in (ws.send("x"), ws.send(["x"]), ws.ping(), ws.pong()):
            with pytest.raises(ConnectionClosedError):  # the peer has not agreed yet
                await call
        await peer.send(peer.frame(PING, b"no answer") + peer.close_frame(1000))
        if peer.is_client:
            assert await peer.read_eof() == b""
        peer.sock.close()
        await within(5, closing)


async def test_close_with_a_full_receive_queue(link: Callable) -> None:
    """The peer's answer stands behind more messages than anybody will take."""
    async with link(read_limit=1000, close_timeout=30) as (ws, peer):
        await peer.send(peer.frame(TEXT, b"x" * 500) * 200)
        assert await ws.recv() == "x" * 500
        start = time.monotonic()
        closing = asyncio.create_task(ws.close())
        await peer.read_close()
        await peer.send_close()
        if peer.is_client:
            await peer.read_eof()
        peer.sock.close()
        await within(5, closing)
        assert time.monotonic() - start < 10
        assert ws.close_code == 1000
        assert {message async for message in ws} == {"x" * 500}


async def test_close_when_the_peer_never_answers(link: Callable) -> None:
    async with link(close_timeout=0.15) as (ws, peer):
        receiving = asyncio.create_task(ws.recv())
        start = time.monotonic()
        await within(5, ws.close())
        assert 0.1 < time.monotonic() - start < 2
        assert (ws.state, ws.close_code, ws.close_reason) == (State.CLOSED, 1006, "")
        with pytest.raises(ConnectionClosedError) as caught:
            await receiving
        assert str(caught.value) == "no close frame received; sent 1000 (OK)"
        assert (await peer.read_close()).close_code == 1000


async def test_close_when_the_peer_talks_on_and_on(link: Callable) -> None:
    """Neither bytes nor pongs move the deadline."""

    async def talk(peer: Any) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await peer.send(peer.frame(TEXT, b"x" * 100) + peer.frame(PONG, b"ping"))
                await asyncio.sleep(0.01)

    async with link(close_timeout=0.15, ping_interval=0.05) as (ws, peer):
        await ws.ping(b"ping")
        talking = asyncio.create_task(talk(peer))
        start = time.monotonic()
        await within(5, ws.close())
        assert time.monotonic() - start < 2
        assert ws.close_code == 1006
        await talking


async def test_close_without_a_timeout_waits_for_ever(link: Callable) -> None:
    async with link(close_timeout=None) as (ws, peer):
        closing = asyncio.create_task(ws.close())
        await asyncio.wait([closing], timeout=0.2)
        assert not closing.done()
        await peer.answer_close()
        await within(5, closing)
        assert ws.close_code == 1000


async def test_both_close_at_once() -> None:
    """Two of our own ends: neither has seen the other's Close frame when it sends its own."""
    opened = asyncio.get_running_loop().create_future()

    async def handler(ws: WebSocket) -> None:
        opened.set_result(ws)
        await ws.wait_closed()

    async with serve(handler, 0) as server:
        client = await connect(f"ws://127.0.0.1:{server.port}")
        at_server = await opened
        start = time.monotonic()
        await asyncio.gather(client.close(1001, "client"), at_server.close(1000, "server"))
        assert time.monotonic() - start < 2
        assert (client.close_code, client.close_reason) == (1000, "server")
        assert (at_server.close_code, at_server.close_reason) == (1001, "client")
        for ws, text in (
            (client, "sent 1001 (going away) client; then received 1000 (OK) server"),
            (at_server, "sent 1000 (OK) server; then received 1001 (going away) client"),
        ):
            exc = await closed_by(ws)
            assert type(exc) is ConnectionClosedOK
            assert str(exc) == text


async def test_cancelling_close_stops_the_wait_and_not_the_closing(link: Callable) -> None:
    async with link() as (ws, peer):
        closing = asyncio.create_task(ws.close(4000))
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled()
        assert (await peer.answer_close()).close_code == 4000
        await within(5, ws.wait_closed())
        assert ws.close_code == 4000


async def test_cancelling_wait_closed_has_no_effect(link: Callable) -> None:
    async with link() as (ws, peer):
        waiting = [asyncio.create_task(ws.wait_closed()) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        assert ws.state is State.OPEN
        await ws.send("alive")
        assert await peer.read_frame() == Frame(TEXT, b"alive")
        assert not waiting[1].done()
        peer.sock.close()
        await within(5, waiting[1])


async def test_abort(link: Callable) -> None:
    async with link() as (ws, peer):
        receiving = asyncio.create_task(ws.recv())
        await asyncio.sleep(0)
        ws.abort()
        assert ws.state is State.CLOSED
        with pytest.raises(ConnectionClosedError):
            await ws.send("x")
        ws.abort()
        await within(1, ws.wait_closed())
        with pytest.raises(ConnectionClosedError, match=r"^no close frame received or sent$"):
            await receiving
        assert (ws.close_code, ws.close_reason) == (1006, "")
        assert ws.buffered_amount == 0
        with contextlib.suppress(ConnectionResetError):
            assert await peer.read_eof() == b""


async def test_abort_drops_what_was_not_sent(link: Callable) -> None:
    async with link(small_buffers=True) as (ws, peer):
        await ws.send(bytes(2**22))
        assert ws.buffered_amount > 0
        ws.abort()
        await within(1, ws.wait_closed())
        assert ws.buffered_amount == 0
        received = 0
        with contextlib.suppress(ConnectionResetError):
            received = len(await peer.read_eof())
        assert received < 2**22


async def test_the_context_manager_closes(link: Callable) -> None:
    async with link() as (ws, peer):
        closing = asyncio.create_task(peer.answer_close())
        async with ws as entered:
            assert entered is ws
            assert ws.state is State.OPEN
        assert (await closing).close_code == 1000
        assert ws.state is State.CLOSED


@pytest.mark.parametrize(
    ("error", "code"),
    [(LookupError, 1011), (asyncio.CancelledError, 1001), (KeyboardInterrupt, 1001)],
)
async def test_the_context_manager_tells_of_an_exception(
    link: Callable, error: type[BaseException], code: int
) -> None:
    async with link() as (ws, peer):
        closing = asyncio.create_task(peer.answer_close())
        with pytest.raises(error):
            async with ws:
                raise error
        assert (await closing).close_code == code
