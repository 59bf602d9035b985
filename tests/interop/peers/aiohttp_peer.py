"""`aiohttp`: client and server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import WSMsgType, web

from .base import REFUSAL, Closed, Handler, Message, Security


class AiohttpPeer:
    def __init__(
        self,
        ws: aiohttp.ClientWebSocketResponse | web.WebSocketResponse,
        transport: asyncio.Transport,
        headers: Mapping,
        subprotocol: str | None,
    ) -> None:
        self.ws = ws
        self.transport = transport
        self.headers = headers
        self.subprotocol = subprotocol

    async def send(self, message: Message) -> None:
        if isinstance(message, str):
            await self.ws.send_str(message)
        else:
            await self.ws.send_bytes(message)

    async def recv(self) -> Message:
        while True:
            event = await self.ws.receive()
            if event.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                return event.data
            if event.type is WSMsgType.PING:
                await self.ws.pong(event.data)
            elif event.type is WSMsgType.CLOSE:
                # aiohttp answers 1000 whatever it got, unless autoclose is off.
                await self.ws.close(code=event.data or 1000, message=event.extra.encode())
                raise Closed(event.data or 1005, event.extra)
            elif event.type is not WSMsgType.PONG:
                raise Closed(1006, "")

    async def ping(self, payload: bytes) -> None:
        await self.ws.ping(payload)
        event = await self.ws.receive()
        assert (event.type, event.data) == (WSMsgType.PONG, payload)

    async def close(self, code: int, reason: str) -> int:
        await self.ws.close(code=code, message=reason.encode())
        return self.ws.close_code

    def abort(self) -> None:
        self.transport.abort()


@asynccontextmanager
async def connect_aiohttp(
    uri: str,
    security: Security,
    *,
    subprotocols: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[AiohttpPeer]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            uri,
            ssl=security.client or True,
            protocols=subprotocols,
            headers=headers,
            autoping=False,
            autoclose=False,
            compress=15,
        ) as ws,
    ):
        response = ws._response  # not public, but there is no other way to the 101 or to TCP
        yield AiohttpPeer(ws, response.connection.transport, response.headers, ws.protocol)


@asynccontextmanager
async def serve_aiohttp(
    handler: Handler,
    security: Security,
    *,
    subprotocols: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
    max_size: int = 2**20,
) -> AsyncIterator[int]:
    async def adapter(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(
            protocols=subprotocols, autoping=False, autoclose=False, max_msg_size=max_size
        )
        ws.headers.update(headers or {})
        await ws.prepare(request)
        await handler(AiohttpPeer(ws, request.transport, request.headers, ws.ws_protocol))
        await ws.close()
        return ws

    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=403, text=REFUSAL)

    app = web.Application()
    app.router.add_get("/refused", refuse)
    app.router.add_get("/{path:.*}", adapter)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=security.server)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
