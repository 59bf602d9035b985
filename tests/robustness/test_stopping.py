"""The end of a server: clients see 1001, handlers end, and the end comes in time."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Awaitable, Callable

import pytest
from raw_peer import (
    BINARY,
    PING,
    TEXT,
    close_frame,
    frame,
    frame_header,
    masked,
    open_sockets,
    raw_peer,
    tcp_peer,
    until,
    within,
)

from wsproto_async import (
    ConnectionClosed,
    ConnectionClosedOK,
    HandshakeError,
    Server,
    WebSocket,
    connect,
    serve,
)

CLOSE_TIMEOUT = 0.2
GRACE = 0.2

Stop = Callable[[Server, contextlib.AsyncExitStack], Awaitable[None]]


async def by_leaving(server: Server, stack: contextlib.AsyncExitStack) -> None:
    await stack.aclose()


async def by_closing(server: Server, stack: contextlib.AsyncExitStack) -> None:
    server.close()
    await server.wait_closed()


async def by_cancelling_serve_forever(server: Server, stack: contextlib.AsyncExitStack) -> None:
    serving = asyncio.create_task(server.serve_forever())
    await asyncio.sleep(0)
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


STOPS = [by_leaving, by_closing, by_cancelling_serve_forever]


async def receive(ws: WebSocket) -> None:
    await ws.send("ready")
    async for _ in ws:
        pass


@pytest.mark.parametrize("stop", STOPS)
async def test_everybody_sees_1001(stop: Stop) -> None:
    ends: list[ConnectionClosed] = []

    async def handler(ws: WebSocket) -> None:
        await ws.send("ready")
        try:
            await ws.recv()
        except ConnectionClosed as exc:
            ends.append(exc)

    before = open_sockets()
    async with contextlib.AsyncExitStack() as stack, contextlib.AsyncExitStack() as clients:
        server = await stack.enter_async_context(serve(handler, 0))
        peers = [
            await clients.enter_async_context(connect(f"ws://127.0.0.1:{server.port}"))
            for _ in range(20)
        ]
        for peer in peers:
            assert await peer.recv() == "ready"
        await within(0, stop(server, stack))
        assert not server.is_serving()
        assert not server.connections
        assert [type(exc) for exc in ends] == [ConnectionClosedOK] * 20
        assert {exc.sent.code for exc in ends} == {1001}
        for peer in peers:
            with pytest.raises(ConnectionClosedOK) as closing:
                await peer.recv()
            assert closing.value.received.code == 1001
        with pytest.raises(OSError):
            await connect(f"ws://127.0.0.1:{server.port}")
    await until(lambda: open_sockets() == before)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_code_and_reason_are_the_callers() -> None:
    async with serve(receive, 0) as server, connect(f"ws://127.0.0.1:{server.port}") as ws:
        assert await ws.recv() == "ready"
        server.close(1012, "back soon")
        await server.wait_closed()
        assert (ws.close_code, ws.close_reason) == (1012, "back soon")


async def test_silent_clients_are_dropped_within_close_timeout() -> None:
    async with (
        serve(receive, 0, close_timeout=CLOSE_TIMEOUT) as server,
        raw_peer(server.port) as idle,
        raw_peer(server.port) as halfway,
        tcp_peer(server.port) as connecting,
    ):
        await halfway.send(frame_header(BINARY, 1000) + masked(b"x"))
        await connecting.send(b"GET / HTTP/1.1\r\n")
        await until(lambda: len(server.connections) == 2)
        start = time.monotonic()
        server.close()
        await within(CLOSE_TIMEOUT, server.wait_closed())
        assert time.monotonic() - start < CLOSE_TIMEOUT + 2
        for peer in (idle, halfway):
            assert (await peer.read_close()).close_code == 1001
            assert await peer.read_eof() == b""
        rest = await connecting.read_eof()
        assert rest == b"" or rest.startswith(b"HTTP/1.1 503 ")


async def ignore_cancellation(release: asyncio.Event) -> None:
    while not release.is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await release.wait()


async def clean_up_slowly(release: asyncio.Event) -> None:
    try:
        await release.wait()
    finally:
        await asyncio.sleep(0.05)


async def just_wait(release: asyncio.Event) -> None:
    await release.wait()


@pytest.mark.parametrize(
    ("work", "closed_by_peer"),
    [
        (ignore_cancellation, False),
        (clean_up_slowly, False),
        (just_wait, False),
        (just_wait, True),
    ],
)
async def test_handlers_have_a_grace_period_and_no_more(
    work: Callable[[asyncio.Event], Awaitable[None]], closed_by_peer: bool
) -> None:
    """A handler that does not listen to its connection cannot hold the server up for ever."""

    async def handler(ws: WebSocket) -> None:
        started.set()
        await work(release)

    release = asyncio.Event()
    started = asyncio.Event()
    server = await serve(handler, 0, close_timeout=CLOSE_TIMEOUT)
    try:
        async with raw_peer(server.port) as peer:
            await started.wait()
            start = time.monotonic()
            server.close(grace=GRACE)
            assert (await peer.read_close()).close_code == 1001
            if closed_by_peer:
                await peer.send(close_frame(1001))
            await within(GRACE + 1, server.wait_closed())
            assert time.monotonic() - start >= GRACE - 0.1
            assert await peer.read_eof() == b""
    finally:
        release.set()
    await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


async def test_work_in_progress_may_end_within_the_grace_period() -> None:
    async def handler(ws: WebSocket) -> None:
        async for _ in ws:
            pass
        await asyncio.sleep(0.1)
        finished.append(ws.close_code)

    finished: list[int | None] = []
    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        await until(lambda: server.connections)
        server.close(grace=10)
        assert (await peer.read_close()).close_code == 1001
        await peer.send(close_frame(1001))
        peer.finish()
        await within(0.1, server.wait_closed())
        assert finished == [1001]


async def test_messages_that_had_arrived_are_still_received() -> None:
    received: list[str | bytes] = []
    arrived = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        await arrived.wait()
        async for message in ws:
            received.append(message)

    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        await peer.send(b"".join(frame(TEXT, b"%d" % number) for number in range(40)))
        await until(lambda: server.connections)
        await peer.send(frame(PING, b"behind them"))
        await peer.read_message()
        server.close()
        arrived.set()
        assert (await peer.read_close()).close_code == 1001
        await peer.send(close_frame(1001))
        peer.finish()
        await server.wait_closed()
    assert received == [str(number) for number in range(40)]


async def test_handshakes_under_way_are_refused() -> None:
    async def never(ws: WebSocket, request: object) -> None:
        asked.set()
        await asyncio.Event().wait()

    asked = asyncio.Event()
    server = await serve(receive, 0, process_request=never, close_timeout=CLOSE_TIMEOUT)
    connecting = asyncio.ensure_future(_connect(server.port))
    await asked.wait()
    server.close()
    await within(CLOSE_TIMEOUT, server.wait_closed())
    with pytest.raises(HandshakeError):
        await connecting


async def test_closing_twice_and_from_a_handler() -> None:
    async def handler(ws: WebSocket) -> None:
        async for _ in ws:
            ws.server.close()
            ws.server.close(1012)

    async with serve(handler, 0) as server, connect(f"ws://127.0.0.1:{server.port}") as ws:
        await ws.send("stop")
        await within(0, server.wait_closed())
        assert ws.close_code == 1001
        server.close()
        await server.wait_closed()


async def test_the_port_is_free_at_once() -> None:
    port = 0
    for _ in range(5):
        async with (
            serve(receive, port) as server,
            connect(f"ws://127.0.0.1:{server.port}") as ws,
        ):
            assert await ws.recv() == "ready"
            port = server.port


async def _connect(port: int) -> WebSocket:
    return await connect(f"ws://127.0.0.1:{port}")


async def test_a_drain_is_spread_over_time() -> None:
    """So that the clients do not all come to the next server in the same moment."""

    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()

    loop = asyncio.get_running_loop()
    closed: list[float] = []

    async def client() -> None:
        async with connect(f"ws://127.0.0.1:{server.port}/") as ws:
            connected.append(ws)
            with contextlib.suppress(ConnectionClosed):
                await ws.recv()
            assert ws.close_code == 1012
            closed.append(loop.time())

    connected: list[WebSocket] = []
    async with serve(handler, 0) as server, asyncio.TaskGroup() as clients:
        for _ in range(20):
            clients.create_task(client())
        await until(lambda: len(connected) == 20)
        server.close(1012, "restart", grace=5, spread=0.5)
        await server.wait_closed()
    gaps = [after - before for before, after in itertools.pairwise(closed)]
    assert closed[-1] - closed[0] > 0.4
    assert max(gaps) < 0.4


@pytest.mark.parametrize("name", ["grace", "spread"])
async def test_a_time_that_is_none(name: str) -> None:
    async with serve(wait_for_nothing, 0) as server:
        with pytest.raises(ValueError, match=name):
            server.close(**{name: -1})
        assert server.is_serving()


async def wait_for_nothing(ws: WebSocket) -> None: ...
