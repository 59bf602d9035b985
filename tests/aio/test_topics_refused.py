"""What is refused when somebody subscribes or publishes, through a server and real sockets."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from raw_peer import TEXT, frame, raw_peer
from room import read_payloads, room

from wsproto_async import (
    ConnectionClosed,
    InvalidState,
    Position,
    Topic,
    TopicRefused,
    WebSocket,
    connect,
    serve,
)


async def test_nobody_subscribes_twice() -> None:
    async with room(2) as here:
        await here.subscribe("news")
        with pytest.raises(TopicRefused, match="subscribed to news already"):
            here.websockets[0].subscribe("news")
        here.server.publish("news", "once")
        here.server.publish("news", "next")
        assert await read_payloads(here.peers[0], 2) == [b"once", b"next"]


async def test_one_connection_has_so_many_subscriptions() -> None:
    async with room(2, max_subscriptions=2) as here:
        ws, other = here.websockets
        ws.subscribe("a")
        ws.subscribe("b")
        with pytest.raises(TopicRefused, match="may have 2 subscriptions"):
            ws.subscribe("c")
        assert "c" not in here.server.topics
        ws.unsubscribe("a")
        ws.subscribe("c")
        other.subscribe("d")


async def test_a_process_has_so_many_topics() -> None:
    async with room(2, max_topics=2) as here:
        ws, other = here.websockets
        ws.subscribe("a")
        ws.subscribe("b")
        for each in (ws, other):
            with pytest.raises(TopicRefused, match="may have 2 topics"):
                each.subscribe("c")
        assert other.topics == frozenset()
        other.subscribe("a")
        ws.unsubscribe("b")
        other.subscribe("c")
        assert set(here.server.topics) == {"a", "c"}


@pytest.mark.parametrize("is_group", [False, True])
@pytest.mark.parametrize(
    "wishes",
    [[""], ["*"], ["a" * 2**19], ["a", "a"], ["a", "b", "c"], ["\ud800"], ["a", "b" * 256]],
    ids=lambda wishes: f"{len(wishes)} of {len(wishes[-1])}",
)
async def test_what_peers_want_of_topics_closes_with_1008(
    wishes: list[str], is_group: bool
) -> None:
    """N24, and it is no failure of the handler's: that would be an error in the log."""

    async def handler(ws: WebSocket) -> None:
        async def subscribe() -> None:
            async for message in ws:
                topic, member = json.loads(message)
                await ws.subscribe(topic, member=member)

        if not is_group:
            await subscribe()
        async with asyncio.TaskGroup() as group:
            group.create_task(subscribe())

    async with (
        serve(handler, 0, topics=[Topic("*", presence=True)], max_subscriptions=2) as server,
        raw_peer(server.port) as peer,
    ):
        for wish in wishes:
            is_member = len(wish) == 256
            topic, member = ("room", wish) if is_member else (wish, "Ann")
            await peer.send(frame(TEXT, json.dumps([topic, member]).encode()))
        close = await peer.read_close()
        assert close.payload == b"\x03\xf0topic refused"


@pytest.mark.parametrize("name", ["", "*", "a" * 256, "a\n", None, 1], ids=repr)
async def test_what_names_no_topic(name: Any) -> None:
    async with room(1) as here:
        with pytest.raises((TopicRefused, TypeError)):
            here.websockets[0].subscribe(name)
        with pytest.raises((TopicRefused, TypeError)):
            here.server.publish(name, "nothing")
        with pytest.raises((ValueError, TypeError)):
            here.server.members(name)
        here.websockets[0].unsubscribe(name)
        assert len(here.server.topics) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"message": None},
        {"message": ["fragments"]},
        {"message": "\ud800"},
        {"message": b"\xff", "text": True},
        {"message": bytes(2**24 + 1)},
        {"slow": "fast"},
        {"key": "a" * 256},
        {"key": 1},
        {"idempotency_key": "ü" * 128},
        {"idempotency_key": None},
    ],
    ids=lambda options: ",".join(options),
)
async def test_what_cannot_be_published_raises_at_once(options: Any) -> None:
    async with room(1) as here:
        await here.subscribe("news")
        with pytest.raises((ValueError, TypeError)):
            here.server.publish("news", **{"message": "text", **options})
        here.server.publish("news", "next")
        assert await read_payloads(here.peers[0], 1) == [b"next"]
        assert here.server.stats().topics.published == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"since": Position("a", 1)}, InvalidState),
        ({"since": 1}, TypeError),
        ({"member": "name"}, InvalidState),
        ({"member": 5}, TypeError),
        ({"member": "a" * 256}, ValueError),
        ({"member": "\ud800"}, ValueError),
    ],
    ids=repr,
)
async def test_what_is_refused_leaves_nothing(options: Any, error: type[Exception]) -> None:
    async with room(1) as here:
        with pytest.raises(error):
            here.websockets[0].subscribe("news", **options)
        assert here.websockets[0].topics == frozenset()
        assert here.server.stats().topics[:2] == (0, 0)


async def test_a_client_has_no_topics() -> None:
    async with room(0) as here, connect(f"ws://127.0.0.1:{here.server.port}/") as ws:
        with pytest.raises(InvalidState, match="of serve: a client has none, nor has uvicorn"):
            ws.subscribe("news")
        with pytest.raises(InvalidState):
            ws.unsubscribe("news")
        assert ws.topics == frozenset()


async def test_a_connection_that_is_closing_does_not_subscribe() -> None:
    async with room(2) as here:
        closing = asyncio.create_task(here.websockets[0].close())
        await asyncio.sleep(0)
        here.websockets[1].abort()
        for ws in here.websockets:
            with pytest.raises(ConnectionClosed):
                ws.subscribe("news")
            ws.unsubscribe("news")
        assert len(here.server.topics) == 0
        closing.cancel()


async def test_from_another_thread_it_raises() -> None:
    async with room(1) as here:
        errors: list[BaseException] = []

        def run() -> None:
            for call in (
                lambda: here.server.publish("news", "text"),
                lambda: here.websockets[0].subscribe("news"),
                lambda: here.websockets[0].unsubscribe("news"),
            ):
                try:
                    call()
                except RuntimeError as exc:
                    errors.append(exc)

        thread = threading.Thread(target=run)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert len(errors) == 3


@pytest.mark.parametrize("options", [{"topics": ["news"]}, {"broker": 5}, {"max_topics": -1}])
async def test_what_serve_refuses_at_once(options: Any) -> None:
    async def handler(ws: WebSocket) -> None: ...

    with pytest.raises((TypeError, ValueError)):
        serve(handler, 0, **options)
