"""Another Redis behind the same address, while connections to the one before go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from conformance import KEPT, message, texts, until
from process import Process, Recorder
from relay import Relay
from server import RedisServer

from wsproto_async.exceptions import BrokerError
from wsproto_async.pubsub.redis import RedisBroker


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[tuple[RedisServer, RedisServer]]:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    async with RedisServer(tmp_path / "first") as first, RedisServer(tmp_path / "second") as second:
        yield first, second


@pytest.fixture
async def relay(servers: tuple[RedisServer, RedisServer], tmp_path: Path) -> AsyncIterator[Relay]:
    async with Relay(f"{tmp_path / 'relay.sock'}", f"{servers[0].path}") as relay:
        yield relay


@pytest.fixture
async def one(relay: Relay) -> AsyncIterator[Process]:
    process = Process(RedisBroker(f"redis+unix://{relay.path}"), Recorder())
    await process.broker.start(process.recorder)
    await process.broker.subscribe("news")
    yield process
    await process.broker.close()


@pytest.mark.parametrize("kind", ["normal", "pubsub"])
async def test_both_connections_are_to_one_server(
    servers: tuple[RedisServer, RedisServer], relay: Relay, one: Process, kind: str
) -> None:
    first, second = servers
    relay.target = f"{second.path}"
    await first.kill_clients(kind)
    await one.told("lost", "made")
    assert one.recorder.restored[-1] == "news"
    assert await first.clients("normal") == await first.clients("pubsub") == 0
    await one.broker.publish(message("news", "hello"), KEPT, "")
    assert texts(await one.receive(1)) == ["hello"]


async def test_nothing_comes_from_what_has_become_a_replica(
    servers: tuple[RedisServer, RedisServer], relay: Relay, one: Process
) -> None:
    first, second = servers
    await first.call("REPLICAOF", "127.0.0.1", second.port)
    with pytest.raises(BrokerError, match="READONLY"):
        await one.broker.publish(message("news", "refused"), KEPT, "")
    await one.told("lost")
    relay.target = f"{second.path}"
    await one.told("lost", "made")
    assert one.recorder.restored == ["news"]
    await one.broker.publish(message("news", "hello"), KEPT, "")
    assert texts(await one.receive(1)) == ["hello"]


async def test_nothing_comes_from_what_is_a_replica_for_a_time(
    servers: tuple[RedisServer, RedisServer], one: Process
) -> None:
    first, second = servers
    await first.call("REPLICAOF", "127.0.0.1", second.port)
    await first.kill_clients("normal")

    async def is_given_up() -> bool:
        return await first.clients("pubsub") == 0

    await until(is_given_up)
    await first.call("REPLICAOF", "NO", "ONE")
    await one.told("lost", "made")
    assert one.recorder.restored == ["news"]
