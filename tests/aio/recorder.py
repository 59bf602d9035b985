"""A transport that tells what it was given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from raw_peer import RawPeer, tcp_peer

from wsproto_async import WebSocket, serve


class Recorder:
    """A transport that notes what frames are written to the real one, and hides its socket."""

    def __init__(self, transport: asyncio.Transport, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/"):
            self._writes.append(data)
        self._transport.write(data)

    def writelines(self, pieces: list[bytes]) -> None:
        self._writes.append(b"".join(pieces))
        self._transport.writelines(pieces)

    def get_extra_info(self, name: str) -> Any:
        return None if name == "socket" else self._transport.get_extra_info(name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Tap:
    """A protocol that puts a recorder between the real transport and the real protocol."""

    def __init__(self, protocol: asyncio.Protocol, writes: list[bytes]) -> None:
        self._protocol = protocol
        self._writes = writes

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._protocol.connection_made(Recorder(transport, self._writes))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)


@asynccontextmanager
async def recorded(
    handler: Callable[[WebSocket, list[bytes]], Awaitable[None]],
) -> AsyncIterator[tuple[RawPeer, list[bytes]]]:
    """A client's socket, and what its server's transport is given after the handshake."""
    writes: list[bytes] = []
    loop = asyncio.get_running_loop()
    async with serve(lambda ws: handler(ws, writes), 0) as server:
        listener = await loop.create_server(
            lambda: Tap(server.make_protocol(), writes), "127.0.0.1", 0
        )
        try:
            async with tcp_peer(listener.sockets[0].getsockname()[1]) as peer:
                await peer.upgrade()
                yield peer, writes
        finally:
            listener.close()
