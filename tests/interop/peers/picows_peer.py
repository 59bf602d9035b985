"""`picows.websockets`: client and server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import picows.websockets

from .base import Closed, Handler, Message, Security


class PicowsPeer:
    def __init__(self, ws: Any) -> None:
        self.ws = ws
        self.subprotocol = ws.subprotocol

    async def send(self, message: Message) -> None:
        await self.ws.send(message)

    async def send_fragments(self, fragments: Sequence[Message]) -> None:
        await self.ws.send(fragments)

    async def recv(self) -> Message:
        try:
            return await self.ws.recv()
        except picows.websockets.ConnectionClosed as exc:
            await self.ws.wait_closed()
            raise Closed(self.ws.close_code or 1006, self.ws.close_reason or "") from exc

    async def ping(self, payload: bytes) -> None:
        await (await self.ws.ping(payload))

    async def close(self, code: int, reason: str) -> int:
        await self.ws.close(code, reason)
        return self.ws.close_code


@asynccontextmanager
async def connect_picows(
    uri: str, security: Security, *, subprotocols: Iterable[str] = ()
) -> AsyncIterator[PicowsPeer]:
    ws = await picows.websockets.connect(
        uri, ssl=security.client, subprotocols=list(subprotocols) or None, proxy=None
    )
    try:
        yield PicowsPeer(ws)
    finally:
        await ws.close()


@asynccontextmanager
async def serve_picows(
    handler: Handler, security: Security, *, subprotocols: Iterable[str] = ()
) -> AsyncIterator[int]:
    async def adapter(ws: Any) -> None:
        await handler(PicowsPeer(ws))

    async with picows.websockets.serve(
        adapter, "127.0.0.1", 0, ssl=security.server, subprotocols=list(subprotocols) or None
    ) as server:
        yield server.sockets[0].getsockname()[1]
