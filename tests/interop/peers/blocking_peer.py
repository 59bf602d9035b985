"""`websocket-client`, whose calls block: each in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager

import websocket
from websocket import ABNF

from .base import Closed, Message, Security

TIMEOUT = 20


class BlockingPeer:
    def __init__(self, ws: websocket.WebSocket) -> None:
        self.ws = ws
        self.subprotocol = ws.getsubprotocol()

    async def send(self, message: Message) -> None:
        send = self.ws.send if isinstance(message, str) else self.ws.send_binary
        await asyncio.to_thread(send, message)

    async def send_fragments(self, fragments: Sequence[Message]) -> None:
        opcode = ABNF.OPCODE_TEXT if isinstance(fragments[0], str) else ABNF.OPCODE_BINARY
        for index, fragment in enumerate(fragments):
            data = fragment.encode() if isinstance(fragment, str) else fragment
            frame = ABNF.create_frame(data, opcode, fin=int(index == len(fragments) - 1))
            await asyncio.to_thread(self.ws.send_frame, frame)
            opcode = ABNF.OPCODE_CONT

    async def _recv_event(self) -> tuple[int, bytes]:
        try:
            return await asyncio.to_thread(self.ws.recv_data, True)
        except (websocket.WebSocketException, OSError) as exc:
            raise Closed(1006, "") from exc

    async def recv(self) -> Message:
        while True:
            opcode, payload = await self._recv_event()
            if opcode == ABNF.OPCODE_TEXT:
                return payload.decode()
            if opcode == ABNF.OPCODE_BINARY:
                return bytes(payload)
            if opcode == ABNF.OPCODE_CLOSE:
                self.ws.shutdown()  # it has answered, and leaves the rest to its user
                raise Closed(int.from_bytes(payload[:2], "big") or 1005, payload[2:].decode())

    async def ping(self, payload: bytes) -> None:
        await asyncio.to_thread(self.ws.ping, payload)
        assert await self._recv_event() == (ABNF.OPCODE_PONG, payload)

    async def close(self, code: int, reason: str) -> int:
        await asyncio.to_thread(self.ws.send_close, code, reason.encode())
        try:
            raise AssertionError(f"no Close frame, but {await self.recv()!r}")
        except Closed as exc:
            return exc.seen[0]

    def abort(self) -> None:
        self.ws.shutdown()


@asynccontextmanager
async def connect_blocking(
    uri: str, security: Security, *, subprotocols: Iterable[str] = ()
) -> AsyncIterator[BlockingPeer]:
    ws = await asyncio.to_thread(
        websocket.create_connection,
        uri,
        timeout=TIMEOUT,
        sslopt={"context": security.client} if security.client else {},
        subprotocols=list(subprotocols) or None,
        http_no_proxy=["*"],
    )
    try:
        yield BlockingPeer(ws)
    finally:
        ws.shutdown()
