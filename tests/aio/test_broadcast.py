"""One message for many connections, framed once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from raw_peer import BINARY, CLOSE, CONTINUATION, TEXT, Frame, until, within
from recorder import recorded

from wsproto_async import State, WebSocket, broadcast


@contextlib.asynccontextmanager
async def links(link: Callable, count: int) -> AsyncIterator[tuple[list[WebSocket], list[Any]]]:
    async with contextlib.AsyncExitStack() as stack:
        pairs = [await stack.enter_async_context(link()) for _ in range(count)]
        yield [ws for ws, _ in pairs], [peer for _, peer in pairs]


@pytest.mark.parametrize(
    ("message", "text", "frame"),
    [
        ("text €", None, Frame(TEXT, "text €".encode())),
        ("text", False, Frame(BINARY, b"text")),
        (b"\xff", None, Frame(BINARY, b"\xff")),
        (b"bytes", True, Frame(TEXT, b"bytes")),
        (bytearray(b"array"), None, Frame(BINARY, b"array")),
        (memoryview(b"view"), None, Frame(BINARY, b"view")),
        ("", None, Frame(TEXT, b"")),
    ],
)
async def test_everybody_gets_it(
    link: Callable, message: Any, text: bool | None, frame: Frame
) -> None:
    """Of clients it is masked, which is what their peers look at."""
    async with links(link, 3) as (websockets, peers):
        broadcast(websockets, message, text)
        await websockets[1].send("next")
        broadcast(iter(websockets), message, text=text)
        assert [await peer.read_frame() for peer in peers] == [frame] * 3
        assert await peers[1].read_frame() == Frame(TEXT, b"next")
        assert [await peer.read_frame() for peer in peers] == [frame] * 3


async def test_clients_mask_each_with_a_key_of_its_own(client_link: Callable) -> None:
    async with links(client_link, 3) as (websockets, peers):
        broadcast(websockets, bytes(100))
        wires = [await peer.take(106) for peer in peers]
        assert len({wire[2:6] for wire in wires}) == 3


async def test_it_is_framed_once() -> None:
    """All connections' transports are given one and the same object."""
    everyone: list[WebSocket] = []

    async def handler(ws: WebSocket, writes: list[bytes]) -> None:
        everyone.append(ws)
        await ws.wait_closed()

    async with (
        recorded(handler) as (first, first_writes),
        recorded(handler) as (second, second_writes),
    ):
        await until(lambda: len(everyone) == 2)
        broadcast(everyone, "once")
        assert [await peer.read_frame() for peer in (first, second)] == [Frame(TEXT, b"once")] * 2
        assert len(first_writes) == len(second_writes) == 1
        assert first_writes[0] is second_writes[0]


@pytest.mark.parametrize("message", [None, 1, ["fragments"], {}, "\ud800"], ids=repr)
async def test_what_cannot_be_sent_is_sent_to_nobody(link: Callable, message: Any) -> None:
    async with links(link, 2) as (websockets, peers):
        with pytest.raises((TypeError, UnicodeError)):
            broadcast(websockets, message)
        with pytest.raises(UnicodeError):
            broadcast(websockets, b"\xff", text=True)
        broadcast(websockets, "next")
        assert [await peer.read_frame() for peer in peers] == [Frame(TEXT, b"next")] * 2


async def test_nobody_to_send_to() -> None:
    broadcast([], "nobody")


async def test_connections_that_are_not_open_are_passed_over(link: Callable) -> None:
    async with links(link, 4) as (websockets, peers):
        closing = asyncio.create_task(websockets[0].close())
        await asyncio.sleep(0)
        websockets[1].abort()
        peers[2].sock.close()
        await within(5, websockets[2].wait_closed())
        assert [ws.state for ws in websockets] == [
            State.CLOSING,
            State.CLOSED,
            State.CLOSED,
            State.OPEN,
        ]
        broadcast(websockets, "for the last one")
        assert await peers[3].read_frame() == Frame(TEXT, b"for the last one")
        assert (await peers[0].answer_close()).close_code == 1000
        await closing


async def test_it_waits_for_nobody_and_drops_the_slow(server_link: Callable) -> None:
    """One that has 16 times its write_limit waiting is closed; the others do not notice."""
    message = bytes(10_000)
    async with (
        server_link(small_buffers=True, write_limit=10_000) as (slow, slow_peer),
        server_link(write_limit=10_000) as (good, good_peer),
    ):
        sent = 0
        while slow.state is State.OPEN:
            assert sent < 200  # what the limit and two kernels hold, and some more
            before = slow.buffered_amount
            broadcast([slow, good], message)
            sent += 1
            assert await good_peer.read_frame() == Frame(BINARY, message)
        assert before + len(message) + 256 > 160_000  # with what it takes to remember one
        assert good.state is State.OPEN
        # It misses the end, not the middle.
        for _ in range(sent - 1):
            assert await slow_peer.read_frame() == Frame(BINARY, message)
        assert await slow_peer.read_frame() == Frame(CLOSE, b"\x03\xf5too slow")


async def test_a_fragmented_message_is_not_interrupted(link: Callable) -> None:
    async def fragments() -> AsyncIterator[str]:
        yield "one "
        await go_on.wait()
        yield "two"

    go_on = asyncio.Event()
    async with link() as (ws, peer):
        sending = asyncio.create_task(ws.send(fragments()))
        assert await peer.read_frame() == Frame(TEXT, b"one ", fin=False)
        broadcast([ws], "first")
        waiting = asyncio.create_task(ws.send("after"))
        await asyncio.sleep(0)
        assert ws.buffered_amount >= len("first")
        broadcast([ws], b"second")
        go_on.set()
        await within(5, asyncio.gather(sending, waiting))
        frames = [await peer.read_frame() for _ in range(5)]
        assert frames == [
            Frame(CONTINUATION, b"two", fin=False),
            Frame(CONTINUATION, b""),
            Frame(TEXT, b"first"),
            Frame(BINARY, b"second"),
            Frame(TEXT, b"after"),
        ]
        assert ws.buffered_amount == 0


async def test_what_waits_for_a_message_that_is_broken_off_is_dropped(link: Callable) -> None:
    async def fragments() -> AsyncIterator[str]:
        yield "one "
        await asyncio.Event().wait()

    async with link() as (ws, peer):
        sending = asyncio.create_task(ws.send(fragments()))
        assert await peer.read_frame() == Frame(TEXT, b"one ", fin=False)
        broadcast([ws], "never")
        sending.cancel()
        await asyncio.wait([sending])
        assert (await peer.read_frame()).close_code == 1011
        await until(lambda: ws.buffered_amount == 0)


async def test_a_slow_one_is_dropped_while_a_fragmented_message_is_under_way(
    link: Callable,
) -> None:
    """What is held back counts as well."""

    async def fragments() -> AsyncIterator[str]:
        yield "one "
        await asyncio.Event().wait()

    async with link(write_limit=1000) as (ws, peer):
        sending = asyncio.create_task(ws.send(fragments()))
        assert await peer.read_frame() == Frame(TEXT, b"one ", fin=False)
        for _ in range(100):
            broadcast([ws], bytes(1000))
        assert (await peer.read_frame()).close_code == 1013
        sending.cancel()
        await asyncio.wait([sending])
