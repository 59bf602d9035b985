"""What the connections of a loop share, each loop has for itself."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
import uvloop
from raw_peer import BINARY, close_frame, frame, let_it_read, tcp_peer, until

from wsproto_async import WebSocket, connect, serve
from wsproto_async.aio.shared import Shared, shared


async def test_a_loop_has_one() -> None:
    loop = asyncio.get_running_loop()
    assert shared(loop) is shared(loop)


async def test_what_one_connection_leaves_unread_others_do_not_read_over() -> None:
    """Each has more for its handler than its queue takes, all of it in one read."""
    opened: asyncio.Queue[WebSocket] = asyncio.Queue()
    given: list[list[bytes]] = []

    async def handler(ws: WebSocket) -> None:
        opened.put_nowait(ws)
        await all_sent.wait()
        given.append([message async for message in ws])

    all_sent = asyncio.Event()
    messages = [[b"%d %d" % (peer, number) for number in range(200)] for peer in range(4)]
    async with serve(handler, 0) as server, AsyncExitStack() as peers:
        for each in messages:
            peer = await peers.enter_async_context(tcp_peer(server.port))
            await peer.upgrade()
            await opened.get()
            await peer.send(b"".join(frame(BINARY, message) for message in each))
            await let_it_read()
            await peer.send(close_frame(1000))
        all_sent.set()
        await until(lambda: len(given) == len(messages))
    assert sorted(given) == messages


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_each_loop_has_its_own_and_takes_it_along(factory: Callable) -> None:
    async def use() -> Shared:
        async with (
            serve(lambda ws: ws.wait_closed(), 0) as server,
            connect(f"ws://127.0.0.1:{server.port}"),
        ):
            pass
        return shared(asyncio.get_running_loop())

    def run() -> tuple[Shared, weakref.ref]:
        with asyncio.Runner(loop_factory=factory) as runner:
            loop = runner.get_loop()
            return runner.run(use()), weakref.ref(loop)

    first, first_loop = run()
    second, _ = run()
    assert first is not second
    assert first.inbox is not second.inbox
    gc.collect()
    assert first_loop() is None
