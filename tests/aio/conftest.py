"""Links: one WebSocket of ours and, at the other end, a bare socket that a test speaks through.

``link`` runs a test on both ends' code, the server's and the client's; ``server_link`` and
``client_link`` are for what only one of them does. All three are used the same way::

    async with link(close_timeout=0.2) as (ws, peer): ...
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any, NamedTuple

import pytest
import trustme
from raw_peer import CLOSE, PATIENCE, Frame, RawPeer, frame_header, masked, shrink, tcp_peer

from wsproto_async import WebSocket, connect, serve

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Peer(RawPeer):
    """The other end of a link: a client, which masks its frames, or a server, which does not."""

    def __init__(self, sock: socket.socket, *, is_client: bool) -> None:
        super().__init__(sock)
        self.is_client = is_client

    def frame(self, opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
        header = frame_header(opcode, len(payload), fin=fin, masked=self.is_client)
        return header + (masked(payload) if self.is_client else payload)

    def close_frame(self, code: int, reason: bytes = b"") -> bytes:
        return self.frame(CLOSE, code.to_bytes(2, "big") + reason)

    async def send_frame(self, opcode: int, payload: bytes = b"", *, fin: bool = True) -> None:
        await self.send(self.frame(opcode, payload, fin=fin))

    async def send_close(self, code: int = 1000, reason: bytes = b"") -> None:
        await self.send(self.close_frame(code, reason))

    async def read_frame(self) -> Frame | None:
        if self.is_client:
            return await super().read_frame()
        if not self._buffer and not await self._fill():
            return None
        first, second = await self.take(2)
        assert not first & 0x70, "reserved bits are set"
        assert second & 0x80, "client frame is not masked"
        length = second & 0x7F
        if length >= 126:
            length = int.from_bytes(await self.take(2 if length == 126 else 8), "big")
        key = await self.take(4)
        payload = masked(await self.take(length), key)[4:]
        return Frame(first & 0x0F, payload, bool(first & 0x80))

    async def frames(self) -> list[Frame]:
        """All frames until the Close frame, without it."""
        frames = []
        while (frame := await self.read_frame()) is not None and frame.opcode != CLOSE:
            frames.append(frame)
        return frames

    async def answer_close(self) -> Frame:
        """Read up to the Close frame, answer it, and end the stream as this end has to."""
        close = await self.read_close()
        await self.send_frame(CLOSE, close.payload)
        if self.is_client:
            assert await self.read_eof() == b""
        self.sock.close()
        return close

    async def accept(self, *lines: str, then: bytes = b"") -> str:
        """Be a server: read the request, answer 101 with those header lines; give the request."""
        request = (await self.read_head()).decode()
        await self.send(accepting(request, *lines) + then)
        return request


def accepting(request: str, *lines: str) -> bytes:
    """The 101 that answers a request."""
    key = re.search(r"Sec-WebSocket-Key: (.*)\r\n", request)[1]
    token = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
    head = (
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {token}",
        *lines,
    )
    return "".join(f"{line}\r\n" for line in (*head, "")).encode()


Link = Callable[..., AbstractAsyncContextManager[tuple[WebSocket, Peer]]]


@asynccontextmanager
async def _server_link(
    *, small_buffers: bool = False, **options: Any
) -> AsyncIterator[tuple[WebSocket, Peer]]:
    """A server's WebSocket, whose handler waits for the end, and a client's socket."""
    opened: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()

    async def handler(ws: WebSocket) -> None:
        opened.set_result(ws)
        await ws.wait_closed()

    sock = _listener(small_buffers)
    options = {"ping_interval": None, "close_timeout": 5, **options}
    async with (
        serve(handler, sock=sock, **options) as server,
        tcp_peer(server.port, small=small_buffers) as raw,
    ):
        peer = Peer(raw.sock, is_client=True)
        await peer.upgrade()
        ws = await opened
        try:
            yield ws, peer
        finally:
            peer.sock.close()
            ws.abort()


@asynccontextmanager
async def _client_link(
    *, small_buffers: bool = False, **options: Any
) -> AsyncIterator[tuple[WebSocket, Peer]]:
    """A client's WebSocket and a server's socket."""
    options = {"ping_interval": None, "close_timeout": 5, **options}
    with _listener(small_buffers) as listener:
        sock = socket.socket()
        if small_buffers:
            shrink(sock)
        sock.connect(listener.getsockname())
        peer = Peer(listener.accept()[0], is_client=False)
        peer.sock.setblocking(False)
        peer.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        accepted = asyncio.create_task(peer.accept())
        ws = await connect("ws://localhost/", sock=sock, **options)
        await accepted
        try:
            yield ws, peer
        finally:
            peer.sock.close()
            ws.abort()
            await ws.wait_closed()


def _listener(small_buffers: bool) -> socket.socket:
    sock = socket.socket()
    if small_buffers:
        shrink(sock)
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    return sock


@pytest.fixture(params=["server", "client"])
def link(request: pytest.FixtureRequest) -> Link:
    return _server_link if request.param == "server" else _client_link


@pytest.fixture
def server_link() -> Link:
    return _server_link


@pytest.fixture
def client_link() -> Link:
    return _client_link


class RawServer(NamedTuple):
    """A server made of bare sockets; ``errors`` are those of its connections' coroutines."""

    uri: str
    port: int
    peers: list[Peer]
    tasks: list[asyncio.Task[None]]

    async def done(self) -> None:
        """Wait until all of the conversations are over; raise what one of them raised."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*self.tasks)


Talk = Callable[[Peer], Coroutine[Any, Any, None]]


@pytest.fixture
def raw_server() -> Callable[[Talk], AbstractAsyncContextManager[RawServer]]:
    """A server that has a conversation with each client: ``async with raw_server(talk) as s``."""

    @asynccontextmanager
    async def start(talk: Talk) -> AsyncIterator[RawServer]:
        loop = asyncio.get_running_loop()
        listener = _listener(False)
        listener.setblocking(False)
        port = listener.getsockname()[1]
        server = RawServer(f"ws://127.0.0.1:{port}/", port, [], [])

        async def accept() -> None:
            while True:
                sock, _ = await loop.sock_accept(listener)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                peer = Peer(sock, is_client=False)
                server.peers.append(peer)
                server.tasks.append(asyncio.create_task(talk(peer)))

        accepting = asyncio.create_task(accept())
        try:
            yield server
        finally:
            for task in (accepting, *server.tasks):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            for peer in server.peers:
                peer.sock.close()
            listener.close()

    return start


class Certificates(NamedTuple):
    server: ssl.SSLContext
    client: ssl.SSLContext
    authority: bytes


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> Certificates:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(server)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client)
    return Certificates(server, client, authority.cert_pem.bytes())


@pytest.fixture
def reset() -> Callable[[socket.socket], None]:
    """Close a socket with RST."""

    def close(sock: socket.socket) -> None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    return close
