"""A clock that jumps, and what goes by it."""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
import threading
import time
from functools import partial

import pytest

from wsproto_async import (
    ConnectionClosedError,
    InvalidStatus,
    Request,
    Response,
    State,
    Topic,
    WebSocket,
    connect,
    serve,
)
from wsproto_async.testing import (
    Link,
    VirtualClockLoop,
    connected_pair,
    serve_in_memory,
    virtual_clock,
)

TICK = 0.051  # our timers' grain, in seconds


def now() -> float:
    return asyncio.get_running_loop().time()


# By itself


@virtual_clock
async def test_time_jumps_and_skips_nothing() -> None:
    assert now() == 0.0
    order: list[tuple[str, float]] = []

    async def sleep(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        order.append((name, now()))

    await asyncio.gather(sleep("hour", 3600), sleep("second", 1), sleep("minute", 60))
    assert order == [("second", 1), ("minute", 60), ("hour", 3600)]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(100):
            await asyncio.get_running_loop().create_future()
    assert now() == 3700
    await asyncio.sleep(3 * 86400)  # more than asyncio waits in one go
    assert now() == 3700 + 3 * 86400


@virtual_clock(limit=10**9)
async def test_ten_years() -> None:
    for _ in range(10):
        await asyncio.sleep(365 * 86400 + 0.1)
    assert now() == pytest.approx(3650 * 86400 + 1, abs=1e-6)


def test_what_never_comes_ends_the_test() -> None:
    ended = []

    @virtual_clock(limit=3600)
    async def forgotten() -> None:
        async with connected_pair() as pair:
            try:
                await pair.client.recv()
            finally:
                ended.append(now())

    with pytest.raises(TimeoutError, match="still waits after 3600 s of virtual time"):
        forgotten()
    assert ended == [3600]

    @virtual_clock(limit=10)
    async def own() -> None:
        async with asyncio.timeout(5):
            await asyncio.get_running_loop().create_future()

    with pytest.raises(TimeoutError) as caught:
        own()
    assert not str(caught.value)


def test_what_is_no_coroutine_function() -> None:
    with pytest.raises(TypeError, match="for coroutine functions, not <function"):
        virtual_clock(lambda: None)  # type: ignore[arg-type,return-value]


@virtual_clock
async def test_it_stands_still_while_there_is_something_to_do() -> None:
    timer = asyncio.create_task(asyncio.sleep(0.001))
    for _ in range(1000):
        await asyncio.sleep(0)
    assert now() == 0.0
    assert not timer.done()
    await timer


def test_the_decorator_makes_a_plain_function() -> None:
    @virtual_clock
    async def add(a: int, b: int = 1) -> int:
        """Add."""
        return a + b

    assert add(2) == 3
    assert add.__doc__ == "Add."
    assert not inspect.iscoroutinefunction(add)
    assert list(inspect.signature(add).parameters) == ["a", "b"]


@virtual_clock
async def test_threads_are_waited_for() -> None:
    """While a thread works time goes by as it does outside, so no timeout is over at once."""
    async with asyncio.timeout(10):
        await asyncio.to_thread(time.sleep, 0.02)
    assert now() > 0.01
    loop = asyncio.get_running_loop()

    def ask() -> str:
        return asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01, "asked"), loop).result()

    assert await asyncio.to_thread(ask) == "asked"


def test_the_end_of_the_executor_is_waited_for() -> None:
    ended = []

    def work() -> None:
        time.sleep(0.05)
        ended.append(1)

    async def begin() -> None:
        asyncio.get_running_loop().run_in_executor(None, work)

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        runner.run(begin())
    assert ended == [1]


@virtual_clock
async def test_sockets_work() -> None:
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    async with (
        serve(echo, 0) as server,
        connect(f"ws://localhost:{server.port}/", open_timeout=5) as ws,
    ):
        for size in (10, 1_000_000):
            await ws.send(bytes(size))
            assert await ws.recv() == bytes(size)
        await asyncio.sleep(100)  # with pings and their pongs on the way
        assert ws.state is State.OPEN
    assert now() >= 100


def test_sockets_get_a_moment_before_each_jump() -> None:
    """From somebody whom the loop does not know of: a thread of the test's own."""

    async def hear() -> bytes:
        here, there = socket.socketpair()
        with here, there:
            here.setblocking(False)
            threading.Timer(0.05, there.send, [b"hello"]).start()
            async with asyncio.timeout(1):
                return await asyncio.get_running_loop().sock_recv(here, 10)

    with asyncio.Runner(loop_factory=partial(VirtualClockLoop, patience=30)) as runner:
        assert runner.run(hear()) == b"hello"


# What goes by it


@virtual_clock
async def test_a_peer_that_vanishes() -> None:
    options = {"ping_interval": 20, "ping_timeout": 20}
    async with connected_pair(server_options=options, client_options={"ping_interval": None}) as p:
        client, server = p
        await asyncio.sleep(1000)
        assert client.state is server.state is State.OPEN
        p.link.drop()
        begun = now()
        with pytest.raises(ConnectionClosedError, match="silent for 20 s"):
            await server.recv()
        # Up to an interval till the next ping, the timeout, and a tick for each of them.
        assert 20 <= now() - begun <= 40 + 5 * TICK
        await server.wait_closed()
        assert client.state is State.OPEN


@virtual_clock
async def test_latency() -> None:
    async with connected_pair(client_options={"ping_interval": 10}) as pair:
        pair.link.to_server.delay(0.25)
        pair.link.to_client.delay(0.5)
        assert await (await pair.client.ping()) == 0.75
        await asyncio.sleep(15)
        assert pair.client.latency == 0.75


@virtual_clock
async def test_an_opening_handshake_that_is_not_answered() -> None:
    link = Link()
    link.to_client.stall()
    with pytest.raises(TimeoutError):
        async with connected_pair(link=link, client_options={"open_timeout": 30}):
            pass
    assert now() == 30


@virtual_clock
async def test_a_server_that_does_not_decide() -> None:
    async def never(ws: WebSocket, request: Request) -> Response | None:
        await asyncio.get_running_loop().create_future()
        return None

    with pytest.raises(InvalidStatus) as refused:
        async with connected_pair(
            server_options={"process_request": never, "open_timeout": 60},
            client_options={"open_timeout": None},
        ):
            pass
    assert refused.value.response.status == 503
    assert 60 <= now() <= 60 + TICK


@virtual_clock
async def test_a_close_that_is_not_answered() -> None:
    async with connected_pair(client_options={"close_timeout": 7}) as pair:
        pair.link.stall()
        await pair.client.close()
        assert 7 <= now() <= 7 + TICK


@virtual_clock
async def test_a_peer_that_takes_nothing() -> None:
    async with connected_pair(
        link=Link(capacity=0), server_options={"send_timeout": 33, "ping_interval": None}
    ) as pair:
        pair.link.to_client.stall()
        with pytest.raises(ConnectionClosedError):
            while True:
                await pair.server.send(bytes(10_000), compress=False)
        assert 33 <= now() <= 33 + 3 * TICK


@virtual_clock
async def test_a_server_that_closes_slowly() -> None:
    closed = []

    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()
        closed.append(now())

    async with (
        serve_in_memory(handler) as server,
        server.connect(),
        server.connect(),
        server.connect(),
        server.connect(),
    ):
        server.server.close(spread=100)
        await server.server.wait_closed()
    assert [round(at) for at in closed] == [0, 25, 50, 75]


@virtual_clock
async def test_how_long_a_connection_lasted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wsproto_async")
    async with connected_pair():
        await asyncio.sleep(90)
    assert [r.message for r in caplog.records if "duration=90.0s" in r.message]


async def silent(ws: WebSocket) -> None:
    await ws.subscribe("news", since=ws.headers.get("X-Since"))
    await ws.wait_closed()


@virtual_clock
async def test_a_history_that_gets_old() -> None:
    topic = Topic("news", history=10, history_age=60)
    async with serve_in_memory(silent, topics=[topic]) as server:
        await asyncio.sleep(1000)
        async with server.connect() as (client, _):
            first = await server.server.publish("news", "one")
            assert await client.recv() == "one"
            await server.server.publish("news", "two")
        since = {"additional_headers": {"X-Since": str(first)}}
        await asyncio.sleep(50)
        async with server.connect(**since) as (client, _):
            assert await client.recv() == "two"
        await asyncio.sleep(11)
        async with server.connect(**since) as (client, _):
            await server.server.publish("news", "three")
            assert await client.recv() == "three"


@virtual_clock
async def test_a_message_that_gets_old() -> None:
    topic = Topic("news", slow="drop-oldest", max_age=5)
    options = {"write_limit": 1000, "send_timeout": None, "compression": None}
    async with serve_in_memory(silent, topics=[topic], **options) as server:
        link = Link(capacity=0)
        async with server.connect(link=link) as (client, slow):
            await asyncio.sleep(0)
            link.to_client.stall()
            await slow.send(bytes(2000))
            await server.server.publish("news", "too old")
            await asyncio.sleep(6)
            await server.server.publish("news", "new")
            await asyncio.sleep(1)
            link.to_client.resume()
            assert await client.recv() == bytes(2000)
            assert await client.recv() == "new"


@virtual_clock
async def test_a_client_that_connects_again() -> None:
    links: list[Link | None] = []

    def network() -> Link:
        links.append(None if len(links) == 1 else Link())
        if links[-1] is None:
            raise OSError("unreachable")
        return links[-1]

    async def greet(ws: WebSocket) -> None:
        await ws.send(f"hello {ws.headers['X-Name']}")
        await ws.wait_closed()

    heard = []
    async with serve_in_memory(greet) as server:
        headers = {"X-Name": "ann"}
        async for ws in server.connector(link=network, additional_headers=headers):
            heard.append(await ws.recv())
            if len(heard) == 3:
                await ws.close()
                break
            assert links[-1] is not None
            links[-1].cut()
        async with server.connector(additional_headers=headers) as ws:
            await ws.close()
    assert heard == ["hello ann"] * 3
    assert len(links) == 4
    assert now() > 0
