"""Receiving in each way there is, until a connection has ended."""

from __future__ import annotations

import asyncio

import pytest

from wsproto_async import ConnectionClosed, WebSocket

MIXED = "aé€😀"


async def closed_by(ws: WebSocket) -> ConnectionClosed:
    """The exception that recv() raises at the end."""
    async with asyncio.timeout(10):
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                await ws.recv()
    return caught.value


async def iterate(ws: WebSocket) -> None:
    async for _ in ws:
        pass


async def stream(ws: WebSocket) -> list[str | bytes]:
    return [piece async for piece in ws.recv_streaming()]
