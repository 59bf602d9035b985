"""A peer that does not read: send() waits, memory stays bounded, and closing still closes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from raw_peer import BINARY, CLOSE, PATIENCE, RawPeer, raw_peer, small_listener, until, within

from wsproto_async import ConnectionClosed, ConnectionClosedError, Server, WebSocket, serve

WRITE_LIMIT = 2**16
SIZE = 10_000
FRAME = SIZE + 4  # with its header
ENOUGH = 10_000  # messages: far more than can be sent while nobody reads
CLOSE_TIMEOUT = 0.2
# What two small socket buffers in the kernel may swallow, generously.
KERNEL = 2**20


class Pusher:
    """Sends numbered messages for ever, from several tasks, and watches what is buffered."""

    def __init__(self, tasks: int = 1) -> None:
        self.tasks = tasks
        self.sent = 0
        self.ends: list[BaseException] = []
        self.ws: WebSocket | None = None
        self.server: Server | None = None
        self.peak = 0
        self.done = asyncio.Event()

    async def handler(self, ws: WebSocket) -> None:
        self.ws = ws
        async with asyncio.TaskGroup() as group:
            watcher = group.create_task(self.watch())
            pushers = [group.create_task(self.push(ws)) for _ in range(self.tasks)]
            await asyncio.wait(pushers)
            watcher.cancel()
        self.done.set()

    async def push(self, ws: WebSocket) -> None:
        try:
            while self.sent < ENOUGH:
                await ws.send(bytes(SIZE))
                self.sent += 1
        except ConnectionClosed as exc:
            self.ends.append(exc)

    async def watch(self) -> None:
        while True:
            # What the package says, and what the transport says of its own part.
            buffered = max(self.ws.buffered_amount, self.ws.transport.get_write_buffer_size())
            self.peak = max(self.peak, buffered)
            await asyncio.sleep(0)

    async def stalled(self) -> None:
        """Wait until nothing has been sent for a while."""
        await until(lambda: self.ws is not None and self.ws.buffered_amount > 0)
        while True:
            before = self.sent
            await asyncio.sleep(0.1)
            if self.sent == before:
                return


@asynccontextmanager
async def pushing(
    tasks: int = 1, *, close_timeout: float = CLOSE_TIMEOUT
) -> AsyncIterator[tuple[Pusher, RawPeer]]:
    """A server that pushes, and a peer that has not read anything yet."""
    pusher = Pusher(tasks)
    async with (
        serve(
            pusher.handler,
            0,
            sock=small_listener(),
            write_limit=WRITE_LIMIT,
            close_timeout=close_timeout,
            ping_interval=None,
        ) as pusher.server,
        raw_peer(pusher.server.port, small=True) as peer,
    ):
        yield pusher, peer


@pytest.mark.parametrize("tasks", [1, 20])
async def test_send_waits_in_bounded_memory(tasks: int) -> None:
    async with pushing(tasks) as (pusher, _):
        await asyncio.wait_for(pusher.stalled(), 10)
        assert pusher.sent * FRAME < KERNEL + WRITE_LIMIT
        assert pusher.peak <= WRITE_LIMIT + FRAME


async def test_send_goes_on_when_the_peer_reads_again() -> None:
    async with pushing() as (pusher, peer):
        await asyncio.wait_for(pusher.stalled(), 10)
        goal = pusher.sent + 200
        while pusher.sent < goal:
            frame = await peer.read_frame()
            assert (frame.opcode, frame.payload) == (BINARY, bytes(SIZE))
        assert pusher.peak <= WRITE_LIMIT + FRAME


async def close(pusher: Pusher) -> None:
    await pusher.ws.close()


async def close_server(pusher: Pusher) -> None:
    pusher.server.close()
    await pusher.server.wait_closed()


async def abort(pusher: Pusher) -> None:
    pusher.ws.abort()
    await pusher.ws.wait_closed()


@pytest.mark.parametrize("end", [close, close_server, abort])
async def test_closing_is_bounded_though_nothing_can_be_sent(end: Callable) -> None:
    async with pushing(3) as (pusher, _):
        await asyncio.wait_for(pusher.stalled(), 10)
        start = time.monotonic()
        await within(CLOSE_TIMEOUT, end(pusher))
        await within(CLOSE_TIMEOUT, pusher.done.wait())
        assert time.monotonic() - start < CLOSE_TIMEOUT + 2
        assert [type(exc) for exc in pusher.ends] == [ConnectionClosedError] * 3
        assert {exc.code for exc in pusher.ends} == {1006}
        await until(lambda: not pusher.server.connections)


async def test_what_was_sent_before_closing_still_arrives() -> None:
    """A peer that reads late, but in time, gets every message whose send() returned."""
    async with pushing(close_timeout=PATIENCE) as (pusher, peer):
        await asyncio.wait_for(pusher.stalled(), 10)
        closing = asyncio.create_task(pusher.ws.close())
        received = 0
        while (frame := await peer.read_frame()).opcode != CLOSE:
            assert (frame.opcode, frame.payload) == (BINARY, bytes(SIZE))
            received += 1
        assert frame.close_code == 1000
        assert received == pusher.sent
        peer.finish()
        await within(0, closing)


async def test_a_stalled_peer_does_not_disturb_others() -> None:
    async with pushing() as (pusher, _):
        await asyncio.wait_for(pusher.stalled(), 10)
        first = pusher.ws
        async with raw_peer(pusher.server.port) as other:
            for _ in range(100):
                frame = await other.read_frame()
                assert (frame.opcode, frame.payload) == (BINARY, bytes(SIZE))
        assert first.transport.get_write_buffer_size() > 0


async def test_keepalive_drops_a_peer_that_never_reads() -> None:
    """Even while send() waits and no ping can get through."""

    async def handler(ws: WebSocket) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await ws.send(bytes(SIZE))
        await ws.wait_closed()
        ended.set_result(ws.close_code)

    ended = asyncio.get_running_loop().create_future()
    async with (
        serve(
            handler,
            0,
            sock=small_listener(),
            ping_interval=0.2,
            ping_timeout=0.2,
            close_timeout=CLOSE_TIMEOUT,
        ) as server,
        raw_peer(server.port, small=True),
    ):
        assert await within(0.4 + CLOSE_TIMEOUT, ended) == 1006
        await until(lambda: not server.connections)
