"""`uvicorn`: server, with either of its WebSocket implementations, seen through ASGI."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from .base import Closed, Handler, Message, Security


class AsgiPeer:
    def __init__(self, receive: Any, send: Any, subprotocol: str | None) -> None:
        self._receive = receive
        self._send = send
        self.subprotocol = subprotocol

    async def send(self, message: Message) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        await self._send({"type": "websocket.send", kind: message})

    async def recv(self) -> Message:
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            raise Closed(event["code"], event.get("reason") or "")
        text = event.get("text")
        return event["bytes"] if text is None else text

    async def close(self, code: int, reason: str) -> int:
        await self._send({"type": "websocket.close", "code": code, "reason": reason})
        return code  # ASGI does not tell what was answered


@asynccontextmanager
async def serve_uvicorn(
    handler: Handler, security: Security, *, subprotocols: Iterable[str] = (), implementation: str
) -> AsyncIterator[int]:
    supported = list(subprotocols)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        chosen = next((name for name in supported if name in scope["subprotocols"]), None)
        await send({"type": "websocket.accept", "subprotocol": chosen})
        await handler(AsgiPeer(receive, send, chosen))

    config = uvicorn.Config(app, ws=implementation, lifespan="off", log_config=None)
    config.load()
    config.ssl = security.server  # else it reads files
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        running = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            yield sock.getsockname()[1]
        finally:
            # Its shutdown fails at a connection that has answered a Close frame and is not lost.
            while server.server_state.connections:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            server.should_exit = True
            await running
