"""Brokers in pairs, of each kind, for the laws in ``conformance.py``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from cluster import SETTLING, RedisCluster
from hub import HubThread
from process import Process, Recorder
from server import RedisServer

from wsproto_async.pubsub import Broker, MemoryBroker
from wsproto_async.pubsub.hub import HubBroker
from wsproto_async.pubsub.redis import RedisBroker

Pair = tuple[Broker, Broker]


@asynccontextmanager
async def memory(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    broker = MemoryBroker()
    yield broker, broker


@asynccontextmanager
async def redis(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    with TemporaryDirectory() as folder:
        async with RedisServer(Path(folder)) as server:
            yield RedisBroker(server.url), RedisBroker(server.url)


@asynccontextmanager
async def cluster(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    cluster = request.getfixturevalue("shared_cluster")
    prefix = f"{next(PREFIXES)}:"
    yield RedisBroker(cluster.url, prefix=prefix), RedisBroker(cluster.url, prefix=prefix)


@asynccontextmanager
async def hub(request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    with TemporaryDirectory() as folder, HubThread(Path(folder)) as hub:
        yield HubBroker(hub.path), HubBroker(hub.path)


PREFIXES = count()
# What makes two brokers that are joined, not started yet, and starts the server they need.
KINDS: dict[str, Callable[[pytest.FixtureRequest], AbstractAsyncContextManager[Pair]]] = {
    "memory": memory,
    "redis": redis,
    "cluster": cluster,
    "hub": hub,
}


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """A cluster takes seconds until it is one: tests share it, each with a prefix of its own."""
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"))
    try:
        with ThreadPoolExecutor() as thread:  # for in this one a loop may be running
            thread.submit(asyncio.run, cluster.start()).result()
        yield cluster
    finally:
        cluster.kill()


@pytest.fixture(params=KINDS)
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Process, Process]]:
    async with KINDS[request.param](request) as brokers:
        started: dict[Broker, Process] = {}
        for broker in brokers:
            if broker not in started:
                started[broker] = Process(broker, Recorder(), SETTLING)
                await broker.start(started[broker].recorder)
        one, other = brokers
        yield started[one], started[other]
        for broker in started:
            await broker.close()


@pytest.fixture
def one(pair: tuple[Process, Process]) -> Process:
    return pair[0]


@pytest.fixture
def other(pair: tuple[Process, Process]) -> Process:
    return pair[1]
