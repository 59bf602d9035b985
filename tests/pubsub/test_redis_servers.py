"""Servers that share topics by way of Redis, and their clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from server import RedisServer

from wsproto_async import ConnectionClosedError, Topic, WebSocket, connect, serve
from wsproto_async.aio.server import Server
from wsproto_async.pubsub.redis import commands

PATIENCE = 20.0


class Site:
    """Two servers, a client of each that has subscribed to two topics, and what was told."""

    def __init__(self) -> None:
        self.gaps: list[str] = []
        self.servers: list[Server] = []
        self.clients: list[WebSocket] = []

    async def handle(self, ws: WebSocket) -> None:
        await ws.subscribe("kept")
        await ws.subscribe("plain")
        await ws.send("ready")
        await ws.wait_closed()

    async def receive(self, number: int) -> list[list[str | bytes]]:
        """What each client receives next, as many messages."""
        async with asyncio.timeout(PATIENCE):
            return [[await client.recv() for _ in range(number)] for client in self.clients]

    def gap(self, websockets: frozenset[WebSocket], topic: str) -> None:
        self.gaps.append(topic)

    async def told_of_gaps(self, number: int) -> list[str]:
        """Wait for as many gaps, and return their topics."""
        async with asyncio.timeout(PATIENCE):
            while len(self.gaps) < number:  # noqa: ASYNC110 - lists do not tell
                await asyncio.sleep(0.01)
        return sorted(self.gaps)

    async def see_broker(self, *, is_up: bool) -> None:
        """Wait until both servers say so of their broker."""
        async with asyncio.timeout(PATIENCE):
            while any(  # noqa: ASYNC110 - numbers do not tell
                server.stats().topics.is_broker_up is not is_up for server in self.servers
            ):
                await asyncio.sleep(0.01)


@pytest.fixture
async def redis(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path) as redis:
        yield redis


@pytest.fixture
async def site(redis: RedisServer) -> AsyncIterator[Site]:
    site = Site()
    topics = [
        Topic("kept", history=100, on_gap=site.gap),
        Topic("plain", on_gap=site.gap),
    ]
    async with AsyncExitStack() as stack:
        for _ in range(2):
            server = await stack.enter_async_context(
                serve(site.handle, 0, broker=redis.url, topics=topics)
            )
            client = await stack.enter_async_context(connect(f"ws://127.0.0.1:{server.port}"))
            site.servers.append(server)
            site.clients.append(client)
        await site.receive(1)
        yield site


@pytest.mark.parametrize("topic", ["kept", "plain"])
async def test_what_one_server_publishes_reaches_clients_of_both(site: Site, topic: str) -> None:
    for number in range(10):
        await site.servers[number % 2].publish(topic, str(number))
    assert await site.receive(10) == [[str(number) for number in range(10)]] * 2


async def test_what_was_missed_is_sent_later_or_reported(redis: RedisServer, site: Site) -> None:
    await site.servers[0].publish("kept", "0")
    assert await site.receive(1) == [["0"]] * 2
    await redis.kill_clients("pubsub")
    for number in range(1, 10):
        await site.servers[0].publish("kept", str(number))
    assert await site.receive(9) == [[str(number) for number in range(1, 10)]] * 2
    assert await site.told_of_gaps(2) == ["plain", "plain"]


async def test_all_goes_on_when_redis_is_back(redis: RedisServer, site: Site) -> None:
    await site.servers[0].publish("kept", "before")
    assert await site.receive(1) == [["before"]] * 2
    redis.kill()
    await site.see_broker(is_up=False)
    await redis.start()
    assert await site.told_of_gaps(4) == ["kept", "kept", "plain", "plain"]
    await site.servers[0].publish("kept", "after")
    assert await site.receive(1) == [["after"]] * 2
    await site.see_broker(is_up=True)


@pytest.mark.parametrize("is_group", [False, True])
async def test_who_comes_while_redis_is_away_is_told_to_come_again(
    redis: RedisServer, is_group: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is no failure of the handler's: that would be an error in the log."""
    monkeypatch.setattr(commands, "MAX_AWAY", 0.1)

    async def handle(ws: WebSocket) -> None:
        if not is_group:
            await server.members("news")
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.wait_for(server.members("news"), PATIENCE))

    async with serve(handle, 0, broker=redis.url) as server:
        redis.kill()
        async with connect(f"ws://127.0.0.1:{server.port}") as ws:
            with pytest.raises(ConnectionClosedError) as closed:
                await ws.recv()
    assert (closed.value.code, closed.value.reason) == (1013, "broker unavailable")
