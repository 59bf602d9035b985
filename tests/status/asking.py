"""Asking a server's status as programs, pages and strangers do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from raw_peer import head, tcp_peer

from wsproto_async import Server, WebSocket, connect

TOKEN = "a-token-for-tests"
BEARER = f"Authorization: Bearer {TOKEN}"


class Answer(NamedTuple):
    status: int
    head: str
    body: bytes

    def header(self, name: str) -> str | None:
        for line in self.head.splitlines():
            found, _, value = line.partition(": ")
            if found.lower() == name.lower():
                return value
        return None


async def get(
    server: Server, path: str, *lines: str, method: str = "GET", host: str = "localhost"
) -> Answer:
    """Ask for a page."""
    async with tcp_peer(server.port) as peer:
        await peer.send(head(f"{method} {path} HTTP/1.1", f"Host: {host}", *lines))
        answer = (await peer.read_head()).decode()
        return Answer(int(answer[9:12]), answer, await peer.read_eof())


@asynccontextmanager
async def feed(
    server: Server, token: str = TOKEN, path: str = "/status", **options: Any
) -> AsyncIterator[WebSocket]:
    """Connect as the page does."""
    async with connect(f"ws://127.0.0.1:{server.port}{path}", **options) as ws:
        await ws.send(token)
        yield ws


async def numbers(ws: WebSocket) -> dict[str, Any]:
    """The next message of a feed, of which there is one worker."""
    (worker,) = json.loads(await ws.recv())["workers"]
    return worker


async def echo(ws: WebSocket) -> None:
    """A handler."""
    async for message in ws:
        await ws.send(message)
