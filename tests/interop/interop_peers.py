"""One face for the WebSocket clients and servers of `websockets` and `aiohttp`.

Tests know only `Peer`; what a library calls things, and where it bends the close code, stays here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import NamedTuple, Protocol

import aiohttp
import websockets
from aiohttp import WSMsgType, web

Message = str | bytes

# Every place where the length field of a frame changes its form, and a message of several reads.
SIZES = (0, 1, 125, 126, 127, 65_535, 65_536, 100_000)

# The longest reason that a Close frame can hold: 123 bytes, of which 3 are one character.
LONGEST_REASON = "r" * 120 + "€"

CLOSES = (
    (1000, ""),
    (1000, "done"),
    (1001, "going away"),
    (1008, "policy"),
    (1011, "oops"),
    (3000, "registered"),
    (4999, LONGEST_REASON),
)


# The body of the 403 that every server here answers on the path /refused.
REFUSAL = "members only\n"


class Closed(Exception):
    """What a peer saw of the end of its connection; 1006 if there was no Close frame."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.seen = (code, reason)


class Security(NamedTuple):
    """The TLS contexts of a link, both None over plain TCP."""

    server: SSLContext | None
    client: SSLContext | None

    def uri(self, port: int, path: str = "/", *, scheme: str = "ws") -> str:
        return f"{scheme}{'s' if self.server else ''}://127.0.0.1:{port}{path}"


class Peer(Protocol):
    subprotocol: str | None
    headers: Mapping[str, str]

    async def send(self, message: Message) -> None: ...
    async def recv(self) -> Message: ...
    async def ping(self, payload: bytes) -> None:
        """Send a ping and wait for the pong that carries the same payload."""

    async def close(self, code: int, reason: str) -> int:
        """Run the closing handshake; give the code that the other side answered."""

    def abort(self) -> None:
        """Cut the TCP connection off."""


Handler = Callable[[Peer], Awaitable[None]]


def text_of(size: int) -> str:
    """Text of exactly `size` bytes of UTF-8, with characters of 1 to 4 bytes."""
    whole, rest = divmod(size, len("aé€😀".encode()))
    return "aé€😀" * whole + "x" * rest


def binary_of(size: int) -> bytes:
    """`size` bytes, every value among them."""
    return bytes(range(256)) * (size // 256) + bytes(range(size % 256))


class WebsocketsPeer:
    def __init__(
        self, ws: websockets.ClientConnection | websockets.ServerConnection, headers: Mapping
    ) -> None:
        self.ws = ws
        self.headers = headers
        self.subprotocol = ws.subprotocol

    async def send(self, message: Message | Iterable | AsyncIterator) -> None:
        await self.ws.send(message)

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
async def connect_websockets(
    uri: str,
    *,
    ssl: SSLContext | None = None,
    subprotocols: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[WebsocketsPeer]:
    ws = await websockets.connect(
        uri,
        ssl=ssl,
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
async def connect_aiohttp(
    uri: str,
    *,
    ssl: SSLContext | None = None,
    subprotocols: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
) -> AsyncIterator[AiohttpPeer]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            uri,
            ssl=True if ssl is None else ssl,
            protocols=subprotocols,
            headers=headers,
            autoping=False,
            autoclose=False,
        ) as ws,
    ):
        response = ws._response  # not public, but there is no other way to the 101 or to TCP
        yield AiohttpPeer(ws, response.connection.transport, response.headers, ws.protocol)


@asynccontextmanager
async def serve_websockets(
    handler: Handler,
    *,
    ssl: SSLContext | None = None,
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
        ssl=ssl,
        subprotocols=list(subprotocols) or None,
        process_request=refuse,
        process_response=add_headers,
        max_size=max_size,
    ) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def serve_aiohttp(
    handler: Handler,
    *,
    ssl: SSLContext | None = None,
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
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=ssl)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


CLIENTS = {"websockets": connect_websockets, "aiohttp": connect_aiohttp}
SERVERS = {"websockets": serve_websockets, "aiohttp": serve_aiohttp}
