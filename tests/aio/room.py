"""Many connections to one server: their WebSockets, and the bare sockets at their other ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from raw_peer import CLOSE, PATIENCE, Frame, RawPeer, shrink, tcp_peer
from recorder import Tap

from wsproto_async import Server, WebSocket, serve


class Room(NamedTuple):
    """``writes`` are those of each connection, if they are recorded."""

    server: Server
    websockets: list[WebSocket]
    peers: list[RawPeer]
    writes: list[list[bytes]]

    async def subscribe(self, topic: str, **options: Any) -> None:
        """Let everybody subscribe."""
        for ws in self.websockets:
            await ws.subscribe(topic, **options)


@asynccontextmanager
async def room(
    count: int,
    *,
    small: bool = False,
    is_recorded: bool = False,
    offer: str = "",
    **options: Any,
) -> AsyncIterator[Room]:
    """Connect sockets, with ``small`` buffers in the kernel; ``offer`` is the extension's.

    Handlers await the end.
    """
    opened: asyncio.Queue[WebSocket] = asyncio.Queue()

    async def handler(ws: WebSocket) -> None:
        opened.put_nowait(ws)
        await ws.wait_closed()

    options = {"ping_interval": None, "close_timeout": 5, **options}
    sock = socket.socket()
    if small:
        shrink(sock)
    sock.bind(("127.0.0.1", 0))
    async with serve(handler, sock=sock, **options) as server, AsyncExitStack() as stack:
        found = Room(server, [], [], [])
        port = server.port
        if is_recorded:
            listener = await asyncio.get_running_loop().create_server(
                lambda: Tap(server.make_protocol(), found.writes[-1]), "127.0.0.1", 0
            )
            stack.callback(listener.close)
            port = listener.sockets[0].getsockname()[1]
        for _ in range(count):
            found.writes.append([])
            peer = await stack.enter_async_context(tcp_peer(port, small=small))
            await peer.upgrade(*([f"Sec-WebSocket-Extensions: {offer}"] if offer else []))
            found.peers.append(peer)
            found.websockets.append(await opened.get())
        try:
            yield found
        finally:
            for ws in found.websockets:
                ws.abort()


async def read(peer: RawPeer, count: int) -> list[Frame | None]:
    """Read some frames."""
    return [await peer.read_frame() for _ in range(count)]


async def read_payloads(peer: RawPeer, count: int) -> list[bytes]:
    """Read some data frames, and give what is in them."""
    payloads = []
    for frame in await read(peer, count):
        assert frame is not None
        assert frame.opcode < CLOSE, frame
        payloads.append(frame.payload)
    return payloads


async def read_to_close(peer: RawPeer) -> tuple[list[bytes], Frame]:
    """Read until the Close frame."""
    payloads = []
    while (frame := await peer.read_frame()) is not None:
        if frame.opcode == CLOSE:
            return payloads, frame
        payloads.append(frame.payload)
    raise EOFError("end of stream without a Close frame")


async def turns(done: Iterable[asyncio.Task[Any]]) -> int:
    """Count the turns of the loop until tasks are done."""
    tasks = list(done)
    count = 0
    async with asyncio.timeout(PATIENCE):
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            count += 1
    return count
