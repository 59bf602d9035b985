"""Receiving piece by piece; every test runs on a server and on a client."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from raw_peer import BINARY, CONTINUATION, PING, PONG, TEXT, Frame, until, within
from receiving import MIXED, iterate, stream

from wsproto_async import (
    ConnectionClosed,
    ConnectionClosedError,
    InvalidState,
    WebSocket,
    connect,
    serve,
)


@asynccontextmanager
async def pieces_of(ws: WebSocket) -> AsyncIterator[Callable]:
    """Give a function that awaits the next piece, None at the end."""
    async with contextlib.aclosing(ws.recv_streaming()) as pieces:

        async def following() -> str | bytes | None:
            async with asyncio.timeout(10):
                return await anext(pieces, None)

        yield following


@pytest.mark.parametrize(("opcode", "empty"), [(TEXT, ""), (BINARY, b"")])
async def test_streaming_a_whole_message(link: Callable, opcode: int, empty: str | bytes) -> None:
    message = "whole" if opcode == TEXT else b"whole"
    async with link() as (ws, peer):
        await peer.send(
            peer.frame(opcode, b"whole") + peer.frame(opcode) + peer.frame(opcode, b"x")
        )
        assert await stream(ws) == [message]
        assert await stream(ws) == [empty]
        assert await ws.recv() in ("x", b"x")


async def test_pieces_may_be_smaller_than_frames(link: Callable) -> None:
    async with link() as (ws, peer), pieces_of(ws) as following:
        frame = peer.frame(BINARY, b"0123456789")
        await peer.send(frame[:-6])
        assert await following() == b"0123"
        await peer.send(frame[-6:-1])
        assert await following() == b"45678"
        await peer.send(frame[-1:])
        assert await following() == b"9"
        assert await following() is None


async def test_pieces_may_be_larger_than_frames(link: Callable) -> None:
    async with link() as (ws, peer):
        await peer.send_frame(TEXT, b"one ", fin=False)
        await peer.send_frame(CONTINUATION, b"two ", fin=False)
        await peer.send_frame(PING, b"seen both")
        assert await peer.read_frame() == Frame(PONG, b"seen both")
        async with pieces_of(ws) as following:
            assert await following() == "one two "
            await peer.send(peer.frame(CONTINUATION, b"three") + peer.frame(TEXT, b"next"))
            assert await following() == "three"
            assert await following() is None
        assert await ws.recv() == "next"


@pytest.mark.parametrize("fragmented", [True, False])
async def test_a_character_is_not_split(link: Callable, fragmented: bool) -> None:
    payload = MIXED.encode()
    async with link() as (ws, peer), pieces_of(ws) as following:
        if fragmented:
            steps = [peer.frame(TEXT, payload[:1], fin=False)]
            steps += [
                peer.frame(CONTINUATION, payload[at : at + 1], fin=at == len(payload) - 1)
                for at in range(1, len(payload))
            ]
        else:
            frame = peer.frame(TEXT, payload)
            first = len(frame) - len(payload) + 1
            steps = [frame[:first], *(frame[at : at + 1] for at in range(first, len(frame)))]
        pieces = []
        for step, _ in enumerate(steps):
            await peer.send(steps[step])
            if len(payload[: step + 1].decode(errors="ignore")) > len("".join(pieces)):
                pieces.append(await following())
        assert pieces == list(MIXED)
        assert await following() is None


async def test_the_last_piece_is_left_out_if_it_is_empty(link: Callable) -> None:
    async with link() as (ws, peer), pieces_of(ws) as following:
        await peer.send_frame(TEXT, b"all", fin=False)
        assert await following() == "all"
        await peer.send_frame(CONTINUATION)
        assert await following() is None


async def test_a_message_left_in_the_middle_is_resumed(link: Callable) -> None:
    async with link() as (ws, peer):
        await peer.send_frame(TEXT, b"one ", fin=False)
        async for piece in ws.recv_streaming():
            assert piece == "one "
            break
        for receive in (WebSocket.recv, iterate):
            with pytest.raises(
                InvalidState,
                match=r"^recv_streaming\(\) has begun a message: it has to end it$",
            ):
                await receive(ws)
        await peer.send(peer.frame(CONTINUATION, b"two") + peer.frame(TEXT, b"next"))
        assert await stream(ws) == ["two"]
        assert await ws.recv() == "next"


async def test_a_message_cancelled_in_the_middle_is_resumed(link: Callable) -> None:
    pieces = []

    async def collect(ws: WebSocket) -> None:
        async for piece in ws.recv_streaming():
            pieces.append(piece)

    async with link() as (ws, peer):
        await peer.send_frame(BINARY, b"one ", fin=False)
        collecting = asyncio.create_task(collect(ws))
        await until(lambda: pieces)
        collecting.cancel()
        await asyncio.wait([collecting])
        await peer.send_frame(CONTINUATION, b"two ", fin=False)
        await peer.send_frame(CONTINUATION, b"three")
        await within(5, collect(ws))
        assert b"".join(pieces) == b"one two three"


async def test_streaming_left_before_the_first_piece_changes_nothing(link: Callable) -> None:
    async with link() as (ws, peer):
        collecting = asyncio.create_task(stream(ws))
        await asyncio.sleep(0)
        collecting.cancel()
        await asyncio.wait([collecting])
        await peer.send_frame(TEXT, b"whole")
        assert await ws.recv() == "whole"


async def close_in_the_middle(peer: Any) -> None:
    await peer.send_close(1000)
    await peer.read_close()
    peer.sock.close()


async def end_in_the_middle(peer: Any) -> None:
    peer.sock.close()


@pytest.mark.parametrize("end", [close_in_the_middle, end_in_the_middle])
async def test_a_message_that_is_cut_off(link: Callable, end: Callable) -> None:
    """A part of it was received: even a clean close is an error then."""
    async with link() as (ws, peer):
        await peer.send_frame(TEXT, b"half of ", fin=False)
        async with pieces_of(ws) as following:
            assert await following() == "half of "
            await end(peer)
            with pytest.raises(ConnectionClosedError):
                await following()


@pytest.mark.parametrize("end", [close_in_the_middle, end_in_the_middle])
async def test_after_a_message_that_is_cut_off_the_connection_is_closed(
    link: Callable, end: Callable
) -> None:
    """There is nothing left to resume, so there is nothing else to say."""
    async with link() as (ws, peer):
        await peer.send_frame(TEXT, b"half of ", fin=False)
        async with pieces_of(ws) as following:
            assert await following() == "half of "
            await end(peer)
            with pytest.raises(ConnectionClosed):
                await following()
        for receive in (WebSocket.recv, stream):
            with pytest.raises(ConnectionClosed):
                await receive(ws)


async def test_a_message_of_any_size_passes_in_bounded_memory() -> None:
    """64 MiB, in fragments and then in one frame; the sender waits for the slow reader."""
    size = 2**26
    chunk = bytes(2**16)
    taken = 0

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(size // len(chunk)):
            yield chunk

    async def handler(ws: WebSocket) -> None:
        await ws.send(chunks())

    async with (
        serve(handler, 0) as server,
        connect(
            f"ws://127.0.0.1:{server.port}", max_size=None, max_fragments=None, read_limit=2**17
        ) as ws,
    ):
        gc.collect()
        tracemalloc.start()
        try:
            turn = 0
            async for piece in ws.recv_streaming():
                taken += len(piece)
                turn += 1
                if turn % 16 == 0:  # others' turn: they fill whatever is allowed to be full
                    for _ in range(16):
                        await asyncio.sleep(0)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert taken == size
    assert peak < 2**21


async def test_one_frame_of_any_size_passes_in_bounded_memory(client_link: Callable) -> None:
    size = 2**26
    chunk = bytes(2**16)

    async def send_all(peer: Any) -> None:
        await peer.send(b"\x82\x7f" + size.to_bytes(8, "big"))
        for _ in range(size // len(chunk)):
            await peer.send(chunk)

    async with client_link(max_size=None) as (ws, peer):
        tracemalloc.start()
        try:
            sending = asyncio.create_task(send_all(peer))
            taken = 0
            async for piece in ws.recv_streaming():
                taken += len(piece)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        await sending
    assert taken == size
    assert peak < 2**21


async def test_nobody_asks_for_the_next_piece_so_the_peer_waits(server_link: Callable) -> None:
    read_limit = 2**14
    async with server_link(max_size=None, read_limit=read_limit, small_buffers=True) as (ws, peer):
        frame = peer.frame(BINARY, bytes(2**23))
        sending = asyncio.create_task(peer.send(frame))
        async with pieces_of(ws) as following:
            taken = len(await following())
            await asyncio.wait([sending], timeout=0.1)
            assert not sending.done()  # 8 MiB do not fit anywhere on the way
            largest = 0
            while (piece := await following()) is not None:
                largest = max(largest, len(piece))
                taken += len(piece)
        await sending
        assert taken == 2**23
        assert largest < read_limit + 2**18 + 1  # and one read of the transport
