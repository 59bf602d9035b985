"""Connections whose peers do not read."""

from __future__ import annotations

import asyncio
from typing import Any

from raw_peer import RawPeer
from room import Room, read_payloads

from wsproto_async import WebSocket

SMALL: Any = {"small": True, "write_limit": 2**15}
MESSAGE = 1000  # bytes of a message to somebody slow


async def fill(here: Room, ws: WebSocket, size: int = 2**18) -> None:
    """Let more wait for a connection than its peer takes, so that what follows waits as well."""
    await ws.send(bytes(size))
    assert ws._protocol.sender.is_held_up()


async def skip(peer: RawPeer, size: int = 2**18) -> None:
    assert await read_payloads(peer, 1) == [bytes(size)]


def payload(number: int, size: int = MESSAGE) -> bytes:
    return b"%d" % number + bytes(size)


def number(payload: bytes) -> int:
    return int(payload.split(b"\0")[0])


async def publish_slowly(here: Room, count: int, **options: Any) -> None:
    """Publish more than is allowed to wait for who does not read."""
    for each in range(count):
        here.server.publish("news", payload(each), **options)
        await asyncio.sleep(0)
