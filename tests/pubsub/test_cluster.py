"""Topics that are divided among the servers of a cluster, and move from one to another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cluster import RedisCluster
from conformance import KEPT, RETENTIONS, message, texts, until
from process import Process, Recorder

from wsproto_async.exceptions import BrokerError
from wsproto_async.pubsub import Position, Publication, Retention
from wsproto_async.pubsub.redis import RedisBroker, held, presence
from wsproto_async.pubsub.redis.slots import slot_of

pytestmark = pytest.mark.one_loop

TOPICS = [f"topic {number}" for number in range(30)]  # on all servers


async def start(cluster: RedisCluster) -> Process:
    process = Process(RedisBroker(cluster.url), Recorder())
    await process.broker.start(process.recorder)
    return process


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[RedisCluster]:
    async with RedisCluster(tmp_path) as cluster:
        yield cluster


@pytest.fixture
async def one(cluster: RedisCluster) -> AsyncIterator[Process]:
    process = await start(cluster)
    yield process
    await process.broker.close()


@pytest.fixture
async def other(cluster: RedisCluster) -> AsyncIterator[Process]:
    process = await start(cluster)
    yield process
    await process.broker.close()


async def elsewhere(cluster: RedisCluster, topic: str) -> None:
    """Move a topic to another server."""
    owner = await cluster.owner(topic)
    target = next(server for server in cluster.servers if server is not owner)
    await cluster.move(topic, target)


async def test_each_server_carries_its_own_topics(
    cluster: RedisCluster, one: Process, other: Process
) -> None:
    await asyncio.gather(*map(other.broker.subscribe, TOPICS))
    if not await cluster.has_shard_channels():
        pytest.skip("this Redis is older than 7: all servers of a cluster get all messages")
    channels = [
        set(await server.call("PUBSUB", "SHARDCHANNELS", "*")) for server in cluster.servers
    ]
    assert sum(map(len, channels)) == len(set.union(*channels)) == len(TOPICS)
    assert all(channels)
    for topic in TOPICS:
        one.broker.publish(message(topic, topic), KEPT, "")
    await other.receive(len(TOPICS))
    for server, mine in zip(cluster.servers, channels, strict=True):
        kept = await server.call("KEYS", "*:kept")
        assert {name.removesuffix(b":kept") for name in kept} == mine


@pytest.mark.parametrize("key", ["a", "", "{}", "{a}", "x{a}y", "{{a}}", "{}{a}", "}{", "{a", "é"])
async def test_a_slot_is_what_the_server_takes_for_it(
    shared_cluster: RedisCluster, key: str
) -> None:
    assert slot_of(key) == await shared_cluster.servers[0].call("CLUSTER", "KEYSLOT", key)


@RETENTIONS
async def test_a_topic_that_moves_keeps_its_order_or_the_gap_is_told(
    cluster: RedisCluster, one: Process, other: Process, retention: Retention | None
) -> None:
    await other.broker.subscribe("news")
    published: list[str] = []

    async def publish() -> None:
        number = 0
        while True:
            text = str(number)
            number += 1
            one.broker.publish(message("news", text), retention, "").add_done_callback(
                lambda future, text=text: future.exception() or published.append(text)
            )
            await asyncio.sleep(0.001)

    publishing = asyncio.create_task(publish())
    for _ in range(3):
        other.recorder.events.clear()
        await elsewhere(cluster, "news")
        await made_again(other)
        await other.receive(50 + len(other.received("news")))
    publishing.cancel()
    await one.broker.publish(message("news", "last"), retention, "")
    received = texts(await receive_last(other))
    assert published == sorted(published, key=int)
    assert [text for text in [*published, "last"] if text in set(received)] == received


async def made_again(process: Process) -> None:
    async with asyncio.timeout(20):
        while process.recorder.events[-1:] != ["made"]:
            await process.recorder.changed()


async def test_topics_come_and_go_while_slots_move(cluster: RedisCluster, one: Process) -> None:
    """All on the same connections, whose replies have to be told apart."""
    moving = True

    async def churn(topic: str) -> None:
        while moving:
            subscribed = one.broker.subscribe(topic)
            await asyncio.sleep(0)
            if topic < "topic 2":
                await subscribed
            one.broker.unsubscribe(topic)

    churning = [asyncio.create_task(churn(topic)) for topic in TOPICS]
    for topic in TOPICS[::3]:
        await elsewhere(cluster, topic)
    moving = False
    await asyncio.wait_for(asyncio.gather(*churning), 20)
    await asyncio.wait_for(asyncio.gather(*map(one.broker.subscribe, TOPICS)), 20)
    if one.recorder.events:
        await made_again(one)
    one.recorder.publications.clear()
    for topic in TOPICS:
        one.broker.publish(message(topic, topic), None, "")
    received = await one.receive(len(TOPICS))
    assert sorted(each.topic for each in received) == sorted(TOPICS)


async def test_subscribing_again_at_once_is_no_loss(cluster: RedisCluster, one: Process) -> None:
    for _ in range(20):
        one.broker.subscribe("news")
        one.broker.unsubscribe("news")
        await one.broker.subscribe("news")
        one.broker.unsubscribe("news")
    assert one.recorder.events == []


async def test_who_has_left_a_topic_does_not_wait_for_a_server_that_has_it(
    cluster: RedisCluster, one: Process
) -> None:
    if not await cluster.has_shard_channels():
        pytest.skip("this Redis is older than 7: any server of a cluster has any channel")
    await cluster.set_served("news", False)
    subscribing = [one.broker.subscribe("news")]
    one.broker.unsubscribe("news")
    subscribing.append(one.broker.subscribe("news"))
    await one.told("lost")
    one.broker.unsubscribe("news")
    await asyncio.wait_for(asyncio.gather(*subscribing), 5)
    await made_again(one)
    last = one.broker.subscribe("news")
    await cluster.set_served("news", True)
    await asyncio.wait_for(last, 20)


async def receive_last(process: Process) -> list[Publication]:
    async with asyncio.timeout(20):
        while True:
            found = process.received("news")
            if found and found[-1].message == "last":
                return found
            await process.recorder.changed()


async def test_only_the_topics_of_a_slot_that_moves_wait(
    cluster: RedisCluster, one: Process
) -> None:
    owner = await cluster.owner("news")
    await one.broker.publish(message("news", "1"), KEPT, "")
    target = next(server for server in cluster.servers if server is not owner)
    await cluster.begin_move("news", target)
    for key in await owner.call("KEYS", "*{news}*"):
        await owner.call("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
    waiting = [one.broker.publish(message("news", str(number)), KEPT, "") for number in (2, 3)]
    for topic in TOPICS:
        await one.broker.publish(message(topic, "x"), KEPT, "")
    assert not any(future.done() for future in waiting)
    late = one.broker.publish(message("news", "4"), KEPT, "")
    await cluster.move("news", target)
    first, *others = await asyncio.gather(*waiting, late)
    assert others == [Position(first.epoch, first.offset + each) for each in (1, 2)]


async def test_who_has_subscribed_to_a_topic_that_moves_is_told_of_that_one(
    cluster: RedisCluster, one: Process
) -> None:
    owner = await cluster.owner("news")
    target = next(server for server in cluster.servers if server is not owner)
    await asyncio.gather(*map(one.broker.subscribe, ("news", *TOPICS)))
    await cluster.move("news", target)

    async def is_restored() -> bool:
        await one.broker.publish(message("news", "x"), None, "")
        return bool(one.recorder.restored)

    await until(is_restored)
    assert one.recorder.restored == ["news"]


async def test_what_no_server_has_fails_in_time(
    cluster: RedisCluster, one: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "MAX_AWAY", 0.3)
    (owner,) = {await cluster.owner("news")}
    target = next(server for server in cluster.servers if server is not owner)
    await one.broker.publish(message("news", "1"), KEPT, "")
    await cluster.begin_move("news", target)
    for key in await owner.call("KEYS", "*{news}*"):
        await owner.call("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
    with pytest.raises(BrokerError, match="no server of the cluster"):
        await one.broker.publish(message("news", "2"), KEPT, "")
    await cluster.move("news", target)
    await one.broker.publish(message("news", "3"), KEPT, "")


async def test_a_server_that_takes_over(tmp_path: Path) -> None:
    async with RedisCluster(tmp_path, count=3, replicas=1) as cluster:
        one = await start(cluster)
        await one.broker.subscribe("news")
        before = await one.broker.publish(message("news", "1"), KEPT, "")
        owner = await cluster.owner("news")
        index = cluster.servers.index(owner)
        replica = cluster.servers[index + 3]

        async def is_in_step() -> bool:
            info = await replica.call("INFO", "replication")
            return b"master_link_status:up" in info

        await until(is_in_step)
        owner.kill()
        await one.told("lost", "made")
        position = await one.broker.publish(message("news", "2"), KEPT, "")
        assert position.epoch != before.epoch
        assert texts(await one.receive(2, "news")) == ["1", "2"]
        await one.broker.close()


async def test_a_server_that_is_away_delays_only_its_own_topics(
    cluster: RedisCluster, one: Process
) -> None:
    topics = await cluster.owned("topic")
    await asyncio.gather(*map(one.broker.subscribe, topics.values()))
    server, topic = topics.popitem()
    server.kill()
    await one.told("lost")
    waiting = one.broker.publish(message(topic, "late"), KEPT, "")
    for other in topics.values():
        await one.broker.publish(message(other, "x"), KEPT, "")
        assert texts(await one.receive(1, other)) == ["x"]
    assert not waiting.done()
    await server.start()
    await waiting
    await one.told("lost", "made")
    assert one.recorder.restored == [topic]


async def test_members_come_back_with_whichever_server_was_away(
    cluster: RedisCluster, one: Process, other: Process
) -> None:
    topics = await cluster.owned("room")
    for topic in topics.values():
        await other.broker.subscribe(topic)
        await one.broker.enter(topic, "1", "Ann")
        await other.receive(1, topic)
    for server, topic in topics.items():
        server.kill()
        await server.start()

        async def is_back(topic: str = topic) -> bool:
            return await other.broker.members(topic) == {"1": "Ann"}

        await until(is_back)
        assert len(other.received(topic)) == 1, "joined twice"
        assert other.recorder.restored.count(topic) == 1


async def test_members_that_could_not_leave_are_found_when_their_server_is_back(
    cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "PRESENCE_TTL", 1.2)
    one, other = await start(cluster), await start(cluster)
    topics = await cluster.owned("room")
    for topic in topics.values():
        await one.broker.enter(topic, "1", "Ann")
    for server in cluster.servers:
        keys = await server.call("KEYS", "*")
        if not any(b"processes" in key or b"topics" in key for key in keys):
            break
    server.stop()
    await one.told("lost")
    await one.broker.close()
    server.go_on()

    async def is_empty() -> bool:
        return await other.broker.members(topics[server]) == {}

    await until(is_empty)
    await other.broker.close()


async def test_the_first_server_of_the_url_is_needed_at_the_start_alone(
    cluster: RedisCluster, one: Process
) -> None:
    first = cluster.servers[0]
    for topic in TOPICS:
        if await cluster.owner(topic) is first:
            await elsewhere(cluster, topic)
    first.kill()
    await one.told("lost")
    for topic in TOPICS:
        await one.broker.publish(message(topic, "x"), KEPT, "")


async def test_another_database_than_the_first_is_refused(cluster: RedisCluster) -> None:
    broker = RedisBroker(f"{cluster.url}/1")
    with pytest.raises(BrokerError, match=r"SELECT is not allowed|DB index"):
        await broker.start(Recorder())
