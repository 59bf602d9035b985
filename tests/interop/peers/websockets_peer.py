"""`websockets`: client and server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

import websockets

from .base import REFUSAL, Closed, Handler, Message, Security


class WebsocketsPeer:
    def __init__(
        self, ws: websockets.ClientConnection | websockets.ServerConnection, headers: Mapping
    ) -> None:
        self.ws = ws
        self.headers = headers
        self.subprotocol = ws.subprotocol

    async def send(self, message: Message) -> None:
        await self.ws.send(message)

    async def send_fragments(self, fragments: Sequence[Message]) -> None:
        await self.ws.send(fragments)

    async def recv(self) -> Message:
        try:
            return await self.ws.recv()
        except websockets.ConnectionClosed as exc:
            await self.ws.wait_closed()  # before that the code is None
            raise Closed(self.ws.close_code, self.ws.close_reason) from exc

    async def ping(self, payload: bytes) -> None:
        await (await self.ws.ping(payload))

    async def close(self, code: int, reason: str) -> int:
        await self.ws.close(code, reason)
        return self.ws.close_code

    def abort(self) -> None:
        self.ws.transport.abort()


@asynccontextmanager
async def connect_websockets(
    uri: str,
    security: Security,
    *,
    subprotocols: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[WebsocketsPeer]:
    ws = await websockets.connect(
        uri,
        ssl=security.client,
        subprotocols=list(subprotocols) or None,
        additional_headers=headers,
        proxy=None,
    )
    try:
        yield WebsocketsPeer(ws, ws.response.headers)
    finally:
        # close() after the end may abort a transport that asyncio has let go of: AttributeError.
        if ws.state is not websockets.State.CLOSED:
            await ws.close()
        await ws.wait_closed()


@asynccontextmanager
async def serve_websockets(
    handler: Handler,
    security: Security,
    *,
    subprotocols: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
    max_size: int = 2**20,
) -> AsyncIterator[int]:
    async def adapter(ws: websockets.ServerConnection) -> None:
        await handler(WebsocketsPeer(ws, ws.request.headers))

    def refuse(
        ws: websockets.ServerConnection, request: websockets.Request
    ) -> websockets.Response | None:
        return ws.respond(403, REFUSAL) if request.path == "/refused" else None

    def add_headers(ws: object, request: object, response: websockets.Response) -> None:
        response.headers.update(headers or {})

    async with websockets.serve(
        adapter,
        "127.0.0.1",
        0,
        ssl=security.server,
        subprotocols=list(subprotocols) or None,
        process_request=refuse,
        process_response=add_headers,
        max_size=max_size,
    ) as server:
        yield server.sockets[0].getsockname()[1]
