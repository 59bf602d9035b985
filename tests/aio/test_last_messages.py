"""Who comes to a topic with a history may have its last messages."""

from __future__ import annotations

import asyncio

import pytest

from wsproto_async import (
    InvalidState,
    Position,
    Server,
    Subscription,
    Topic,
    WebSocket,
    connect,
    serve,
)

OTHER_EPOCH = Position("0", 1)


async def enter(
    server: Server, since: Position | str | None, last: int, count: int
) -> tuple[Subscription, list[str | bytes]]:
    """Return what a new connection's subscription has come to, and the first messages it gets."""
    done: asyncio.Future[Subscription] = asyncio.get_running_loop().create_future()
    calls.append((since, last, done))
    async with connect(f"ws://127.0.0.1:{server.port}/") as ws, asyncio.timeout(10):
        subscription = await done
        return subscription, [await ws.recv() for _ in range(count)]


calls: list[tuple[Position | str | None, int, asyncio.Future[Subscription]]] = []


async def handler(ws: WebSocket) -> None:
    since, last, done = calls.pop()
    try:
        done.set_result(await ws.subscribe("news", since=since, last=last))
    except Exception as exc:
        done.set_exception(exc)
    await ws.wait_closed()


async def publish(server: Server, *messages: str) -> Position:
    for message in messages:
        position = await server.publish("news", message)
    assert position is not None
    return position


async def test_the_last_ones_are_sent() -> None:
    async with serve(handler, 0, topics=[Topic("news", history=10)]) as server:
        position = await publish(server, "1", "2", "3")
        assert await enter(server, None, 2, 2) == (("news", position, None), ["2", "3"])
        assert await enter(server, None, 9, 3) == (("news", position, None), ["1", "2", "3"])


async def test_what_comes_meanwhile_is_sent_once() -> None:
    def say_more(ws: WebSocket, topic: str) -> None:
        assert ws.server is not None
        ws.server.publish(topic, "3")

    topic = Topic("news", history=10, on_subscribe=say_more)
    async with serve(handler, 0, topics=[topic]) as server:
        await publish(server, "1", "2")
        subscription, messages = await enter(server, None, 3, 3)
        assert messages == ["1", "2", "3"]
        assert subscription.position is not None
        assert subscription.position.offset == 3


async def test_no_more_are_sent_than_are_kept() -> None:
    async with serve(handler, 0, topics=[Topic("news", history=2)]) as server:
        position = await publish(server, "1", "2", "3")
        subscription, messages = await enter(server, None, 4, 2)
        assert (subscription.position, messages) == (position, ["2", "3"])


async def test_who_knows_a_position_gets_what_came_after_it() -> None:
    async with serve(handler, 0, topics=[Topic("news", history=10)]) as server:
        since = await publish(server, "1", "2")
        await publish(server, "3")
        subscription, messages = await enter(server, since, 3, 1)
        assert (subscription.recovered, messages) == (True, ["3"])


async def test_instead_of_what_is_not_kept_the_last_ones_are_sent() -> None:
    async with serve(handler, 0, topics=[Topic("news", history=2)]) as server:
        since = await publish(server, "1")
        await publish(server, "2", "3", "4")
        for known in (since, OTHER_EPOCH):
            subscription, messages = await enter(server, known, 1, 1)
            assert (subscription.recovered, messages) == (False, ["4"])


async def test_a_topic_without_history_has_none() -> None:
    async with serve(handler, 0) as server:
        with pytest.raises(InvalidState):
            await enter(server, None, 1, 0)


async def test_a_negative_number_is_none() -> None:
    async with serve(handler, 0, topics=[Topic("news", history=2)]) as server:
        with pytest.raises(ValueError, match="last"):
            await enter(server, None, -1, 0)


async def test_since_may_be_what_a_client_says() -> None:
    async with serve(handler, 0, topics=[Topic("news", history=10)]) as server:
        position = await publish(server, "1", "2", "3")
        said = f"{position.epoch}:2"
        assert await enter(server, said, 0, 1) == (("news", position, True), ["3"])
        for wrong in ("", "nonsense", f"{position.epoch}:-1", "\ud800"):
            assert await enter(server, wrong, 1, 1) == (("news", position, False), ["3"])
