"""Handlers, and what is seen of a server's connections from outside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from raw_peer import UPGRADE, RawPeer, close_frame, head, tcp_peer, until

from wsproto_async import Request, Server, WebSocket, serve


async def wait_for_the_end(ws: WebSocket) -> None:
    await ws.wait_closed()


async def receive(ws: WebSocket) -> None:
    async for _ in ws:
        pass


def uri(server: Server, path: str = "/") -> str:
    return f"ws://127.0.0.1:{server.port}{path}"


async def answer_close(peer: RawPeer) -> tuple[int, bytes]:
    """Answer the Close frame; its code and its reason."""
    close = await peer.read_close()
    await peer.send(close_frame(1000))
    assert await peer.read_eof() == b""
    peer.sock.close()
    return close.close_code, close.payload[2:]


def logged(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    """What the package logged at that level or above."""
    return [
        record.message
        for record in caplog.records
        if record.name.startswith("wsproto_async") and record.levelno >= level
    ]


@asynccontextmanager
async def waiting_in_a_hook(**options: Any) -> AsyncIterator[tuple[Server, RawPeer, list[str]]]:
    """A client whose request has arrived, and a hook that never returns."""
    steps: list[str] = []

    async def hook(ws: WebSocket, request: Request) -> None:
        steps.append("entered")
        try:
            await asyncio.Event().wait()
        finally:
            steps.append("left")

    async with (
        serve(receive, 0, process_request=hook, **options) as server,
        tcp_peer(server.port) as peer,
    ):
        await peer.send(head(*UPGRADE))
        await until(lambda: steps)
        yield server, peer, steps
