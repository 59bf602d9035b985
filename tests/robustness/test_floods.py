"""Floods: whatever a peer sends, and however little it reads, memory and work stay bounded."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from raw_peer import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    RawPeer,
    close_frame,
    frame,
    frame_header,
    let_it_read,
    masked,
    raw_peer,
    small_listener,
    until,
)

import wsproto_async
from wsproto_async import ConnectionClosed, Server, WebSocket, serve

READ_LIMIT = 2**16
WRITE_LIMIT = 2**16
MAX_SIZE = 2**18
PACKAGE = f"{Path(wsproto_async.__file__).parent}/*"

# Law G7: per connection at most this much, and at most 64 objects, whatever the peer sends.
MEMORY = READ_LIMIT + WRITE_LIMIT + 2**16
OBJECTS = 64


class Sleeper:
    """A handler that does not receive until it is told to."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self.ws: WebSocket | None = None
        self.wake = asyncio.Event()
        self.messages: list[str | bytes] = []
        self.done = asyncio.Event()

    async def handler(self, ws: WebSocket) -> None:
        self.ws = ws
        await self.wake.wait()
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.messages.append(await ws.recv())
        self.done.set()


@asynccontextmanager
async def sleeping(**options: object) -> AsyncIterator[tuple[Sleeper, RawPeer]]:
    sleeper = Sleeper()
    async with (
        serve(
            sleeper.handler,
            0,
            sock=small_listener(),
            read_limit=READ_LIMIT,
            write_limit=WRITE_LIMIT,
            max_size=MAX_SIZE,
            ping_interval=None,
            close_timeout=0.5,
            **options,
        ) as sleeper.server,
        raw_peer(sleeper.server.port, small=True) as peer,
    ):
        await until(lambda: sleeper.ws is not None)
        try:
            yield sleeper, peer
        finally:
            sleeper.wake.set()


class Growth:
    """How much the package has allocated and kept, and the peak of the whole process."""

    bytes = 0
    objects = 0
    peak = 0


@contextlib.contextmanager
def measuring() -> Iterator[Growth]:
    """Count what is allocated by the package's own lines; the test's do not count."""
    growth = Growth()
    gc.collect()
    tracemalloc.start()
    try:
        yield growth
        gc.collect()
        mine = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, PACKAGE)])
        for statistic in mine.statistics("filename"):
            growth.bytes += statistic.size
            growth.objects += statistic.count
        growth.peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


FLOODS = {
    "empty text": frame(TEXT),
    "one byte": frame(TEXT, b"x"),
    "20 bytes": frame(TEXT, b"x" * 20),
    "MAX_SIZE": frame(BINARY, b"x" * MAX_SIZE),
}


@pytest.mark.parametrize("one", [pytest.param(one, id=name) for name, one in FLOODS.items()])
async def test_messages_that_nobody_receives(one: bytes) -> None:
    """Reading stops; memory and objects are bounded; later every message is there."""
    count = max(2**18 // len(one), 4)
    flood = one * count
    async with asyncio.timeout(60), sleeping() as (sleeper, peer):
        with measuring() as growth:
            sent = await peer.send_until_stalled(flood)
        assert sent < len(flood), "the server never stopped reading"
        assert growth.bytes <= MEMORY + 2 * len(one)
        assert growth.objects <= OBJECTS

        sleeper.wake.set()
        await peer.send(flood[sent:])
        await peer.send(close_frame(1000))
        assert (await peer.read_close()).close_code == 1000
        await sleeper.done.wait()
    assert len(sleeper.messages) == count
    assert len(set(sleeper.messages)) == 1


@pytest.mark.parametrize("opcode", [TEXT, PING])
async def test_small_replies_that_nobody_reads(opcode: int) -> None:
    """Each is a write of its own, which costs the transport some hundred bytes beside the two."""

    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    count = 1000
    async with (
        asyncio.timeout(60),
        serve(echo, 0, sock=small_listener(), ping_interval=None) as server,
        raw_peer(server.port, small=True) as peer,
    ):
        [ws] = server.connections
        before = 0
        while not ws.buffered_amount:
            await peer.send(frame(TEXT, b"x" * 1000))
            await let_it_read()
            before += 1
        gc.collect()
        tracemalloc.start()
        for _ in range(count):
            await peer.send(frame(opcode))
            await let_it_read()
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        assert kept < 2**16

        for _ in range(before):
            assert await peer.read_message() == Frame(TEXT, b"x" * 1000)
        if opcode == TEXT:
            for _ in range(count):
                assert await peer.read_message() == Frame(TEXT, b"")
        await peer.send(close_frame(1000))
        assert (await peer.read_close()).close_code == 1000


async def test_a_violation_behind_messages_that_nobody_receives() -> None:
    """Its Close frame may wait a little for the handler, but what follows costs nothing."""
    async with asyncio.timeout(60), sleeping() as (sleeper, peer):
        await peer.send(frame(TEXT, b"before") + b"\xc1")
        with measuring() as growth:
            await peer.send_until_stalled(frame(BINARY, bytes(1000)) * 4000)
        assert growth.bytes <= MEMORY
        assert growth.objects <= OBJECTS
        sleeper.wake.set()
        assert (await peer.read_close()).close_code == 1002
        await sleeper.done.wait()
    assert sleeper.messages == ["before"]


async def test_pings_are_answered_while_the_handler_does_not_receive() -> None:
    async with sleeping() as (_, peer):
        for number in range(1000):
            await peer.send(frame(PING, b"%d" % number))
            assert await peer.read_message() == Frame(PONG, b"%d" % number)


async def test_a_message_of_many_fragments_and_reads_is_joined_in_linear_time() -> None:
    """Ten times the fragments take about ten times the work, not a hundred times."""
    fragments = 5000
    async with asyncio.timeout(60), sleeping() as (sleeper, peer):
        sleeper.wake.set()
        work = []
        for count in (fragments // 10, fragments):
            data = frame(BINARY, b"0123456789", fin=False)
            data += frame(CONTINUATION, b"0123456789", fin=False) * (count - 2)
            data += frame(CONTINUATION, b"0123456789")
            start = time.thread_time()
            for begin in range(0, len(data), 64):
                await peer.send(data[begin : begin + 64])
            await until(lambda: sleeper.messages)
            work.append(time.thread_time() - start)
            assert sleeper.messages.pop() == b"0123456789" * count
    assert work[1] < 40 * work[0]


async def test_a_large_message_that_nobody_receives() -> None:
    """Only read_limit of it is read, for recv_streaming() may want it piece by piece."""
    data = frame_header(BINARY, MAX_SIZE) + masked(b"x" * MAX_SIZE)
    async with asyncio.timeout(60), sleeping() as (sleeper, peer):
        with measuring() as growth:
            sent = await peer.send_until_stalled(data)
        assert sent < len(data), "the server never stopped reading"
        assert growth.bytes <= MEMORY + READ_LIMIT
        assert growth.objects <= OBJECTS
        sleeper.wake.set()
        await peer.send(data[sent:])
        await until(lambda: sleeper.messages)
        assert sleeper.messages == [b"x" * MAX_SIZE]


async def test_one_flood_does_not_starve_the_others() -> None:
    """While one client floods, another one's round trips stay short."""

    async def echo(ws: WebSocket) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await ws.send(await ws.recv())

    async def flood() -> None:
        async with raw_peer(server.port) as peer:
            data = frame(TEXT, b"x") * 2000
            while not stop.is_set():
                async with asyncio.TaskGroup() as group:
                    group.create_task(peer.send(data))
                    for _ in range(2000):
                        await peer.read_frame()

    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    slowest = 0.0
    async with serve(echo, 0) as server, asyncio.TaskGroup() as group:
        flooding = group.create_task(flood())
        async with raw_peer(server.port) as peer:
            for number in range(20):
                start = loop.time()
                await peer.send(frame(TEXT, b"%d" % number))
                assert await peer.read_message() == Frame(TEXT, b"%d" % number)
                slowest = max(slowest, loop.time() - start)
        stop.set()
        await flooding
    assert slowest < 2
