"""`autobahn`: client."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from .base import Closed, Message, Security

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # about what it imports
    from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol
    from autobahn.websocket.compress import (
        PerMessageDeflateOffer,
        PerMessageDeflateResponseAccept,
    )


class AutobahnPeer(WebSocketClientProtocol):
    def __init__(self) -> None:
        super().__init__()
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.received: asyncio.Queue[Message | Closed] = asyncio.Queue()
        self.pongs: asyncio.Queue[bytes] = asyncio.Queue()

    # What autobahn calls.

    def onConnect(self, response: Any) -> None:
        self.subprotocol = response.protocol

    def onOpen(self) -> None:
        self.opened.set_result(None)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.received.put_nowait(bytes(payload) if isBinary else payload.decode())

    def onPong(self, payload: bytes) -> None:
        self.pongs.put_nowait(payload)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        seen = (self.remoteCloseCode or 1005, self.remoteCloseReason or "")
        self.received.put_nowait(Closed(*(seen if wasClean else (1006, ""))))

    # What tests call.

    async def send(self, message: Message) -> None:
        is_binary = isinstance(message, bytes)
        self.sendMessage(message if is_binary else message.encode(), is_binary)

    async def send_fragments(self, fragments: Sequence[Message]) -> None:
        is_binary = isinstance(fragments[0], bytes)
        self.beginMessage(is_binary)
        for fragment in fragments:
            self.sendMessageFrame(fragment if is_binary else fragment.encode())
        self.endMessage()

    async def recv(self) -> Message:
        event = await self.received.get()
        if isinstance(event, Closed):
            raise event
        return event

    async def ping(self, payload: bytes) -> None:
        self.sendPing(payload)
        assert await self.pongs.get() == payload

    async def close(self, code: int, reason: str) -> int:
        self.sendClose(code, reason)
        event = await self.received.get()
        assert isinstance(event, Closed)
        return event.seen[0]

    def abort(self) -> None:
        self.transport.abort()


@asynccontextmanager
async def connect_autobahn(
    uri: str, security: Security, *, subprotocols: Iterable[str] = ()
) -> AsyncIterator[AutobahnPeer]:
    loop = asyncio.get_running_loop()
    factory = WebSocketClientFactory(uri, protocols=list(subprotocols), loop=loop)
    factory.protocol = AutobahnPeer
    factory.setProtocolOptions(
        perMessageCompressionOffers=[PerMessageDeflateOffer()],
        perMessageCompressionAccept=PerMessageDeflateResponseAccept,
    )
    transport, peer = await loop.create_connection(
        factory, "127.0.0.1", urlsplit(uri).port, ssl=security.client
    )
    try:
        await peer.opened
        yield peer
    finally:
        transport.abort()
