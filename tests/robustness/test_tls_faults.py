"""TLS that goes wrong: other protocols, silence, and ends without close_notify."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
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
    RawPeer,
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


@quickly
@pytest.mark.parametrize("size", [1, 5, 100])
async def test_a_handshake_that_stalls(
    served: Served, client_context: ssl.SSLContext, size: int
) -> None:
    """A part of the ClientHello, or of its answer's answer, and nothing more."""
    hello = client_hello(client_context)
    async with tcp_peer(served.server.port) as peer:
        start = time.monotonic()
        await peer.send(hello[:size])
        assert await within(OPEN_TIMEOUT, peer.read_eof()) == b""
        assert time.monotonic() - start >= OPEN_TIMEOUT - 0.1


@quickly
async def test_a_handshake_that_stalls_in_its_middle(
    served: Served, client_context: ssl.SSLContext
) -> None:
    async with tcp_peer(served.server.port) as peer:
        await peer.send(client_hello(client_context))
        assert (await within(OPEN_TIMEOUT, peer.read_eof())).startswith(b"\x16\x03\x03")


@pytest.mark.parametrize("size", [0, 100, None])
async def test_reset_in_the_handshake(
    served: Served, client_context: ssl.SSLContext, size: int | None
) -> None:
    async with tcp_peer(served.server.port) as peer:
        await peer.send(client_hello(client_context)[:size])
        await let_it_read()
        peer.reset()
    await until(lambda: served.server.stats().handshakes == 0)


@pytest.mark.parametrize("size", [1, 100, None])
async def test_end_in_the_handshake(
    served: Served, client_context: ssl.SSLContext, size: int | None
) -> None:
    async with tcp_peer(served.server.port) as peer:
        await peer.send(client_hello(client_context)[:size])
        peer.finish()
        await within(CLOSE_TIMEOUT, peer.read_eof())
    await until(lambda: served.server.stats().handshakes == 0)


def client_hello(context: ssl.SSLContext) -> bytes:
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="127.0.0.1").do_handshake()
    return outgoing.read()


@pytest.mark.parametrize(
    "garbage",
    [b"\x17\x03\x03\x00\x20" + bytes(32), b"GET / HTTP/1.1\r\n\r\n", bytes(100_000)],
    ids=["a false record", "HTTP", "zeros"],
)
async def test_garbage_after_the_handshake(
    served: Served, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """TLS is over: an alert, no clean end, and what follows is dropped."""
    caplog.set_level(logging.DEBUG, "wsproto_async")
    async with served.client() as sock:
        raw = socket.socket(fileno=os.dup(sock.fileno()))
        with raw:
            raw.setblocking(True)
            await asyncio.to_thread(raw.sendall, garbage)
            await until(lambda: served.ends)
    assert (served.ends[0].code, served.ends[0].received) == (1006, None)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []
    assert {record.exc_info for record in caplog.records} <= {None}


async def test_a_record_that_is_cut_off(served: Served, client_context: ssl.SSLContext) -> None:
    async with tcp_peer(served.server.port) as peer:
        session = Session(peer, client_context)
        await session.open()
        await peer.send(session.seal(frame(TEXT, b"hello"))[:-1])
        peer.finish()
        await until(lambda: served.ends)
    assert (served.ends[0].code, served.ends[0].received) == (1006, None)


async def test_one_line_at_debug_for_another_protocol(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with tcp_peer(served.server.port) as peer:
        await peer.send(head(*UPGRADE))
        with contextlib.suppress(ConnectionError):
            await within(CLOSE_TIMEOUT, peer.read_eof())
        await until(lambda: served.server.stats().handshakes == 0)
    lines = [record for record in caplog.records if record.name.startswith("wsproto_async")]
    assert [line.levelname for line in lines] == ["DEBUG"]
    assert lines[0].exc_info is None


async def test_tls_on_a_plain_port(client_context: ssl.SSLContext) -> None:
    async with serve(lambda ws: ws.wait_closed(), 0) as server:
        for _ in range(2):
            with pytest.raises(OSError):
                await connect(f"wss://127.0.0.1:{server.port}", ssl=client_context)
        await until(lambda: server.stats().handshakes == 0)


class Session:
    """A client's TLS over a bare peer."""

    def __init__(self, peer: RawPeer, context: ssl.SSLContext) -> None:
        self._peer = peer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")

    async def open(self) -> None:
        await self._until_it_works(self._tls.do_handshake)
        await self._peer.send(self._outgoing.read())
        await self._peer.send(self.seal(head(*UPGRADE)))
        answer = await self._until_it_works(lambda: self._tls.read(4096))
        assert answer.startswith(b"HTTP/1.1 101 ")

    def seal(self, data: bytes) -> bytes:
        self._tls.write(data)
        return self._outgoing.read()

    async def read(self) -> bytes:
        """What comes next; nothing for close_notify."""
        return await self._until_it_works(lambda: self._tls.read(65536))

    async def _until_it_works(self, step: Callable) -> bytes:
        loop = asyncio.get_running_loop()
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                if self._outgoing.pending:
                    await self._peer.send(self._outgoing.read())
                data = await loop.sock_recv(self._peer.sock, 65536)
                if not data:
                    raise EOFError("end of stream without close_notify") from None
                self._incoming.write(data)


async def test_our_end_is_announced(served: Served, client_context: ssl.SSLContext) -> None:
    async with tcp_peer(served.server.port) as peer:
        session = Session(peer, client_context)
        await session.open()
        await peer.send(session.seal(frame(TEXT, b"close") + close_frame(1000)))
        assert (await session.read()).startswith(b"\x88\x02\x03\xe8")
        assert await session.read() == b"", "no close_notify"
        assert await peer.read_eof() == b""


async def test_a_failure_is_announced(served: Served, client_context: ssl.SSLContext) -> None:
    async with tcp_peer(served.server.port) as peer:
        session = Session(peer, client_context)
        await session.open()
        await peer.send(b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(ssl.SSLError, match=r"(?i)alert bad record mac"):
            await session.read()
        assert await peer.read_eof() == b""


async def test_the_end_is_seen_by_a_connection_that_did_not_read(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """There is no close_timeout that would end it."""
    opened: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()
    going: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handler(ws: WebSocket) -> None:
        opened.set_result(ws)
        await going

    async with (
        serve(handler, 0, ssl=server_context, close_timeout=None) as server,
        tcp_peer(server.port) as peer,
    ):
        session = Session(peer, client_context)
        await session.open()
        protocol = (await opened)._protocol
        await peer.send(session.seal(frame(TEXT, b"more than a queue takes") * 60))
        await until(lambda: protocol.is_reading_paused)
        await peer.send(session.seal(frame(TEXT, b"and more") + close_frame(1000)))
        going.set_result(None)
        assert (await session.read()).startswith(b"\x88\x02\x03\xe8")
        peer.finish()
        await until(lambda: protocol.is_lost)


async def test_many_connections_at_once_whose_handlers_act_on_each_other(
    server_context: ssl.SSLContext, client_context: ssl.SSLContext
) -> None:
    """What a handler does inside one connection's read must not get among another's bytes."""
    count, rounds = 12, 30
    websockets: list[WebSocket] = []

    async def handler(ws: WebSocket) -> None:
        websockets.append(ws)
        async for message in ws:
            for other in websockets:
                await other.send(message)

    async def talk(ws: WebSocket, number: int) -> dict[int, list[int]]:
        received: dict[int, list[int]] = {}
        for turn in range(rounds):
            await ws.send(bytes([number, turn]) * (1 + 700 * (turn % 3)))
        for _ in range(count * rounds):
            message = await ws.recv()
            assert isinstance(message, bytes)
            assert message == message[:2] * (1 + 700 * (message[1] % 3))
            received.setdefault(message[0], []).append(message[1])
        return received

    async with serve(handler, 0, ssl=server_context, compression=None) as server:
        uri = f"wss://127.0.0.1:{server.port}"
        ends = [await connect(uri, ssl=client_context, compression=None) for _ in range(count)]
        await until(lambda: len(websockets) == count)
        talks = [talk(ws, number) for number, ws in enumerate(ends)]
        for received in await asyncio.gather(*talks):
            assert received == {number: list(range(rounds)) for number in range(count)}
        for ws in ends:
            await ws.close()


needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@needs_openssl
@pytest.mark.parametrize(
    ("version", "letter"),
    [("-tls1_3", b"K\n"), ("-tls1_2", b"R\n")],
    ids=["KeyUpdate", "renegotiation"],
)
async def test_new_keys_again_and_again(served: Served, version: str, letter: bytes) -> None:
    """A KeyUpdate that asks for another, and a renegotiation, which is refused: bounded, both."""
    process = await asyncio.create_subprocess_exec(
        "openssl", "s_client", version, "-msg",
        "-connect", f"127.0.0.1:{served.server.port}",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    mark = b"KeyUpdate" if letter == b"K\n" else b"no_renegotiation"
    try:
        async with asyncio.timeout(20):
            await process.stdout.readuntil(b"Verify return code")
            process.stdin.write(head(*UPGRADE))
            await process.stdout.readuntil(b"HTTP/1.1 101 ")
            for _ in range(40):
                process.stdin.write(letter)
                try:
                    await process.stdout.readuntil(mark)
                except asyncio.IncompleteReadError:
                    break  # OpenSSL has had enough of it, at either end
            for ws in served.server.connections:
                assert ws.transport.get_write_buffer_size() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()
