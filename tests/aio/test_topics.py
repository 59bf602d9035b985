"""Topics through a server and real sockets: who gets what, and what is left of it."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import Any

import pytest
from raw_peer import BINARY, CLOSE, TEXT, Frame, frame, until
from room import read, read_payloads, read_to_close, room

from wsproto_async import Topic, WebSocket
from wsproto_async.pubsub import Kind, Publication

# Subscribing and publishing


async def test_subscribers_get_what_is_published_on_their_topic() -> None:
    async with room(3) as here:
        one, other, third = here.websockets
        await one.subscribe("a")
        await other.subscribe("a")
        await other.subscribe("b")
        assert await here.server.publish("a", "text €") is None
        here.server.publish("b", b"binary")
        here.server.publish("c", "nobody")
        here.server.publish("a", b"text", text=True)
        here.server.publish("a", bytearray(b"last"))
        await third.send("only this")
        assert await read(here.peers[0], 3) == [
            Frame(TEXT, "text €".encode()),
            Frame(TEXT, b"text"),
            Frame(BINARY, b"last"),
        ]
        assert sorted(await read_payloads(here.peers[1], 4)) == sorted(
            ["text €".encode(), b"binary", b"text", b"last"]
        )
        assert await read_payloads(here.peers[2], 1) == [b"only this"]


async def test_what_subscribing_comes_to() -> None:
    async with room(1) as here:
        ws = here.websockets[0]
        subscription = await ws.subscribe("news")
        assert subscription == ("news", None, None)
        assert ws.topics == {"news"}
        assert dict(here.server.topics) == {"news": {ws}}
        ws.unsubscribe("news")
        ws.unsubscribe("news")
        ws.unsubscribe("never")
        assert ws.topics == frozenset()
        assert dict(here.server.topics) == {}
        here.server.publish("news", "nobody")
        await ws.subscribe("news")
        here.server.publish("news", "again")
        assert await read_payloads(here.peers[0], 1) == [b"again"]


async def test_it_begins_at_once_and_does_not_have_to_be_awaited() -> None:
    async with room(1) as here:
        here.server.publish("news", "before")
        here.websockets[0].subscribe("news")
        here.server.publish("news", "after")
        assert await read_payloads(here.peers[0], 1) == [b"after"]


async def test_names_can_be_looked_at_while_they_change() -> None:
    async with room(1) as here:
        ws = here.websockets[0]
        for name in "abc":
            ws.subscribe(name)
        for name in here.server.topics:
            ws.unsubscribe(name)
        assert len(here.server.topics) == 0
        with pytest.raises(KeyError):
            here.server.topics["a"]


# Who is left out


async def test_exclude() -> None:
    async with room(2) as here:
        await here.subscribe("news")
        one, other = here.websockets
        here.server.publish("news", "not for one", exclude=one)
        here.server.publish("news", "not for the other", exclude=other)
        here.server.publish("news", "for both")
        await asyncio.sleep(0)
        here.server.publish("news", "not for one", exclude=one)
        one.unsubscribe("news")
        here.server.publish("news", "not for one", exclude=one)
        assert await read_payloads(here.peers[0], 2) == [b"not for the other", b"for both"]
        assert await read_payloads(here.peers[1], 4) == [
            b"not for one",
            b"for both",
            b"not for one",
            b"not for one",
        ]


async def test_unsubscribing_before_it_goes_out_does_not_take_it_back() -> None:
    async with room(2) as here:
        await here.subscribe("news")
        here.server.publish("news", "before")
        here.websockets[0].unsubscribe("news")
        here.server.publish("news", "after")
        assert await read_payloads(here.peers[1], 2) == [b"before", b"after"]
        await here.websockets[0].send("next")
        assert await read_payloads(here.peers[0], 2) == [b"before", b"next"]


async def test_a_connection_that_is_gone_leaves_nothing() -> None:
    gone: list[tuple[WebSocket, str]] = []
    topic = Topic("*", on_unsubscribe=lambda ws, name: gone.append((ws, name)))
    async with room(2, topics=[topic]) as here:
        one, other = here.websockets
        for name in "ab":
            one.subscribe(name)
        other.subscribe("b")
        here.server.publish("a", "text", exclude=one)
        here.peers[0].reset()
        await until(lambda: len(gone) == 2)
        assert gone == [(one, "a"), (one, "b")]
        assert one.topics == frozenset()
        assert dict(here.server.topics) == {"b": {other}}
        here.server.publish("b", "text")
        assert await read_payloads(here.peers[1], 1) == [b"text"]


# Members


async def test_members() -> None:
    def wrap(publication: Publication) -> str:
        return f"{publication.kind.name} {publication.message!r}"

    async with room(3, topics=[Topic("room", presence=True, wrap=wrap)]) as here:
        one, other, third = here.websockets
        await one.subscribe("room", member="One")
        await other.subscribe("room", member="Other €")
        await third.subscribe("room")
        assert await here.server.members("room") == {one.id.hex: "One", other.id.hex: "Other €"}
        here.server.publish("room", "hello")
        one.unsubscribe("room")
        here.peers[1].reset()
        assert await read_payloads(here.peers[2], 3) == [
            b"MESSAGE 'hello'",
            b"LEAVE 'One'",
            "LEAVE 'Other €'".encode(),
        ]
        assert await read_payloads(here.peers[0], 3) == [
            b"JOIN 'One'",
            "JOIN 'Other €'".encode(),
            b"MESSAGE 'hello'",
        ]
        assert await here.server.members("room") == {}
        assert await here.server.members("nowhere") == {}


async def test_without_wrap_joins_and_leaves_are_not_sent() -> None:
    assert list(Kind) == [0, 1, 2]
    async with room(2, topics=[Topic("room", presence=True)]) as here:
        await here.subscribe("room", member="name")
        here.websockets[0].unsubscribe("room")
        here.server.publish("room", "text")
        assert await read_payloads(here.peers[1], 1) == [b"text"]


# Numbers, and what is left


async def test_the_numbers() -> None:
    async with room(2, topics=[Topic("news", history=5)]) as here:
        await here.subscribe("news")
        here.websockets[0].subscribe("other")
        for name in ("news", "other", "nobody"):
            await here.server.publish(name, "text")
        stats = here.server.stats().topics
        assert stats._asdict() == {
            "topics": 2,
            "subscriptions": 3,
            "is_broker_up": True,
            "published": 3,
            "received": 2,
            "dropped": 0,
            "closed": 0,
            "duplicates": 0,
            "gaps": 0,
            "refused": 0,
        }


@pytest.mark.parametrize("options", [{}, {"member": "name"}], ids=repr)
async def test_subscribing_and_unsubscribing_leaves_nothing(options: Any) -> None:
    topics = [Topic("*", history=2, presence=True)]
    async with room(2, topics=topics) as here:
        ws, other = here.websockets
        await other.subscribe("kept")

        async def cycle(count: int) -> None:
            for each in range(count):
                name = "kept" if each % 2 else f"topic {each}"
                await ws.subscribe(name, **options)
                here.server.publish("kept", "text", exclude=ws)
                ws.unsubscribe(name)
                if not each % 16:
                    await asyncio.sleep(0)

        reading = asyncio.create_task(here.peers[1].read_eof())
        await cycle(1000)
        gc.collect()
        before = len(gc.get_objects())
        tracemalloc.start()
        try:
            await cycle(3000)
            gc.collect()
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(gc.get_objects()) < before + 500
        reading.cancel()
        await asyncio.wait([reading])
        received = len(here.peers[1]._buffer)
        assert size < 100_000 + received


async def test_closing_the_server_with_subscribers() -> None:
    async with room(2, topics=[Topic("news", history=5)]) as here:
        await here.subscribe("news")
        here.server.publish("news", "last")
        here.server.close()
        for peer in here.peers:
            found, close = await read_to_close(peer)
            assert found in ([b"last"], [])
            assert close.close_code == 1001
            await peer.send(frame(CLOSE, close.payload))
            peer.finish()
        await here.server.wait_closed()
        assert len(here.server.topics) == 0
