"""A Redis that is there and refuses: what it is asked fails, and all goes on when it does not."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from cluster import RedisCluster
from conformance import KEPT, message, texts, until
from process import Process, Recorder
from relay import Relay
from server import RedisServer

from wsproto_async.exceptions import BrokerError
from wsproto_async.pubsub import Position, Retention
from wsproto_async.pubsub.redis import RedisBroker, broker, commands, presence


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
async def one(server: RedisServer) -> AsyncIterator[Process]:
    async with started(server.url) as process:
        yield process


@asynccontextmanager
async def started(url: str) -> AsyncIterator[Process]:
    process = Process(RedisBroker(url), Recorder())
    await process.broker.start(process.recorder)
    yield process
    await process.broker.close()


async def count(server: RedisServer, command: str, what: str) -> int:
    """How often it was called, or has refused, some command."""
    found = {}
    for line in (await server.call("INFO", "commandstats")).decode().splitlines():
        name, _, numbers = line.partition(":")
        found[name] = dict(each.split("=") for each in numbers.split(",") if "=" in each)
    return int(found.get(f"cmdstat_{command}", {}).get(what, 0))


async def grows(server: RedisServer, command: str, what: str, by: int) -> None:
    target = await count(server, command, what) + by

    async def has_grown() -> bool:
        return await count(server, command, what) >= target

    await until(has_grown)


async def allow(server: RedisServer, *rules: str) -> None:
    await server.call("ACL", "SETUSER", "default", *rules)


@asynccontextmanager
async def not_saving(server: RedisServer) -> AsyncIterator[None]:
    """Let it refuse to write, and to answer a ping, since it cannot save."""
    (server.path.parent / "dump.rdb").mkdir()
    await server.call("CONFIG", "SET", "save", "3600 1")
    await server.call("BGSAVE")

    async def has_failed() -> bool:
        return b"rdb_last_bgsave_status:err" in await server.call("INFO", "persistence")

    await until(has_failed)
    yield
    await server.call("CONFIG", "SET", "save", "")
    (server.path.parent / "dump.rdb").rmdir()


async def test_a_server_that_is_a_replica_is_waited_for(server: RedisServer, one: Process) -> None:
    await server.call("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(BrokerError, match="READONLY"):
        await one.broker.publish(message("news", "x"), KEPT, "")
    await grows(server, "script|load", "calls", 20)
    assert one.recorder.events == ["lost"]
    await server.call("REPLICAOF", "NO", "ONE")
    await one.told("lost", "made")
    await one.broker.publish(message("news", "x"), KEPT, "")


async def copies(server: RedisServer, other: RedisServer) -> None:
    await server.call("REPLICAOF", "127.0.0.1", other.port)

    async def has_copied() -> bool:
        return b"master_link_status:up" in await server.call("INFO", "replication")

    await until(has_copied)


async def test_what_a_server_has_lost_as_a_replica_is_missing(
    server: RedisServer, one: Process, tmp_path: Path
) -> None:
    """It is the same run, and its history goes back: the same offsets would come again."""
    (tmp_path / "other").mkdir()
    async with RedisServer(tmp_path / "other") as other:
        for each in (server, other):
            await each.call("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        await copies(other, server)
        before = await one.broker.publish(message("news", "1"), KEPT, "")
        await until(lambda: has(other, before.epoch))
        await other.call("REPLICAOF", "NO", "ONE")
        last = await one.broker.publish(message("news", "lost"), KEPT, "")
        assert last == (before.epoch, 2)
        await copies(server, other)
        await server.call("REPLICAOF", "NO", "ONE")
        await until(lambda: is_to_look(server))
        for _ in range(2):
            await asyncio.wait_for(again(one), 10)
        assert (await one.broker.read("news", last, KEPT)).publications is None


async def test_what_has_a_key_is_not_sent_again_to_who_may_have_lost_it_as_a_replica(
    server: RedisServer, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    async with (
        RedisServer(tmp_path / "other") as other,
        Relay(f"{server.path}-relay", str(server.path)) as relay,
        started(f"redis+unix://{relay.path}") as far,
    ):
        await other.call("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        relay.be_deaf()
        published = far.broker.publish(message("news", "x"), KEPT, "key")

        async def is_there() -> bool:
            return await server.call("EXISTS", "wsproto_async:{news}:head") == 1

        await until(is_there)
        await copies(server, other)
        assert not await is_there()
        await server.call("REPLICAOF", "NO", "ONE")
        relay.cut()
        with pytest.raises(BrokerError, match="may have been published"):
            await published
        assert not await is_there()


async def has(server: RedisServer, epoch: str) -> bool:
    head = await server.call("HGET", "wsproto_async:{news}:head", "epoch")
    return head == epoch.encode()


async def is_to_look(server: RedisServer) -> bool:
    seconds, microseconds = map(int, await server.call("TIME"))
    looked = int(await server.call("HGET", "wsproto_async:{news}:head", "looked"))
    return seconds * 1000 + microseconds // 1000 >= looked + 200


async def again(process: Process) -> None:
    """Publish as soon as it can be."""
    while True:
        with suppress(BrokerError):
            await process.broker.publish(message("news", "x"), KEPT, "")
            return
        await asyncio.sleep(0.01)


async def test_a_replica_is_no_broker(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker, "_START_TIMEOUT", 0.3)
    await server.call("REPLICAOF", "127.0.0.1", "1")
    with pytest.raises(BrokerError, match="it is a replica"):
        await RedisBroker(server.url).start(Recorder())


async def test_a_channel_that_is_refused_is_not_asked_for_without_pause(
    server: RedisServer, one: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "random", lambda: 1.0)
    await one.broker.subscribe("news")
    await allow(server, "resetchannels")
    loop = asyncio.get_running_loop()
    since = loop.time()
    await grows(server, "subscribe", "rejected_calls", 6)
    assert loop.time() > since + 0.5
    assert one.recorder.events == ["lost"]
    await allow(server, "allchannels")
    await one.told("lost", "made")
    assert one.recorder.restored == ["news"]


async def test_a_ping_that_is_refused_is_an_answer(server: RedisServer, one: Process) -> None:
    await one.broker.subscribe("news")
    async with not_saving(server):
        await grows(server, "ping", "rejected_calls", 4)
        await one.broker.subscribe("more")
        with pytest.raises(BrokerError, match="MISCONF"):
            await one.broker.publish(message("news", "x"), KEPT, "")
        await one.broker.publish(message("more", "x"), None, "")
        await one.receive(1, "more")
    await one.broker.publish(message("news", "x"), KEPT, "")
    assert one.recorder.events == []


async def test_who_unsubscribes_while_pings_are_refused_can_subscribe_again(
    shared_cluster: RedisCluster,
) -> None:
    owner = await shared_cluster.owner("news")
    async with started(shared_cluster.url) as one, not_saving(owner):
        for _ in range(3):
            await asyncio.wait_for(one.broker.subscribe("news"), 10)
            one.broker.unsubscribe("news")


async def test_scripts_that_cannot_be_loaded_again(server: RedisServer, one: Process) -> None:
    await server.call("SCRIPT", "FLUSH")
    await allow(server, "-script")
    with pytest.raises(BrokerError, match="NOSCRIPT"):
        await asyncio.wait_for(one.broker.publish(message("news", "x"), KEPT, ""), 10)
    await allow(server, "+script")
    await one.broker.publish(message("news", "x"), KEPT, "")
    assert one.recorder.events == []


async def test_what_ends_each_connection_is_given_up(
    server: RedisServer, one: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "MAX_AWAY", 0.5)
    await server.call("CONFIG", "SET", "client-query-buffer-limit", "1mb")
    large = one.broker.publish(message("news", "x" * 2**22), KEPT, "key")
    with pytest.raises(BrokerError, match="may have been published"):
        await asyncio.wait_for(large, 15)
    await one.broker.publish(message("news", "x"), KEPT, "")


@pytest.mark.parametrize("retention", [None, KEPT])
async def test_what_must_not_be_published_can_be_tried_again(
    server: RedisServer, one: Process, retention: Retention | None
) -> None:
    await one.broker.subscribe("news")
    await allow(server, "-publish", "-spublish")
    for key in ("", "key"):
        with pytest.raises(BrokerError):
            await one.broker.publish(message("news", "refused"), retention, key)
    await allow(server, "+publish", "+spublish")
    for key in ("key", "key", ""):
        await one.broker.publish(message("news", key), retention, key)
    found = await one.receive(2)
    assert texts(found) == ["key", ""]
    if retention is not None:
        assert [each.position.offset for each in found] == [1, 2]


async def test_what_takes_the_place_of_what_was_refused_is_kept_as_long(
    server: RedisServer, one: Process
) -> None:
    await allow(server, "-publish")
    with pytest.raises(BrokerError):
        await one.broker.publish(message("news", "refused"), KEPT, "")
    await allow(server, "+publish")
    first = await one.broker.publish(message("news", "1"), KEPT, "")
    await server.call("HSET", "wsproto_async:{news}:head", "marked", 0)  # an age has passed
    await one.broker.publish(message("news", "2"), KEPT, "")
    missed = await one.broker.read("news", Position(first.epoch, 0), KEPT)
    assert texts(missed.publications or ()) == ["1", "2"]


async def test_members_that_could_not_be_restored_are_restored_later(
    server: RedisServer, one: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "PRESENCE_TTL", 0.6)
    one.broker._presence.look()
    await allow(server, "-evalsha")
    with pytest.raises(BrokerError, match="NOPERM"):
        await one.broker.enter("room", "1", "Ann")
    await grows(server, "evalsha", "rejected_calls", 2)  # each time that it looks
    await allow(server, "+evalsha")

    async def is_member() -> bool:
        return await one.broker.members("room") == {"1": "Ann"}

    await until(is_member)
