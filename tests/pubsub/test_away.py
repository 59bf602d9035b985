"""The server that a broker needs ends, stands still, and comes back: a hub as a Redis."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest
from conformance import KEPT, message, texts, turn, until
from hub import HubProcess
from process import PATIENCE, Process, Recorder
from server import RedisServer

from wsproto_async.exceptions import BrokerError
from wsproto_async.pubsub import Broker, Position, Publication
from wsproto_async.pubsub.hub import HubBroker
from wsproto_async.pubsub.hub import commands as hub_commands
from wsproto_async.pubsub.redis import RedisBroker
from wsproto_async.pubsub.redis import commands as redis_commands


class Engine(NamedTuple):
    """A server that can be killed and started again, stopped and let go on."""

    server: HubProcess | RedisServer
    name: str
    """What the log calls it."""
    commands: ModuleType
    """Where MAX_AWAY is."""

    def broker(self) -> Broker:
        if isinstance(self.server, HubProcess):
            return HubBroker(self.server.path)
        return RedisBroker(self.server.url)

    async def start(self) -> None:
        if isinstance(self.server, HubProcess):
            self.server.start()
        else:
            await self.server.start()

    async def lose(self, *processes: Process) -> None:
        """End it, and let all connections of each process see that."""
        self.server.kill()
        for process in processes:
            await process.told("lost")
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture(params=["hub", "redis"])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Engine]:
    if request.param == "hub":
        with HubProcess(tmp_path) as hub:
            yield Engine(hub, "the hub", hub_commands)
    else:
        async with RedisServer(tmp_path) as redis:
            yield Engine(redis, f"Redis at 127.0.0.1:{redis.port}", redis_commands)


async def connect(engine: Engine, recorder: Recorder) -> Process:
    process = Process(engine.broker(), recorder)
    await process.broker.start(recorder)
    return process


@pytest.fixture
async def one(engine: Engine) -> AsyncIterator[Process]:
    process = await connect(engine, Recorder())
    yield process
    await process.broker.close()


@pytest.fixture
async def other(engine: Engine) -> AsyncIterator[Process]:
    process = await connect(engine, Recorder())
    yield process
    await process.broker.close()


# -- It ends --------------------------------------------------------------------------------------


async def test_it_is_killed_and_comes_back(
    engine: Engine, one: Process, other: Process, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wsproto_async.pubsub")
    topics = [f"topic {number}" for number in range(2500)]
    await asyncio.gather(*map(other.broker.subscribe, topics))
    await engine.lose(one, other)
    waiting = [one.broker.publish(message("topic 7", str(n)), None, "") for n in range(10)]
    late = other.broker.subscribe("late")
    await engine.start()
    for process in (one, other):
        await process.told("lost", "made")
    await asyncio.gather(*waiting, late)
    for topic in (*topics[::500], "late"):
        await one.broker.publish(message(topic, "again"), None, "")
        await other.settle()
        assert texts(other.received(topic))[-1] == "again"
    lines = [record.getMessage() for record in caplog.records]
    assert sum(line.startswith(f"lost {engine.name}: ") for line in lines) == 2
    assert lines.count(f"{engine.name} is back") == 2
    others = [line for line in lines if " is not back: " in line]
    assert len(lines) == 4 + len(others)
    assert len(others) <= 2 * len(set(others)), "told again and again"


class Trace(Recorder):
    """Keeps what has come in its order: the numbers of publications, and None for an outage."""

    def __init__(self) -> None:
        super().__init__()
        self.trace: list[int | None] = []

    def publication_received(self, publication: Publication) -> None:
        super().publication_received(publication)
        if publication.topic == "news":
            self.trace.append(int(publication.payload))

    def subscription_restored(self, topic: str) -> None:
        super().subscription_restored(topic)
        if topic == "news":
            self.trace.append(None)


async def test_it_is_killed_again_and_again(engine: Engine, one: Process) -> None:
    """Nothing is doubled, all is in order, and what is missing is missing at an outage."""
    other = await connect(engine, trace := Trace())
    await other.broker.subscribe("news")
    confirmed = []
    for time in range(5):
        numbers = range(1000 * time, 1000 * time + 200)
        futures = []
        for number in numbers:
            key = f"key {number}" if number % 2 else ""
            futures.append(one.broker.publish(message("news", str(number)), None, key))
            if not number % 10:
                await asyncio.sleep(0.001)
            if number == numbers[100]:
                engine.server.kill()
                await engine.start()
        await asyncio.wait(futures)
        done = zip(numbers, futures, strict=True)
        confirmed += [number for number, future in done if future.exception() is None]
        await other.settle()
    await other.broker.close()
    received = [number for number in trace.trace if number is not None]
    assert received == sorted(set(received))
    assert trace.trace.count(None) == 5
    while trace.trace:
        end = trace.trace.index(None) if None in trace.trace else len(trace.trace)
        period, trace.trace = trace.trace[:end], trace.trace[end + 1 :]
        if period:
            between = [number for number in confirmed if period[0] <= number <= period[-1]]
            assert set(between) <= set(period)


async def test_a_history_ends_with_it(engine: Engine, one: Process) -> None:
    before = await one.broker.publish(message("news", "1"), KEPT, "")
    await engine.lose(one)
    await engine.start()
    await one.told("lost", "made")
    missed = await one.broker.read("news", before, KEPT)
    assert missed.publications is None
    assert missed.position.epoch != before.epoch


async def test_what_was_not_confirmed_may_have_been_published(engine: Engine, one: Process) -> None:
    """A key does not help: a server that starts anew does not know it."""
    engine.server.stop()
    futures = [
        one.broker.publish(message("news", "1"), None, ""),
        one.broker.publish(message("news", "2"), KEPT, ""),
        one.broker.publish(message("news", "3"), KEPT, "key"),
    ]
    read = one.broker.read("news", None, KEPT)
    await turn()  # now they are written
    await engine.lose(one)
    await engine.start()
    for future in futures:
        with pytest.raises(BrokerError, match="may have been published"):
            await future
    assert (await read).position.offset == 0


async def test_who_unsubscribes_while_it_is_away_waits_for_nothing(
    engine: Engine, one: Process
) -> None:
    await engine.lose(one)
    waiting = [one.broker.subscribe("news") for _ in range(2)]
    one.broker.unsubscribe("news")
    await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE)
    await engine.start()
    await one.told("lost", "made")
    await one.broker.publish(message("news", "x"), None, "")
    await one.settle()
    assert one.received("news") == []


async def test_closing_while_it_is_away(engine: Engine, one: Process) -> None:
    await one.broker.enter("room", "1", "Ann")
    await engine.lose(one)
    future = one.broker.publish(message("news", "x"), None, "")
    await one.broker.close()
    with pytest.raises(BrokerError, match="closed"):
        await future


# -- It stands still ------------------------------------------------------------------------------


@pytest.mark.one_loop
async def test_it_stands_still_and_is_lost(engine: Engine, one: Process, other: Process) -> None:
    await other.broker.subscribe("news")
    await one.broker.publish(message("news", "0"), None, "")
    engine.server.stop()
    await one.told("lost")
    await other.told("lost")
    waiting = one.broker.publish(message("news", "1"), None, "")
    engine.server.go_on()
    await waiting
    await other.told("lost", "made")
    await one.broker.publish(message("news", "2"), None, "")
    await other.settle()
    assert texts(other.received("news"))[-1] == "2"
    assert len(set(texts(other.received("news")))) == len(other.received("news"))


@pytest.mark.one_loop
async def test_it_stands_still_for_a_moment_and_is_not_lost(engine: Engine, one: Process) -> None:
    await one.broker.subscribe("news")
    engine.server.stop()
    futures = [one.broker.publish(message("news", str(n)), None, "") for n in range(100)]
    await asyncio.sleep(2)  # it is asked if it is there, and answers late
    engine.server.go_on()
    await asyncio.gather(*futures)
    assert texts(await one.receive(100)) == [str(n) for n in range(100)]
    assert one.recorder.events == []


# -- Bounds ---------------------------------------------------------------------------------------


async def test_what_waits_is_bounded(engine: Engine, one: Process) -> None:
    await engine.lose(one)
    large = Publication("news", bytes(2**20), False)
    futures = [one.broker.publish(large, None, "") for _ in range(17)]
    await turn()
    failed = [future for future in futures if future.done()]
    assert len(failed) == 2
    with pytest.raises(BrokerError, match="too much is waiting"):
        await failed[0]
    await engine.start()
    await asyncio.gather(*futures[:15])
    assert await one.broker.publish(large, None, "") is None


async def test_one_large_message_has_room(one: Process) -> None:
    await one.broker.subscribe("news")
    position = await one.broker.publish(Publication("news", bytes(2**24), False), KEPT, "")
    assert len((await one.receive(1))[0].payload) == 2**24
    missed = await one.broker.read("news", Position(position.epoch, 0), KEPT)
    assert len(missed.publications[0].payload) == 2**24


async def test_nothing_waits_for_ever(
    engine: Engine, one: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.commands, "MAX_AWAY", 0.3)
    await engine.lose(one)
    futures = [
        one.broker.publish(message("news", "x"), None, ""),
        one.broker.publish(message("news", "x"), KEPT, "key"),
        one.broker.read("news", None, KEPT),
        one.broker.members("room"),
        one.broker.enter("room", "1", "Ann"),
    ]
    for future in futures:
        with pytest.raises(BrokerError, match="no connection to "):
            await future
    at_once = one.broker.publish(message("news", "x"), None, "")
    await turn()
    assert at_once.done()
    subscribed = one.broker.subscribe("news")
    await engine.start()
    await asyncio.wait_for(subscribed, PATIENCE)
    await one.told("lost", "made")
    await one.broker.publish(message("news", "again"), None, "")
    assert texts(await one.receive(1, "news")) == ["again"]

    async def is_member() -> bool:
        return await one.broker.members("room") == {"1": "Ann"}

    await until(is_member)
