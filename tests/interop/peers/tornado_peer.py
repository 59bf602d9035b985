"""`tornado`: client and server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import tornado.httpclient
import tornado.httpserver
import tornado.web
import tornado.websocket

from .base import Closed, Handler, Message, Security


class TornadoPeer:
    """Both sides: a connection of the client has the methods that a server's handler has."""

    def __init__(self, ws: Any) -> None:
        self.ws = ws
        self.subprotocol = ws.selected_subprotocol
        self.received: asyncio.Queue[Message | None] = asyncio.Queue()  # None at the end
        self.pongs: asyncio.Queue[bytes] = asyncio.Queue()

    async def send(self, message: Message) -> None:
        await self.ws.write_message(message, binary=isinstance(message, bytes))

    async def recv(self) -> Message:
        message = await self.received.get()
        if message is None:
            raise Closed(self.ws.close_code or 1006, self.ws.close_reason or "")
        return message

    async def ping(self, payload: bytes) -> None:
        self.ws.ping(payload)
        assert await self.pongs.get() == payload

    async def close(self, code: int, reason: str) -> int:
        self.ws.close(code, reason)
        assert await self.received.get() is None
        return self.ws.close_code

    def abort(self) -> None:
        # Neither side has a public way.
        connection = getattr(self.ws, "protocol", None) or self.ws.ws_connection
        connection.stream.close()


@asynccontextmanager
async def connect_tornado(
    uri: str, security: Security, *, subprotocols: Iterable[str] = ()
) -> AsyncIterator[TornadoPeer]:
    ws = await tornado.websocket.websocket_connect(
        tornado.httpclient.HTTPRequest(uri, ssl_options=security.client),
        subprotocols=list(subprotocols) or None,
        compression_options={},
        on_message_callback=lambda message: peer.received.put_nowait(message),
    )
    peer = TornadoPeer(ws)
    ws.on_pong = peer.pongs.put_nowait
    try:
        yield peer
    finally:
        ws.close()


@asynccontextmanager
async def serve_tornado(
    handler: Handler, security: Security, *, subprotocols: Iterable[str] = ()
) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()
    supported = list(subprotocols)

    class PeerHandler(tornado.websocket.WebSocketHandler):
        def select_subprotocol(self, offered: list[str]) -> str | None:
            return next((name for name in supported if name in offered), None)

        def get_compression_options(self) -> dict[str, Any]:
            return {}

        def open(self, *args: str, **kwargs: str) -> None:
            self.peer = TornadoPeer(self)
            tasks.add(asyncio.ensure_future(self.run()))

        async def run(self) -> None:
            await handler(self.peer)
            self.close(1000)

        def on_message(self, message: Message) -> None:
            self.peer.received.put_nowait(message)

        def on_pong(self, data: bytes) -> None:
            self.peer.pongs.put_nowait(data)

        def on_close(self) -> None:
            self.peer.received.put_nowait(None)

    application = tornado.web.Application([("/.*", PeerHandler)], log_function=lambda _: None)
    server = tornado.httpserver.HTTPServer(application, ssl_options=security.server)
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    server.add_socket(sock)
    try:
        yield sock.getsockname()[1]
    finally:
        server.stop()
        await asyncio.gather(*tasks)
        await server.close_all_connections()
