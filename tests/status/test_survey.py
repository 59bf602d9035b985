"""A look at all connections, a few at a time."""

from __future__ import annotations

import asyncio
import os

import pytest
from asking import echo
from raw_peer import until

from wsproto_async import connect, serve
from wsproto_async.status import survey as survey_module
from wsproto_async.status.survey import survey, survey_at_once


async def test_the_numbers_are_those_of_the_server() -> None:
    async with serve(echo, 0) as server:
        uri = f"ws://127.0.0.1:{server.port}/"
        async with connect(uri) as ws, connect(uri):
            await ws.send("x" * 100)
            await ws.recv()
            found = await survey(server)
            assert found == survey_at_once(server)._replace(at=found.at)
            stats = server.stats()._asdict()
            stats["topics"] = stats["topics"]._asdict()
            stats["closed"] = []
            both = found._asdict()
            assert {name: both[name] for name in stats} == stats
            assert found.worker == os.getpid()
            assert found.round_trips == [0] * 13


async def test_others_run_meanwhile_and_counters_never_go_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Connections end before, and after, they have been looked at."""
    monkeypatch.setattr(survey_module, "_AT_ONCE", 2)
    async with serve(echo, 0) as server:
        uri = f"ws://127.0.0.1:{server.port}/"
        clients = [await connect(uri) for _ in range(6)]
        for ws in clients:
            await ws.send("x")
            await ws.recv()
        before = await survey(server)
        assert before.messages_received == 6
        looking = asyncio.create_task(survey(server))
        await asyncio.sleep(0)
        assert not looking.done()
        for ws in list(server.connections):
            ws.abort()
        await until(lambda: not server._websockets)
        during = await looking
        assert during.messages_received == 6
        after = await survey(server)
        assert (after.messages_received, after.connections) == (6, 0)
        assert after.bytes_received == during.bytes_received
        for ws in clients:
            ws.abort()


async def test_topics_are_looked_at_a_few_at_a_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest are shown, and of those alike the first."""
    monkeypatch.setattr(survey_module, "_AT_ONCE", 3)
    async with serve(echo, 0) as server:
        uri = f"ws://127.0.0.1:{server.port}/"
        async with connect(uri), connect(uri):
            await until(lambda: len(server.connections) == 2)
            one, other = server.connections
            for number in range(20):
                one.subscribe(f"topic {number}")
            other.subscribe("topic 15")
            other.subscribe("topic 7")
            looking = asyncio.create_task(survey(server))
            for _ in range(6):
                await asyncio.sleep(0)
                assert not looking.done()
            found = await looking
            assert found.topics == server.stats().topics._asdict()
            assert found.topics["subscriptions"] == 22
            first = [f"topic {number}" for number in range(6)]
            assert [name for name, _ in found.largest] == ["topic 7", "topic 15", *first]
            assert [count for _, count in found.largest] == [2, 2, 1, 1, 1, 1, 1, 1]
