"""How what is published leaves: in few writes, and with turns for everything else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from room import read_payloads, room, turns
from slow_peers import SMALL

from wsproto_async import BrokerError, Topic


async def test_what_is_published_in_one_turn_is_one_write() -> None:
    async with room(3, is_recorded=True) as here:
        await here.subscribe("news")
        for number in range(32):
            here.server.publish("news", str(number))
        for peer in here.peers:
            assert await read_payloads(peer, 32) == [b"%d" % number for number in range(32)]
        assert [len(writes) for writes in here.writes] == [1, 1, 1]
        assert here.writes[0][0] is here.writes[1][0]


async def test_awaited_one_after_another_they_are_few_writes() -> None:
    async with room(1, is_recorded=True) as here:
        await here.subscribe("news")
        for number in range(32):
            await here.server.publish("news", str(number))
        assert await read_payloads(here.peers[0], 32) == [b"%d" % number for number in range(32)]
        assert len(here.writes[0]) < 4


async def test_what_is_sent_beside_it_keeps_its_own_order() -> None:
    async with room(1) as here:
        await here.subscribe("news")
        ws = here.websockets[0]
        for number in range(50):
            here.server.publish("news", f"published {number}")
            await ws.send(f"sent {number}")
            if not number % 7:
                await asyncio.sleep(0)
        payloads = await read_payloads(here.peers[0], 100)
        for kind in (b"published", b"sent"):
            of_kind = [payload for payload in payloads if payload.startswith(kind)]
            assert of_kind == [b"%b %d" % (kind, number) for number in range(50)]


@pytest.mark.parametrize("topic", ["news", "nobody"])
@pytest.mark.parametrize("slow", ["close", "wait"])
async def test_who_publishes_without_end_and_awaits_lets_the_loop_go_on(
    topic: str, slow: Any
) -> None:
    async with room(1, topics=[Topic("nobody", wrap=lambda publication: None)]) as here:
        await here.subscribe("news")

        async def publish() -> None:
            while True:
                await here.server.publish(topic, "text", slow=slow)

        publishing = asyncio.create_task(publish())
        reading = asyncio.create_task(here.peers[0].read_eof())
        for _ in range(20):
            await asyncio.sleep(0)
        publishing.cancel()
        await asyncio.wait([publishing])
        here.websockets[0].abort()
        await asyncio.wait([reading])


async def test_who_publishes_without_end_and_does_not_await_is_told() -> None:
    async with room(1, **SMALL) as here:
        await here.subscribe("news", **{})
        block = bytes(2**20)
        futures = [here.server.publish("news", block, slow="drop-newest") for _ in range(70)]
        done = await asyncio.gather(*futures, return_exceptions=True)
        assert 60 <= done.count(None) < 70
        assert all(isinstance(each, BrokerError) for each in done if each is not None)
        assert here.server.stats().topics.published == done.count(None)
        await here.server.publish("news", "again", slow="drop-newest")


async def test_small_messages_are_counted_with_their_overhead() -> None:
    async with room(1, **SMALL) as here:
        await here.subscribe("news")
        for _ in range(60):  # nearly all that may wait
            here.server.publish("news", bytes(2**20), slow="drop-newest")
        with pytest.raises(BrokerError):
            for _ in range(2**16):
                publishing = here.server.publish("news", b"", slow="drop-newest")
                if isinstance(publishing, asyncio.Future):
                    await publishing


async def test_a_fan_out_to_many_lets_the_loop_go_on() -> None:
    """To as many as a process may have sockets for."""
    async with room(300) as here:
        await here.subscribe("news")
        for _ in range(60):
            here.server.publish("news", bytes(65_000), slow="drop-newest")
        assert await turns([asyncio.ensure_future(here.server.publish("news", "last"))]) > 4
