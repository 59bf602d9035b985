"""What subscribers get who do not read, by the policy of the topic."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from raw_peer import CLOSE, Frame, until
from room import read_payloads, read_to_close, room
from slow_peers import MESSAGE, SMALL, fill, number, payload, publish_slowly, skip

from wsproto_async import State, Topic, WebSocket


class Slow:
    """What a topic tells of those who are slow."""

    def __init__(self) -> None:
        self.told: list[tuple[WebSocket, str, str]] = []

    def __call__(self, ws: WebSocket, topic: str, what: str) -> None:
        self.told.append((ws, topic, what))


@pytest.mark.parametrize("is_per_call", [True, False])
@pytest.mark.parametrize("slow", ["drop-oldest", "drop-newest", "latest"])
async def test_policies_that_drop(slow: Any, is_per_call: bool) -> None:
    told = Slow()
    kept = 10
    limit = 2**18 + kept * (MESSAGE + 300)
    by_topic = {} if is_per_call else {"slow": slow}
    topic = Topic("news", max_bytes=limit, on_slow=told, **by_topic)
    async with room(2, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        ws, quick = here.websockets
        await fill(here, ws)
        reading = asyncio.create_task(read_payloads(here.peers[1], 100))
        await publish_slowly(here, 100, **({"slow": slow} if is_per_call else {}))
        assert ws.buffered_amount <= limit
        assert [number(each) for each in await reading] == list(range(100))
        await skip(here.peers[0])
        found: list[int] = []

        async def read_to_the_last() -> None:
            while not found or found[-1] != 100:
                found.extend(number(each) for each in await read_payloads(here.peers[0], 1))

        reading_too = asyncio.create_task(read_to_the_last())
        await until(lambda: not ws.buffered_amount)
        here.server.publish("news", payload(100))
        await reading_too
        assert found == sorted(set(found))
        dropped = 101 - len(found)
        assert told.told == [(ws, "news", "dropped")] * dropped
        assert here.server.stats().topics.dropped == dropped
        assert here.server.stats().topics.closed == 0
        assert dropped
        # How much of it the kernel takes, and when, is not ours to say.
        if slow == "latest":
            assert found[-2:] == [99, 100]
        elif slow == "drop-oldest":
            assert found[-kept - 1 :] == list(range(100 - kept, 101))
        else:
            assert found[:kept] == list(range(kept))
        assert quick.state is State.OPEN


async def test_the_latest_of_each_key_arrives() -> None:
    async with room(1, **SMALL, topics=[Topic("news", slow="latest")]) as here:
        await here.subscribe("news")
        await fill(here, here.websockets[0])
        for each in range(40):
            here.server.publish("news", payload(each), key="abcd"[each % 4])
            await asyncio.sleep(0)
        await skip(here.peers[0])
        assert [number(each) for each in await read_payloads(here.peers[0], 4)] == [36, 37, 38, 39]
        assert here.server.stats().topics.dropped == 36


@pytest.mark.parametrize("slow", ["close", "wait"])
async def test_policies_that_close(slow: Any) -> None:
    """It misses the end rather than the middle; the others do not notice."""
    told = Slow()
    topic = Topic("news", slow=slow, max_bytes=2**18 + 20_000, on_slow=told)
    async with room(2, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        ws = here.websockets[0]
        await fill(here, ws)
        reading = asyncio.create_task(read_payloads(here.peers[1], 100))
        await publish_slowly(here, 100)
        assert ws.state is State.CLOSING
        assert told.told == [(ws, "news", "closed")]
        assert here.server.stats().topics.closed == 1
        assert [number(each) for each in await reading] == list(range(100))
        await skip(here.peers[0])
        found, close = await read_to_close(here.peers[0])
        assert [number(each) for each in found] == list(range(len(found)))
        assert 10 < len(found) < 100
        assert close == Frame(CLOSE, b"\x03\xf5too slow")


async def test_the_default_is_1_mib() -> None:
    async with room(1, small=True, write_limit=2**16) as here:
        await here.subscribe("news")
        ws = here.websockets[0]
        most = 0
        while ws.state is State.OPEN:
            await here.server.publish("news", bytes(10_000))
            most = max(most, ws.buffered_amount)
        assert 2**20 - 30_000 < most <= 2**20
        await until(lambda: here.server.stats().topics.closed)


async def test_with_wait_who_awaits_waits_for_who_is_slow() -> None:
    async with room(2, **SMALL, topics=[Topic("news", slow="wait")]) as here:
        await here.subscribe("news")
        await fill(here, here.websockets[0])
        publishing = asyncio.ensure_future(here.server.publish("news", "text"))
        assert await read_payloads(here.peers[1], 1) == [b"text"]
        other = asyncio.ensure_future(here.server.publish("news", "next", slow="drop-oldest"))
        await other
        for _ in range(20):
            await asyncio.sleep(0)
        assert not publishing.done()
        await skip(here.peers[0])
        await publishing
        assert await read_payloads(here.peers[0], 2) == [b"text", b"next"]


@pytest.mark.parametrize("end", ["lost", "unsubscribed", "closed", "aborted"])
async def test_with_wait_nobody_waits_for_who_is_gone(end: str) -> None:
    async with room(1, **SMALL, topics=[Topic("news", slow="wait")], close_timeout=0.1) as here:
        await here.subscribe("news")
        ws = here.websockets[0]
        await fill(here, ws)
        publishing = asyncio.ensure_future(here.server.publish("news", "text"))
        for _ in range(3):
            await asyncio.sleep(0)
        assert not publishing.done()
        if end == "lost":
            here.peers[0].reset()
        elif end == "closed":
            asyncio.create_task(ws.close()).add_done_callback(lambda task: task.result())
        elif end == "aborted":
            ws.abort()
        else:
            ws.unsubscribe("news")
            await skip(here.peers[0])
        async with asyncio.timeout(10):
            await publishing


async def test_cancelling_who_waits_takes_nothing_back() -> None:
    async with room(1, **SMALL, topics=[Topic("news", slow="wait")]) as here:
        await here.subscribe("news")
        await fill(here, here.websockets[0])
        publishing = asyncio.ensure_future(here.server.publish("news", "text"))
        await asyncio.sleep(0)
        publishing.cancel()
        await asyncio.wait([publishing])
        await skip(here.peers[0])
        assert await read_payloads(here.peers[0], 1) == [b"text"]


@pytest.mark.parametrize("slow", ["drop-oldest", "close"])
async def test_what_has_waited_for_too_long(slow: Any) -> None:
    topic = Topic("news", slow=slow, max_age=1)
    async with room(1, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        ws = here.websockets[0]
        await fill(here, ws)
        here.server.publish("news", "old")
        await asyncio.sleep(1.1)
        if slow == "close":
            await skip(here.peers[0])
            assert await read_to_close(here.peers[0]) == ([], Frame(CLOSE, b"\x03\xf5too slow"))
            assert here.server.stats().topics.closed == 1
        else:
            here.server.publish("news", "new")
            await skip(here.peers[0])
            assert await read_payloads(here.peers[0], 1) == [b"new"]
            assert here.server.stats().topics.dropped == 1
