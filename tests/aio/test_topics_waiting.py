"""What is published waits for a peer that does not read: what else goes on."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator

from raw_peer import CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, frame
from room import read, read_payloads, read_to_close, room
from slow_peers import MESSAGE, SMALL, fill, number, publish_slowly, skip

from wsproto_async import State, Topic, broadcast


async def test_pings_are_answered_while_messages_wait() -> None:
    async with room(1, **SMALL, topics=[Topic("news", slow="drop-oldest")]) as here:
        await here.subscribe("news")
        ws, peer = here.websockets[0], here.peers[0]
        await fill(here, ws)
        await publish_slowly(here, 100)
        await peer.send(frame(PING, b"first") + frame(PING, b"last"))
        await skip(peer)
        frames = await read(peer, 101)
        place = frames.index(Frame(PONG, b"last"))
        assert place < 90  # some had been written before


async def test_the_handlers_messages_and_those_that_wait_take_turns() -> None:
    """Neither waits for the other to end, though both go on for ever."""
    topic = Topic("news", slow="drop-oldest")
    async with room(1, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        ws, peer = here.websockets[0], here.peers[0]
        is_over = False

        async def send() -> None:
            while not is_over:
                await ws.send(b"sent" + bytes(20_000))

        async def publish() -> None:
            while not is_over:
                here.server.publish("news", b"published" + bytes(20_000))
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(run()) for run in (send, publish)]
        counts = {b"sent": 0, b"published": 0}
        while min(counts.values()) < 30:
            (found,) = await read_payloads(peer, 1)
            counts[found.rstrip(b"\0")] += 1
            assert max(counts.values()) < 1000
        is_over = True
        ws.abort()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_sends_gets_its_turn_while_messages_wait_all_the_time() -> None:
    topic = Topic("news", slow="drop-oldest")
    async with room(1, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        ws, peer = here.websockets[0], here.peers[0]
        await fill(here, ws)
        await publish_slowly(here, 100)
        sending = asyncio.create_task(ws.send("mine"))
        await asyncio.sleep(0)
        await skip(peer)
        found = 0
        while await read_payloads(peer, 1) != [b"mine"]:
            found += 1
            here.server.publish("news", bytes(1000))
            assert found < 100
        await sending


async def test_a_message_in_fragments_is_not_interrupted() -> None:
    async def fragments() -> AsyncIterator[str]:
        yield "one "
        await go_on.wait()
        yield "two"

    go_on = asyncio.Event()
    async with room(1) as here:
        await here.subscribe("news")
        ws, peer = here.websockets[0], here.peers[0]
        sending = asyncio.create_task(ws.send(fragments()))
        assert await read(peer, 1) == [Frame(TEXT, b"one ", fin=False)]
        here.server.publish("news", "published")
        broadcast([ws], "broadcast")
        await asyncio.sleep(0)
        await ws.ping(b"ping")
        assert await read(peer, 1) == [Frame(PING, b"ping")]
        go_on.set()
        await sending
        assert await read(peer, 2) == [
            Frame(CONTINUATION, b"two", fin=False),
            Frame(CONTINUATION, b""),
        ]
        assert sorted(await read_payloads(peer, 2)) == [b"broadcast", b"published"]


async def test_closing_sends_what_waits_first() -> None:
    async with room(1, **SMALL) as here:
        await here.subscribe("news")
        ws, peer = here.websockets[0], here.peers[0]
        await fill(here, ws)
        await publish_slowly(here, 20)
        closing = asyncio.create_task(ws.close(4000, "bye"))
        await skip(peer)
        found, close = await read_to_close(peer)
        assert [number(each) for each in found] == list(range(20))
        assert close.close_code == 4000
        await peer.send(frame(CLOSE, close.payload))
        peer.finish()
        await closing


async def test_broadcasts_and_publications_wait_together() -> None:
    """Each with what holds for it: a broadcast closes, what is published may be dropped."""
    topic = Topic("news", slow="drop-newest", max_bytes=2**18 + 5000)
    async with room(2, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        one, other = here.websockets
        for ws in here.websockets:
            await fill(here, ws)
        broadcast([one], "broadcast")
        here.server.publish("news", "published")
        await asyncio.sleep(0)
        await publish_slowly(here, 100)
        assert here.server.stats().topics.dropped > 100
        assert [ws.state for ws in (one, other)] == [State.OPEN] * 2
        while other.state is State.OPEN:
            broadcast([other], bytes(MESSAGE))
        assert here.server.stats().topics.closed == 0
        assert one.state is State.OPEN
        await skip(here.peers[0])
        assert (await read_payloads(here.peers[0], 2)) == [b"broadcast", b"published"]
        await skip(here.peers[1])
        _, close = await read_to_close(here.peers[1])
        assert close.close_code == 1013


async def test_what_waits_for_many_is_there_once() -> None:
    count, size = 20, 100_000
    topic = Topic("news", slow="drop-oldest", max_bytes=2**21)
    async with room(count, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        for ws in here.websockets:
            await fill(here, ws)
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(10):
                await here.server.publish("news", bytes(size))
            await asyncio.sleep(0)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        waiting = sum(ws.buffered_amount - 2**18 for ws in here.websockets)
        assert waiting > 8 * count * size
        assert held < 25 * size  # of each the payload and the frame, and no more
