"""The cork, the write gate, and whose turn it is to send."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from raw_peer import BINARY, CLOSE, PING, PONG, TEXT, Frame, frame, until, within
from recorder import recorded

from wsproto_async import ConnectionClosed, State, WebSocket, broadcast

BLOCK = bytes(2**20)  # more than small buffers in the kernel take


async def echo(ws: WebSocket, writes: list[bytes]) -> None:
    async for message in ws:
        await ws.send(message)


@pytest.mark.parametrize("count", [2, 32])
async def test_replies_to_what_came_together_go_together(count: int) -> None:
    async with recorded(echo) as (peer, writes):
        for _ in range(3):
            await peer.send(frame(TEXT, b"request") * count)
            for _ in range(count):
                assert await peer.read_frame() == Frame(TEXT, b"request")
        assert len(writes) == 3


async def test_the_cork_holds_64_kib() -> None:
    request = frame(BINARY, bytes(10_000))
    async with recorded(echo) as (peer, writes):
        await peer.send(request * 20)
        for _ in range(20):
            await peer.read_frame()
        # How many reads the requests come in is not ours to say, but no write may be larger.
        assert all(len(write) < 65536 + 10_004 for write in writes)
        assert sum(map(len, writes)) == 20 * 10_004


async def test_with_nothing_unread_every_send_is_a_write_at_once() -> None:
    counts: list[int] = []

    async def handler(ws: WebSocket, writes: list[bytes]) -> None:
        for number in range(5):
            await ws.send(str(number))
            counts.append(len(writes))
        await ws.recv()
        await ws.send("reply")
        counts.append(len(writes))

    async with recorded(handler) as (peer, _):
        for number in range(5):
            assert await peer.read_frame() == Frame(TEXT, b"%d" % number)
        await peer.send(frame(TEXT, b"request"))
        assert await peer.read_frame() == Frame(TEXT, b"reply")
        assert counts == [1, 2, 3, 4, 5, 6]


async def test_a_handler_that_waits_for_something_else_leaves_nothing_corked() -> None:
    """The end of the turn is the latest."""
    go_on = asyncio.Event()

    async def handler(ws: WebSocket, writes: list[bytes]) -> None:
        for _ in range(3):
            await ws.send("reply to " + await ws.recv())
        counts.append(len(writes))
        await go_on.wait()
        await ws.send("reply to " + await ws.recv())

    counts: list[int] = []
    async with recorded(handler) as (peer, writes):
        await peer.send(frame(TEXT, b"1") * 4)
        for _ in range(3):
            assert await peer.read_frame() == Frame(TEXT, b"reply to 1")
        assert counts == [0]
        assert len(writes) == 1
        go_on.set()
        assert await peer.read_frame() == Frame(TEXT, b"reply to 1")


async def test_a_handler_that_has_seen_everything_leaves_nothing_corked() -> None:
    """Before it waits for more, not only at the end of the turn."""

    async def handler(ws: WebSocket, writes: list[bytes]) -> None:
        first = await ws.recv()
        asyncio.get_running_loop().call_soon(lambda: counts.append(len(writes)))
        await ws.send(first)
        counts.append(len(writes))
        assert await ws.recv() == "2"
        await ws.recv()

    counts: list[int] = []
    async with recorded(handler) as (peer, _):
        await peer.send(frame(TEXT, b"1") + frame(TEXT, b"2"))
        assert await peer.read_frame() == Frame(TEXT, b"1")
        assert counts == [0, 1]
        await peer.send(frame(TEXT, b"3"))


async def test_closing_uncorks() -> None:
    async def handler(ws: WebSocket, writes: list[bytes]) -> None:
        await ws.send(await ws.recv())
        await ws.close(4000)

    async with recorded(handler) as (peer, writes):
        await peer.send(frame(TEXT, b"one") * 2)
        assert await peer.read_frame() == Frame(TEXT, b"one")
        assert (await peer.read_frame()).close_code == 4000
        assert len(writes) == 1


async def test_aborting_drops_what_is_corked() -> None:
    async def handler(ws: WebSocket, writes: list[bytes]) -> None:
        await ws.send(await ws.recv())
        ws.abort()

    async with recorded(handler) as (peer, writes):
        await peer.send(frame(TEXT, b"one") * 2)
        with contextlib.suppress(ConnectionResetError):
            assert await peer.read_eof() == b""
        assert writes == []


async def test_a_ping_uncorks_and_keeps_its_place() -> None:
    async def handler(ws: WebSocket, writes: list[bytes]) -> None:
        await ws.send(await ws.recv())
        await ws.ping(b"ping")
        await ws.pong(b"pong")
        await echo(ws, writes)

    async with recorded(handler) as (peer, _):
        await peer.send(frame(TEXT, b"one") + frame(TEXT, b"two"))
        assert await peer.read_frame() == Frame(TEXT, b"one")
        assert await peer.read_frame() == Frame(PING, b"ping")
        assert await peer.read_frame() == Frame(PONG, b"pong")
        assert await peer.read_frame() == Frame(TEXT, b"two")


# The gate


async def shut(*calls: Awaitable[Any]) -> list[asyncio.Task[Any]]:
    """Start calls that have to wait at the gate, in this order."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    for _ in range(20):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    return tasks


@pytest.mark.parametrize("write_limit", [1, 1000, 2**16])
async def test_send_waits_for_a_peer_that_does_not_read(link: Callable, write_limit: int) -> None:
    async with link(small_buffers=True, write_limit=write_limit) as (ws, peer):
        await ws.send(BLOCK)  # the gate is open, so this need not wait
        buffered = ws.buffered_amount
        assert buffered > write_limit
        tasks = await shut(ws.send("one"), ws.send(b"two"), ws.send(["th", "ree"]), ws.ping(b"p"))
        assert ws.buffered_amount <= buffered
        seen = [await peer.read_message() for _ in range(5)]
        await asyncio.gather(*tasks)
        assert seen[0] == Frame(BINARY, BLOCK)
        seen.remove(Frame(PING, b"p"))  # a ping is not a message: it may overtake
        assert seen[1:] == [Frame(TEXT, b"one"), Frame(BINARY, b"two"), Frame(TEXT, b"three")]


async def test_who_waits_is_served_in_order(link: Callable) -> None:
    async with link(small_buffers=True) as (ws, peer):
        await ws.send(BLOCK)
        tasks = await shut(*(ws.send(f"{number}") for number in range(50)))
        assert await peer.read_frame() == Frame(BINARY, BLOCK)
        assert [await peer.read_frame() for _ in range(50)] == [
            Frame(TEXT, b"%d" % number) for number in range(50)
        ]
        await asyncio.gather(*tasks)


async def test_who_comes_later_does_not_pass(link: Callable) -> None:
    """Not even in the turn in which the gate opens, when the others are awake but not up yet."""

    async def send_as_soon_as_the_gate_opens(ws: WebSocket) -> None:
        while ws.buffered_amount > 1000:  # noqa: ASYNC110 - to look in every single turn
            await asyncio.sleep(0)
        await ws.send("late")

    async with link(small_buffers=True, write_limit=4000) as (ws, peer):
        await ws.send(BLOCK)
        tasks = await shut(ws.send("early"), send_as_soon_as_the_gate_opens(ws))
        assert await peer.read_frame() == Frame(BINARY, BLOCK)
        assert await peer.read_frame() == Frame(TEXT, b"early")
        assert await peer.read_frame() == Frame(TEXT, b"late")
        await asyncio.gather(*tasks)


async def test_nobody_starves(link: Callable) -> None:
    """Tasks that send in a loop take turns, though each message shuts the gate again."""

    async def send_on(ws: WebSocket, name: bytes) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await ws.send(name * 100_000)

    async with link(small_buffers=True) as (ws, peer):
        await ws.send(BLOCK)
        tasks = await shut(*(send_on(ws, name) for name in (b"a", b"b", b"c")))
        await peer.read_frame()
        senders = [(await peer.read_frame()).payload[:1] for _ in range(12)]
        assert senders == [b"a", b"b", b"c"] * 4
        ws.abort()
        await within(5, asyncio.gather(*tasks))


@pytest.mark.parametrize("kind", ["send", "fragments", "ping", "pong"])
async def test_cancelling_who_waits_writes_nothing(link: Callable, kind: str) -> None:
    async def fragments() -> AsyncIterator[str]:
        yield "cancelled"

    async with link(small_buffers=True) as (ws, peer):
        call = {
            "send": lambda: ws.send("cancelled"),
            "fragments": lambda: ws.send(fragments()),
            "ping": lambda: ws.ping(b"cancelled"),
            "pong": lambda: ws.pong(b"cancelled"),
        }[kind]
        await ws.send(BLOCK)
        before, cancelled, after = await shut(ws.send("before"), call(), ws.send("after"))
        cancelled.cancel()
        await asyncio.wait([cancelled])
        assert cancelled.cancelled()
        assert ws.state is State.OPEN
        assert await peer.read_frame() == Frame(BINARY, BLOCK)
        assert await peer.read_frame() == Frame(TEXT, b"before")
        assert await peer.read_frame() == Frame(TEXT, b"after")
        await asyncio.gather(before, after)
        if kind == "ping":
            await ws.ping(b"cancelled")  # it is not on its way
            assert await peer.read_frame() == Frame(PING, b"cancelled")


async def test_cancelling_all_who_wait(link: Callable) -> None:
    async with link(small_buffers=True) as (ws, peer):
        await ws.send(BLOCK)
        tasks = await shut(*(ws.send("cancelled") for _ in range(5)))
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert await peer.read_frame() == Frame(BINARY, BLOCK)
        await ws.send("next")
        assert await peer.read_frame() == Frame(TEXT, b"next")


@pytest.mark.parametrize("end", ["close", "abort", "reset"])
async def test_who_waits_is_told_of_the_end(link: Callable, reset: Callable, end: str) -> None:
    """At once, though a close takes its time."""
    async with link(small_buffers=True) as (ws, peer):
        await ws.send(BLOCK)
        tasks = await shut(
            ws.send("one"), ws.send(b"two"), ws.send(["three"]), ws.ping(), ws.pong()
        )
        closing = asyncio.create_task(ws.close() if end == "close" else ws.wait_closed())
        if end == "abort":
            ws.abort()
        elif end == "reset":
            reset(peer.sock)
        results = await within(1, asyncio.gather(*tasks, return_exceptions=True))
        assert all(isinstance(result, ConnectionClosed) for result in results)
        assert closing.done() is (end != "close")
        ws.abort()
        await within(1, closing)
        assert ws.buffered_amount == 0


async def test_what_was_sent_reaches_a_peer_that_reads_late(link: Callable) -> None:
    """Closing with the gate shut loses nothing either."""
    async with link(small_buffers=True) as (ws, peer):
        await ws.send(BLOCK)
        closing = asyncio.create_task(ws.close())
        await asyncio.sleep(0)
        assert await peer.read_frame() == Frame(BINARY, BLOCK)
        assert (await peer.answer_close()).close_code == 1000
        await within(5, closing)


async def test_while_the_gate_is_shut_only_the_latest_ping_is_answered(link: Callable) -> None:
    async with link(small_buffers=True) as (ws, peer):
        await ws.send(BLOCK)
        await peer.send(b"".join(peer.frame(PING, b"%d" % number) for number in range(100)))
        await peer.send_frame(TEXT, b"after them")
        assert await ws.recv() == "after them"
        assert await peer.read_frame() == Frame(BINARY, BLOCK)
        assert await peer.read_frame() == Frame(PONG, b"99")
        await peer.send_frame(PING, b"next")
        assert await peer.read_frame() == Frame(PONG, b"next")


async def test_a_shut_gate_does_not_keep_from_receiving(link: Callable) -> None:
    async with link(small_buffers=True) as (ws, peer):
        await ws.send(BLOCK)
        (waiting,) = await shut(ws.send("waiting"))
        for number in range(10):
            await peer.send_frame(TEXT, b"%d" % number)
            assert await ws.recv() == f"{number}"
        assert not waiting.done()
        await peer.send_frame(CLOSE, b"\x03\xe8")
        await until(lambda: waiting.done())
        with pytest.raises(ConnectionClosed):
            await waiting


async def test_who_reads_again_has_all_of_write_limit_again(server_link: Callable) -> None:
    async with server_link(small_buffers=True) as (ws, peer):
        sent = 0
        for size in (1000, 1):
            while not ws._protocol.sender.is_gate_shut and (size == 1 or not ws.buffered_amount):
                broadcast([ws], bytes(size))
                await asyncio.sleep(0)
                sent += 1
        assert ws.buffered_amount < 5000  # there are many writes, not many bytes
        for _ in range(sent):
            await peer.read_frame()
        await until(lambda: not ws.buffered_amount)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                while True:
                    await ws.send(bytes(8000))
        assert ws.buffered_amount > 2**15
