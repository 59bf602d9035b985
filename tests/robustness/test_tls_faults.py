"""TLS that goes wrong: other protocols, silence, and ends without close_notify."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trustme
from raw_peer import (
    TEXT,
    UPGRADE,
    close_frame,
    frame,
    head,
    let_it_read,
    tcp_peer,
    until,
    within,
)

from wsproto_async import ConnectionClosed, Server, WebSocket, connect, serve

CLOSE_TIMEOUT = 0.2
OPEN_TIMEOUT = 0.4

quickly = pytest.mark.parametrize("open_timeout", [OPEN_TIMEOUT])


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def server_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="module")
def client_context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


async def test_closing_a_tls_connection_inside_another_ones_read(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """What its transport still decrypts does not get among what was read."""
    opened: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()
    received: list[str | bytes] = []

    async def pause(ws: WebSocket) -> None:
        opened.set_result(ws)
        await ws.wait_closed()

    async def receive(ws: WebSocket) -> None:
        async for message in ws:
            received.append(message)
            if message == "go":
                await (await opened).close()

    async with (
        serve(pause, 0, ssl=server_context, close_timeout=CLOSE_TIMEOUT) as paused,
        serve(receive, 0) as server,
        tcp_peer(server.port) as peer,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", paused.port, ssl=client_context)
        writer.write(head(*UPGRADE))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(frame(TEXT, b"more than a queue takes") * 60 + close_frame(1000))
        protocol = (await opened)._protocol
        await until(lambda: protocol.is_reading_paused)
        writer.write(frame(TEXT, b"others'") * 1000)
        await writer.drain()
        await let_it_read()
        await peer.upgrade()
        messages = ["go", *map(str, range(100))]
        await peer.send(b"".join(frame(TEXT, message.encode()) for message in messages))
        await until(lambda: len(received) >= len(messages))
        assert received == messages
        writer.transport.abort()


class Served:
    def __init__(self, server: Server, ends: list[ConnectionClosed], client: Callable) -> None:
        self.server = server
        self.ends = ends
        self.client = client


@pytest.fixture
def open_timeout() -> float:
    return 10.0


@pytest.fixture
async def served(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext, open_timeout: float
) -> AsyncIterator[Served]:
    """A TLS server that closes when it is told so; at the end a good client still gets through."""
    ends: list[ConnectionClosed] = []

    async def handler(ws: WebSocket) -> None:
        try:
            while True:
                message = await ws.recv()
                if message == "close":
                    await ws.close()
                await ws.send(message)
        except ConnectionClosed as exc:
            ends.append(exc)

    @asynccontextmanager
    async def client() -> AsyncIterator[ssl.SSLSocket]:
        """A blocking socket with an open WebSocket, which does only what it is told to."""

        def open_websocket() -> ssl.SSLSocket:
            plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            sock = client_context.wrap_socket(plain, server_hostname="127.0.0.1")
            sock.sendall(head(*UPGRADE))
            assert sock.recv(1000).startswith(b"HTTP/1.1 101 ")
            return sock

        with await asyncio.to_thread(open_websocket) as sock:
            yield sock

    options = {"close_timeout": CLOSE_TIMEOUT, "open_timeout": open_timeout}
    async with serve(handler, 0, ssl=server_context, **options) as server:
        yield Served(server, ends, client)
        async with connect(f"wss://127.0.0.1:{server.port}", ssl=client_context) as ws:
            await ws.send("still there")
            assert await ws.recv() == "still there"


@quickly
@pytest.mark.parametrize(
    "data",
    [head(*UPGRADE), b"\0" * 1000, b"\x16\x03\x01\xff\xff" + b"x" * 1000, b"x"],
    ids=["HTTP", "zeros", "almost TLS", "one byte"],
)
async def test_other_protocols(served: Served, data: bytes) -> None:
    """Dropped, at the latest when the time for the handshake is over, and nothing is logged."""
    async with tcp_peer(served.server.port) as peer:
        await peer.send(data)
        with contextlib.suppress(ConnectionError):
            await within(OPEN_TIMEOUT, peer.read_eof())


@quickly
async def test_silence(served: Served) -> None:
    async with tcp_peer(served.server.port) as peer:
        start = time.monotonic()
        assert await within(OPEN_TIMEOUT, peer.read_eof()) == b""
        assert time.monotonic() - start >= OPEN_TIMEOUT - 0.1


@quickly
async def test_silence_after_the_tls_handshake(
    served: Served, client_context: ssl.SSLContext
) -> None:
    start = time.monotonic()
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", served.server.port, ssl=client_context
    )
    assert await within(2 * OPEN_TIMEOUT, reader.read()) == b""
    assert time.monotonic() - start >= OPEN_TIMEOUT - 0.1
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def test_end_without_close_notify_and_without_close_frame(served: Served) -> None:
    """Anybody on the way could have cut it: never a clean end."""
    async with served.client() as sock:
        sock.shutdown(socket.SHUT_RDWR)
        await until(lambda: served.ends)
    assert (served.ends[0].code, served.ends[0].received) == (1006, None)


async def test_end_without_close_notify_after_the_close_frames(served: Served) -> None:
    async with served.client() as sock:
        sock.sendall(close_frame(1000))
        await until(lambda: served.ends)
        sock.shutdown(socket.SHUT_RDWR)
    assert served.ends[0].code == 1000


@pytest.mark.parametrize("answers", [False, True])
async def test_close_notify_that_is_never_answered(served: Served, answers: bool) -> None:
    """The server hangs up within close_timeout, with or without the client's Close frame."""
    async with served.client() as sock:
        start = time.monotonic()
        sock.sendall(frame(TEXT, b"close") + (close_frame(1000) if answers else b""))
        await until(lambda: served.ends)  # close() has returned: the transport is gone
        # close_timeout for the closing handshake, and once more at most for TLS's own.
        assert time.monotonic() - start < 2 * CLOSE_TIMEOUT + 2
