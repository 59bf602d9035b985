"""Brokers in pairs, of each kind, for the laws in ``conformance.py``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hub import HubProcess
from process import Process, Recorder
from server import RedisServer

from wsproto_async.pubsub import Broker, MemoryBroker
from wsproto_async.pubsub.hub import HubBroker
from wsproto_async.pubsub.redis import RedisBroker

Pair = tuple[Broker, Broker]


@asynccontextmanager
async def memory() -> AsyncIterator[Pair]:
    broker = MemoryBroker()
    yield broker, broker


@asynccontextmanager
async def redis() -> AsyncIterator[Pair]:
    with TemporaryDirectory() as folder:
        async with RedisServer(Path(folder)) as server:
            yield RedisBroker(server.url), RedisBroker(server.url)


@asynccontextmanager
async def hub() -> AsyncIterator[Pair]:
    with TemporaryDirectory() as folder, HubProcess(Path(folder)) as process:
        yield HubBroker(process.path), HubBroker(process.path)


# What makes two brokers that are joined, not started yet, and starts the server they need.
KINDS: dict[str, Callable[[], AbstractAsyncContextManager[Pair]]] = {
    "memory": memory,
    "redis": redis,
    "hub": hub,
}


@pytest.fixture(params=KINDS)
async def pair(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Process, Process]]:
    async with KINDS[request.param]() as brokers:
        started: dict[Broker, Process] = {}
        for broker in brokers:
            if broker not in started:
                started[broker] = Process(broker, Recorder())
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
