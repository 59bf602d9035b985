"""What is kept of a topic, and sent to who has missed it."""

from __future__ import annotations

from typing import Any

import pytest
from room import read_payloads, room
from slow_peers import SMALL

from wsproto_async import Position, Topic
from wsproto_async.pubsub import Publication


def positioned(publication: Publication) -> str:
    return f"{publication.position} {publication.payload.decode()}"


NEWS = Topic("news", history=5, wrap=positioned)


async def test_what_was_missed_is_sent_in_order() -> None:
    async with room(2, topics=[NEWS]) as here:
        first = await here.websockets[0].subscribe("news")
        assert first.recovered is None
        assert first.position is not None
        positions = [await here.server.publish("news", str(each)) for each in range(3)]
        assert positions == [Position(first.position.epoch, each) for each in (1, 2, 3)]
        subscription = await here.websockets[1].subscribe("news", since=positions[0])
        assert subscription == ("news", positions[2], True)
        await here.server.publish("news", "3")
        epoch = first.position.epoch
        expected = [f"{epoch}:{each + 1} {each}".encode() for each in range(4)]
        assert await read_payloads(here.peers[0], 4) == expected
        assert await read_payloads(here.peers[1], 3) == expected[1:]


async def test_what_was_missed_and_is_not_kept_is_not_sent_at_all() -> None:
    async with room(4, topics=[NEWS]) as here:
        one, other, third, fourth = here.websockets
        start = (await one.subscribe("news")).position
        assert start is not None
        for each in range(6):
            last = await here.server.publish("news", str(each))
        assert last is not None
        for ws, since in (
            (other, start),
            (third, Position("another", 3)),
            (fourth, Position(start.epoch, 7)),
        ):
            assert await ws.subscribe("news", since=since) == ("news", last, False)
        here.server.publish("news", "next")
        for peer in here.peers[1:]:
            assert await read_payloads(peer, 1) == [b"%s:7 next" % start.epoch.encode()]


async def test_nothing_was_missed() -> None:
    async with room(2, topics=[NEWS]) as here:
        await here.websockets[0].subscribe("news")
        last = await here.server.publish("news", "text")
        assert await here.websockets[1].subscribe("news", since=last) == ("news", last, True)


@pytest.mark.parametrize("size", [5, 20_000])
@pytest.mark.parametrize("slow", ["close", "drop-oldest", "drop-newest", "latest"])
async def test_too_much_to_be_sent_at_once_is_not_sent_at_all(slow: Any, size: int) -> None:
    """Whatever the policy: with 10 KiB of messages as with very many that say nothing."""
    topic = Topic("news", slow=slow, history=2000, max_bytes=100_000)
    async with room(3, **SMALL, topics=[topic]) as here:
        one, other, third = here.websockets
        start = (await one.subscribe("news")).position
        one.unsubscribe("news")
        assert start is not None
        for _ in range(1000):
            last = await here.server.publish("news", bytes(size))
        assert last is not None
        subscription = await other.subscribe("news", since=start)
        assert subscription == ("news", last, False)
        since = Position(start.epoch, 998)
        assert await third.subscribe("news", since=since) == ("news", last, True)
        await here.server.publish("news", "next")
        assert await read_payloads(here.peers[1], 1) == [b"next"]
        assert await read_payloads(here.peers[2], 3) == [bytes(size), bytes(size), b"next"]
        stats = here.server.stats().topics
        assert (stats.dropped, stats.closed) == (0, 0)


async def test_what_was_missed_comes_in_few_writes() -> None:
    topic = Topic("news", history=1000)
    async with room(1, is_recorded=True, topics=[topic]) as here:
        position = await here.server.publish("news", "0")
        assert position is not None
        for each in range(1, 1000):
            here.server.publish("news", str(each))
        await here.websockets[0].subscribe("news", since=Position(position.epoch, 0))
        assert await read_payloads(here.peers[0], 1000) == [b"%d" % each for each in range(1000)]
        assert len(here.writes[0]) < 10


async def test_who_subscribes_again_at_once_misses_nothing() -> None:
    """Although what it was sent as an earlier subscriber is still on its way."""
    async with room(1, topics=[NEWS]) as here:
        ws = here.websockets[0]
        start = (await ws.subscribe("news")).position
        assert start is not None
        for each in range(3):
            here.server.publish("news", str(each))
        ws.unsubscribe("news")
        subscription = await ws.subscribe("news", since=Position(start.epoch, 3))
        assert subscription.recovered is True
        await here.server.publish("news", "3")
        found = await read_payloads(here.peers[0], 4)
        assert [each.split()[1] for each in found] == [b"0", b"1", b"2", b"3"]


async def test_a_key_publishes_once() -> None:
    async with room(1, topics=[NEWS]) as here:
        await here.subscribe("news")
        first = await here.server.publish("news", "text", idempotency_key="key")
        assert await here.server.publish("news", "again", idempotency_key="key") == first
        await here.server.publish("news", "other", idempotency_key="other key")
        found = await read_payloads(here.peers[0], 2)
        assert [each.split()[1] for each in found] == [b"text", b"other"]
