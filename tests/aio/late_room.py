"""A room whose broker is elsewhere, and what tests of it need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from late_broker import READ, SUBSCRIBE, LateBroker
from raw_peer import RawPeer
from room import Room, read_payloads, room

from wsproto_async import Subscription, Topic, WebSocket


@asynccontextmanager
async def late_room(
    broker: LateBroker, count: int = 1, **topic: Any
) -> AsyncIterator[tuple[Room, list[str]]]:
    """A room whose topic has a history of 10 messages; and where gaps are told."""
    gaps: list[str] = []

    def on_gap(websockets: frozenset[WebSocket], topic: str) -> None:
        assert websockets == here.server.topics[topic]
        gaps.append(topic)

    news = Topic("news", **{"history": 10, "on_gap": on_gap, **topic})
    async with room(count, broker=broker, topics=[news]) as here:
        yield here, gaps


def start(awaitable: Awaitable[Subscription]) -> asyncio.Future[Subscription]:
    return asyncio.ensure_future(awaitable)


async def turn() -> None:
    """Let happen what does not depend on anybody else."""
    for _ in range(10):
        await asyncio.sleep(0)


async def opened(here: Room, broker: LateBroker) -> None:
    """Let everybody subscribe to the topic."""
    for ws in here.websockets:
        subscribing = start(ws.subscribe("news"))
        if any(call.name == SUBSCRIBE for call in broker.calls):
            broker.answer(SUBSCRIBE)
            await turn()
            broker.answer(READ)
        await subscribing


async def received(peer: RawPeer, count: int) -> list[str]:
    return [payload.decode() for payload in await read_payloads(peer, count)]


def texts(*numbers: int) -> list[str]:
    return [str(number) for number in numbers]


def publish(broker: LateBroker, *numbers: int) -> None:
    for number in numbers:
        broker.publish_elsewhere(str(number))
