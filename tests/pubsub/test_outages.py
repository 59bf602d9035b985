"""Servers that publish while their broker is killed again and again: what their clients get.

Some outages in every run, a hundred with ``make outages``. Each server keeps a log of what it has
sent to its subscribers, and of the gaps it was told of; each client of what came.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from itertools import count, pairwise
from pathlib import Path

import pytest
from hub import HubProcess
from server import RedisServer

from wsproto_async import BrokerError, Publication, Server, Topic, WebSocket, connect, serve
from wsproto_async.pubsub import Broker
from wsproto_async.pubsub.hub import HubBroker
from wsproto_async.pubsub.redis import RedisBroker

OUTAGES = int(os.environ.get("OUTAGES", "3"))
PAUSE = 0.002  # seconds between two messages of a server on a topic
BETWEEN = 50  # messages that each publishes on each before the next outage
TOPICS = ("kept:a", "kept:b", "c", "d")
GAP = "gap"


class Site:
    """A server, whose log has messages and gaps by topic, and a client that reads all topics."""

    def __init__(self, name: str, broker: Broker) -> None:
        self.name = name
        self.log: dict[str, list[str]] = defaultdict(list)
        self.received: dict[str, list[str]] = defaultdict(list)
        self.sent: dict[str, list[bool | None]] = {topic: [] for topic in TOPICS}
        """By topic, and of each message in their order: if it was published, None if it may be."""
        self._broker = broker
        self._latest: dict[tuple[str, str], float] = {}

    async def open(self, stack: AsyncExitStack) -> None:
        topics = [
            Topic("kept:*", history=10_000, wrap=self._wrap, on_gap=self._gap),
            Topic("*", wrap=self._wrap, on_gap=self._gap),
        ]
        self.server: Server = await stack.enter_async_context(
            serve(self._handle, 0, broker=self._broker, topics=topics)
        )
        ws = await stack.enter_async_context(connect(f"ws://127.0.0.1:{self.server.port}/"))
        assert await ws.recv() == "subscribed"
        self._reading = asyncio.create_task(self._read(ws))

    async def close(self) -> None:
        self.server.close()
        await self._reading

    async def _handle(self, ws: WebSocket) -> None:
        for topic in TOPICS:
            await ws.subscribe(topic)
        await ws.send("subscribed")
        await ws.wait_closed()

    async def _read(self, ws: WebSocket) -> None:
        async for message in ws:
            topic, _, line = str(message).partition(" ")
            self.received[topic].append(line)

    def _wrap(self, publication: Publication) -> str:
        line = str(publication.message)
        self.log[publication.topic].append(line)
        publisher, _, moment = line.split()
        self._latest[publication.topic, publisher] = float(moment)
        return f"{publication.topic} {line}"

    def _gap(self, websockets: frozenset[WebSocket], topic: str) -> None:
        self.log[topic].append(GAP)

    async def publish(self, topic: str) -> None:
        """Publish the next message: who, which, when."""
        number = len(self.sent[topic])
        self.sent[topic].append(None)
        try:
            await self.server.publish(topic, f"{self.name} {number} {time.monotonic()}")
        except BrokerError:
            return
        self.sent[topic][number] = True

    def has_all_since(self, moment: float) -> bool:
        """Tell if something that was published since then has come on each topic, of each site."""
        return len(self._latest) == 2 * len(TOPICS) and min(self._latest.values()) > moment


class Trial:
    """Two sites that publish all the time."""

    def __init__(self, brokers: tuple[Broker, Broker]) -> None:
        self.sites = [Site(f"{number}", broker) for number, broker in enumerate(brokers)]
        self.returns: list[float] = []  # seconds from the end of an outage until all goes on
        self._publishing: set[asyncio.Task[None]] = set()

    async def run(self, faults: Iterator[Callable[[], Awaitable[None]]]) -> None:
        async with AsyncExitStack() as stack:
            for site in self.sites:
                await site.open(stack)
            load = asyncio.create_task(self._load())
            await self._all_goes_on()
            for _ in range(OUTAGES):
                for _ in range(BETWEEN):
                    await asyncio.sleep(PAUSE)
                await next(faults)()
                began = time.monotonic()
                await self._all_goes_on()
                self.returns.append(time.monotonic() - began)
            load.cancel()
            await asyncio.gather(*self._publishing)
            self._publish()
            await self._all_goes_on()
            for site in self.sites:
                await site.close()

    async def _load(self) -> None:
        while True:
            self._publish()
            await asyncio.sleep(PAUSE)

    def _publish(self) -> None:
        for site in self.sites:
            for topic in TOPICS:
                task = asyncio.create_task(site.publish(topic))
                self._publishing.add(task)
                task.add_done_callback(self._publishing.discard)

    async def _all_goes_on(self) -> None:
        """Wait until what is published from now on arrives, of each site at each."""
        began = time.monotonic()
        async with asyncio.timeout(20):
            while not all(site.has_all_since(began) for site in self.sites):  # noqa: ASYNC110
                await asyncio.sleep(PAUSE)

    def report(self) -> str:
        published = sum(sent.count(True) for site in self.sites for sent in site.sent.values())
        failed = sum(sent.count(None) for site in self.sites for sent in site.sent.values())
        gaps = sum(log.count(GAP) for site in self.sites for log in site.log.values())
        returns = sorted(self.returns)
        return (
            f"{len(returns)} outages, {published} published, {failed} may not have been, "
            f"{gaps} gaps told, all goes on after {returns[len(returns) // 2]:.2f} s, "
            f"at most {returns[-1]:.2f} s"
        )

    def check(self) -> None:
        """Look for what was lost, doubled, or out of order."""
        for site in self.sites:
            for topic in TOPICS:
                log = site.log[topic]
                assert site.received[topic] == [line for line in log if line != GAP]
                assert log.count(GAP) <= len(self.returns), "told more than once"
                for publisher in self.sites:
                    check(log, publisher.name, publisher.sent[topic])


def check(log: list[str], publisher: str, sent: list[bool | None]) -> None:
    """Check what a site has got from a publisher on a topic."""
    entries = [
        (at, int(line.split()[1]))
        for at, line in enumerate(log)
        if line != GAP and line.startswith(f"{publisher} ")
    ]
    assert entries
    for (before, earlier), (after, later) in pairwise(entries):
        around = log[max(before - 9, 0) : after + 9]
        assert later > earlier, f"doubled, or out of order: {around}"
        is_missing = any(sent[earlier + 1 : later])
        assert not is_missing or GAP in log[before:after], f"lost, and nobody was told: {around}"
    assert entries[-1][1] == len(sent) - 1, "the last one is missing"


def test_the_check_finds_what_it_looks_for() -> None:
    good = ["1 0 t", "0 0 t", GAP, "1 2 t", "1 4 t"]
    check(good, "1", [True, True, True, None, True])
    for bad, why in (
        (["1 0 t", "1 0 t"], "doubled"),
        (["1 1 t", "1 0 t"], "out of order"),
        (["1 0 t", "1 2 t"], "nobody was told"),
        (["1 0 t", "1 1 t", GAP], "the last one"),
    ):
        with pytest.raises(AssertionError, match=why):
            check(bad, "1", [True, True, True])


async def test_redis_is_killed_again_and_again(tmp_path: Path) -> None:
    async with RedisServer(tmp_path) as redis:

        async def kill() -> None:
            redis.kill()
            await redis.start()

        async def disconnect() -> None:
            await redis.kill_clients("pubsub")
            await redis.kill_clients("normal")

        async def flush() -> None:
            await redis.call("FLUSHALL")
            await redis.call("SCRIPT", "FLUSH")

        def faults() -> Iterator[Callable[[], Awaitable[None]]]:
            for number in count():
                yield kill
                if number % 2:
                    yield (disconnect, flush)[number // 2 % 2]

        trial = Trial((RedisBroker(redis.url), RedisBroker(redis.url)))
        await trial.run(faults())
    print(trial.report())
    trial.check()


async def test_the_hub_is_killed_again_and_again(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:

        async def kill() -> None:
            hub.kill()
            hub.start()

        trial = Trial((HubBroker(hub.path), HubBroker(hub.path)))
        await trial.run(iter(lambda: kill, None))
    print(trial.report())
    trial.check()
