"""What the callbacks of a topic are told, and may do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from raw_peer import BINARY, TEXT, Frame
from room import read, read_payloads, room
from slow_peers import SMALL, fill, number, publish_slowly, skip

from wsproto_async import InvalidState, Topic, WebSocket, broadcast
from wsproto_async.pubsub import Kind, Publication


@pytest.mark.logs_errors
@pytest.mark.parametrize("name", ["on_subscribe", "on_unsubscribe", "on_slow", "wrap"])
async def test_callbacks_that_raise_disturb_nobody(name: str) -> None:
    def callback(*args: object) -> None:
        calls.append(args)
        raise ZeroDivisionError

    calls: list[Any] = []
    topic: Any = Topic("news", slow="drop-newest", max_bytes=1000, **{name: callback})
    async with room(2, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        await here.subscribe("other")
        await fill(here, here.websockets[0])
        here.server.publish("news", "text")
        here.server.publish("other", "next")
        await skip(here.peers[0])
        expected = [b"next"] if name == "wrap" else [b"text", b"next"]
        assert await read_payloads(here.peers[1], len(expected)) == expected
        here.websockets[0].unsubscribe("news")
        assert calls
        assert set(here.server.topics) == {"news", "other"}


async def test_callbacks_are_called_after_it_is_done() -> None:
    seen: list[tuple[str, bool]] = []
    topic = Topic(
        "*",
        on_subscribe=lambda ws, name: seen.append((name, name in ws.topics)),
        on_unsubscribe=lambda ws, name: seen.append((name, name in ws.topics)),
    )
    async with room(1, topics=[topic]) as here:
        ws = here.websockets[0]
        await ws.subscribe("a")
        ws.unsubscribe("a")
        assert seen == [("a", True), ("a", False)]


@pytest.mark.parametrize("does", ["unsubscribe", "abort"])
async def test_whoever_is_told_of_an_end_sees_nothing_of_it_left(does: str) -> None:
    seen: list[tuple[str, list[int]]] = []

    def look(what: str) -> None:
        seen.append((what, [len(here.server.topics.get(name, ())) for name in ("a", "b")]))

    def wrap(publication: Publication) -> None:
        if publication.kind is Kind.LEAVE:
            look(f"{publication.topic} left")

    topic = Topic(
        "*", presence=True, wrap=wrap, on_unsubscribe=lambda ws, name: look(f"{name} unsubscribed")
    )
    async with room(2, topics=[topic]) as here:
        for ws in here.websockets:
            await ws.subscribe("a", member="name")
            await ws.subscribe("b", member="name")
        one, _ = here.websockets
        here.server.publish("a", "text", exclude=one)
        if does == "unsubscribe":
            one.unsubscribe("a")
            assert seen == [("a left", [1, 2]), ("a unsubscribed", [1, 2])]
        else:
            one.abort()
            await one.wait_closed()
            assert [what for what, _ in seen[:2]] == ["a left", "b left"]
            assert seen[2:] == [("a unsubscribed", [1, 1]), ("b unsubscribed", [1, 1])]
            assert here.server._topics._delivery._excluded == {}


async def test_who_is_told_of_a_join_may_end_it() -> None:
    def wrap(publication: Publication) -> None:
        here.websockets[0].unsubscribe("room")

    async with room(1, topics=[Topic("room", presence=True, wrap=wrap)]) as here:
        with pytest.raises(InvalidState, match="meanwhile"):
            here.websockets[0].subscribe("room", member="Ann")
        assert dict(here.server.topics) == {}
        assert await here.server.members("room") == {}


@pytest.mark.parametrize("does", ["unsubscribe", "abort", "close", "publish", "broadcast"])
async def test_who_is_told_of_the_slow_may_do_anything(does: str) -> None:
    tasks = []

    def on_slow(ws: WebSocket, name: str, what: str) -> None:
        if does == "unsubscribe":
            ws.unsubscribe(name)
        elif does == "abort":
            ws.abort()
        elif does == "close":
            tasks.append(asyncio.create_task(ws.close()))
        elif does == "publish" and len(tasks) < 3:
            tasks.append(asyncio.ensure_future(here.server.publish(name, "slow", exclude=ws)))
        elif does == "broadcast":
            broadcast(here.websockets, "slow")

    topic = Topic("news", slow="latest", max_bytes=2**18 + 3000, on_slow=on_slow)
    async with room(3, **SMALL, topics=[topic], close_timeout=0.1) as here:
        await here.subscribe("news")
        await fill(here, here.websockets[1])
        await publish_slowly(here, 5)
        for peer in (here.peers[0], here.peers[2]):
            found = []
            while len(found) < 5:
                (each,) = await read_payloads(peer, 1)
                found += [number(each)] if each != b"slow" else []
            assert found == list(range(5))
        assert here.server.stats().topics.dropped
        here.websockets[1].abort()
        if tasks:
            await asyncio.wait(tasks)


async def test_who_is_told_of_subscribers_may_do_anything() -> None:
    async with room(
        1,
        topics=[
            Topic("twice/*", on_subscribe=lambda ws, name: ws.subscribe("second")),
            Topic("never/*", on_subscribe=lambda ws, name: ws.unsubscribe(name)),
            Topic("hello/*", on_subscribe=lambda ws, name: here.server.publish(name, "hello")),
            Topic("bye/*", on_unsubscribe=lambda ws, name: here.server.publish("second", "bye")),
        ],
    ) as here:
        ws = here.websockets[0]
        await ws.subscribe("twice/1")
        await ws.subscribe("never/1")
        await ws.subscribe("hello/1")
        await ws.subscribe("bye/1")
        assert ws.topics == {"twice/1", "second", "hello/1", "bye/1"}
        assert await read_payloads(here.peers[0], 1) == [b"hello"]
        ws.unsubscribe("bye/1")
        assert await read_payloads(here.peers[0], 1) == [b"bye"]


async def test_wrap_is_called_once_for_all() -> None:
    wrapped: list[Publication] = []

    def wrap(publication: Publication) -> str | bytes | None:
        wrapped.append(publication)
        message = publication.message
        if isinstance(message, bytes):
            return message + b"!"
        return None if message == "nothing" else f"{publication.topic}: {message}"

    async with room(3, topics=[Topic("news", wrap=wrap)]) as here:
        await here.subscribe("news")
        for message in ("text", "nothing", b"binary"):
            here.server.publish("news", message)
        for peer in here.peers:
            assert await read(peer, 2) == [Frame(TEXT, b"news: text"), Frame(BINARY, b"binary!")]
        assert len(wrapped) == 3


async def test_the_first_pattern_that_matches_counts() -> None:
    def wrap(with_text: str) -> Any:
        return lambda publication: with_text

    topics = [Topic("a/b", wrap=wrap("one")), Topic("a/*", wrap=wrap("two")), Topic("*")]
    async with room(1, topics=topics) as here:
        for name in ("a/b", "a/c", "b"):
            here.websockets[0].subscribe(name)
            here.server.publish(name, "text")
        assert await read_payloads(here.peers[0], 3) == [b"one", b"two", b"text"]
