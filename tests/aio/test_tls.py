"""TLS of our own: what a protocol sees of it, its memory, and whom it talks to."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
from raw_peer import BINARY, TEXT, UPGRADE, frame, head, let_it_read, until

from wsproto_async import Server, WebSocket, connect, serve

MEBIBYTE = 2**20


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@asynccontextmanager
async def both_ends(tls: Any, **options: Any) -> AsyncIterator[tuple[WebSocket, WebSocket]]:
    opened: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()

    async def handler(ws: WebSocket) -> None:
        opened.set_result(ws)
        await ws.wait_closed()

    async with (
        serve(handler, 0, ssl=tls.server, **options) as server,
        connect(f"wss://127.0.0.1:{server.port}/", ssl=tls.client, **options) as client,
    ):
        yield await opened, client


class MemoryPeer:
    """A client's TLS on a socket of its own; ``take`` and ``seal`` make and open records."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext, name: str) -> None:
        self.sock = sock
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)

    async def shake_hands(self, step: int = MEBIBYTE) -> None:
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                await self.send(self.outgoing.read(), step)
                self.incoming.write(await self._receive())
            else:
                await self.send(self.outgoing.read(), step)
                return

    def seal(self, data: bytes) -> bytes:
        self.tls.write(data)
        return self.outgoing.read()

    async def send(self, data: bytes, step: int = MEBIBYTE) -> None:
        loop = asyncio.get_running_loop()
        for start in range(0, len(data), step):
            await loop.sock_sendall(self.sock, data[start : start + step])
            if step < len(data):
                await let_it_read()

    async def receive(self, size: int) -> bytes:
        """Receive that many bytes at least."""
        data = b""
        while len(data) < size:
            try:
                data += self.tls.read(MEBIBYTE)
            except ssl.SSLWantReadError:
                self.incoming.write(await self._receive())
        return data

    async def receive_head(self) -> bytes:
        data = b""
        while not data.endswith(b"\r\n\r\n"):
            data += await self.receive(1)
        return data

    async def _receive(self) -> bytes:
        data = await asyncio.get_running_loop().sock_recv(self.sock, 65536)
        if not data:
            raise EOFError
        return data


@asynccontextmanager
async def memory_peer(server: Server, context: ssl.SSLContext) -> AsyncIterator[MemoryPeer]:
    with socket.socket() as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", server.port))
        yield MemoryPeer(sock, context, "127.0.0.1")


async def test_what_a_transport_over_tls_tells(tls: Any) -> None:
    async with both_ends(tls) as ends:
        for ws, context in zip(ends, (tls.server, tls.client), strict=True):
            info = ws.transport.get_extra_info
            assert isinstance(info("ssl_object"), ssl.SSLObject)
            assert info("sslcontext") is context
            assert info("cipher") == info("ssl_object").cipher()
            assert info("compression") is None
            assert info("socket").fileno() >= 0
            assert info("nothing", "default") == "default"
            assert not ws.transport.can_write_eof()
        assert ends[0].transport.get_extra_info("peercert") is None
        assert ("DNS", "localhost") in ends[1].transport.get_extra_info("peercert")[
            "subjectAltName"
        ]
        assert ends[0].remote_address == ends[1].local_address


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("size", [0, 1, 8191, 8192, 8193, 16384, 16385, 3 * MEBIBYTE])
async def test_messages_of_any_size(
    tls: Any, authority: trustme.CA, version: ssl.TLSVersion, size: int
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    context.maximum_version = version
    message = bytes(range(251)) * (size // 251 + 1)
    message = message[:size]
    async with (
        serve(echo, 0, ssl=tls.server, max_size=None, compression=None) as server,
        connect(
            f"wss://127.0.0.1:{server.port}/", ssl=context, max_size=None, compression=None
        ) as ws,
    ):
        for _ in range(3):
            await ws.send(message)
            assert await ws.recv() == message


async def test_one_byte_at_a_time(tls: Any) -> None:
    async with serve(echo, 0, ssl=tls.server) as server, memory_peer(server, tls.client) as peer:
        await peer.shake_hands(step=1)
        await peer.send(peer.seal(head(*UPGRADE)), step=1)
        assert (await peer.receive_head()).startswith(b"HTTP/1.1 101 ")
        await peer.send(peer.seal(frame(TEXT, b"hello")), step=1)
        assert await peer.receive(7) == b"\x81\x05hello"


async def test_a_request_and_frames_that_come_with_the_end_of_the_handshake(tls: Any) -> None:
    """All in one read: the last of the handshake, the request, and a message in many records."""
    async with serve(echo, 0, ssl=tls.server) as server, memory_peer(server, tls.client) as peer:
        loop = asyncio.get_running_loop()
        with pytest.raises(ssl.SSLWantReadError):
            peer.tls.do_handshake()
        await peer.send(peer.outgoing.read())
        while True:
            peer.incoming.write(await loop.sock_recv(peer.sock, 65536))
            try:
                peer.tls.do_handshake()
            except ssl.SSLWantReadError:
                continue
            break
        last = peer.outgoing.read() + peer.seal(head(*UPGRADE))
        message = frame(BINARY, bytes(50_000))
        records = b"".join(
            peer.seal(message[start : start + 1000]) for start in range(0, len(message), 1000)
        )
        await peer.send(last + records)
        assert (await peer.receive_head()).startswith(b"HTTP/1.1 101 ")
        assert len(await peer.receive(50_004)) == 50_004


async def test_certificates_by_server_name(authority: trustme.CA) -> None:
    contexts: dict[str | None, ssl.SSLContext] = {}
    for name in ("one.example", "two.example"):
        contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(contexts[name])

    def choose(sock: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        sock.context = contexts[name]

    contexts["one.example"].sni_callback = choose
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client)
    async with serve(echo, 0, ssl=contexts["one.example"]) as server:
        for name in ("one.example", "two.example"):
            sock = socket.create_connection(("127.0.0.1", server.port))
            async with connect(f"wss://{name}/", sock=sock, ssl=client) as ws:
                certificate = ws.transport.get_extra_info("peercert")
                assert certificate["subjectAltName"] == (("DNS", name),)
                await ws.send("hello")
                assert await ws.recv() == "hello"


async def test_an_application_protocol_is_agreed_on(authority: trustme.CA) -> None:
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_context)
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client_context)
    for context in (server_context, client_context):
        context.set_alpn_protocols(["http/1.1"])
    async with (
        serve(echo, 0, ssl=server_context) as server,
        connect(f"wss://127.0.0.1:{server.port}/", ssl=client_context) as ws,
    ):
        assert ws.transport.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"


async def test_a_clients_certificate(authority: trustme.CA) -> None:
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server_context)
    authority.configure_trust(server_context)
    server_context.verify_mode = ssl.CERT_REQUIRED
    client_context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client_context)
    authority.issue_cert("somebody.example").configure_cert(client_context)
    seen: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        seen.append(ws.transport.get_extra_info("peercert")["subjectAltName"])

    async with (
        serve(handler, 0, ssl=server_context) as server,
        connect(f"wss://127.0.0.1:{server.port}/", ssl=client_context) as ws,
    ):
        await ws.wait_closed()
    assert seen == [(("DNS", "somebody.example"),)]


async def test_a_clients_context_cannot_serve(tls: Any) -> None:
    with pytest.raises(ssl.SSLError):
        await serve(echo, 0, ssl=tls.client)


async def test_a_handshake_under_way_is_counted_and_ends_with_the_server(tls: Any) -> None:
    async with serve(echo, 0, ssl=tls.server) as server, memory_peer(server, tls.client) as peer:
        await until(lambda: server.stats().handshakes == 1)
        server.close(grace=None)
        assert await asyncio.get_running_loop().sock_recv(peer.sock, 1) == b""
        await server.wait_closed()


async def test_huge_messages_both_ways_with_slow_readers(tls: Any) -> None:
    """Each end sends before it reads: what waits is bounded, and all of it arrives."""
    message = bytes(range(256)) * 4096
    options = {"read_limit": 2**14, "write_limit": 2**14, "compression": None}
    async with both_ends(tls, max_size=None, **options) as ends:

        async def send(ws: WebSocket) -> None:
            for _ in range(12):
                await ws.send(message)

        sending = [asyncio.create_task(send(ws)) for ws in ends]
        await until(lambda: all(ws.transport.get_write_buffer_size() for ws in ends))
        for _ in range(100):
            await asyncio.sleep(0)
        for ws in ends:
            # Ciphertext is longer by a header and a tag for each record.
            assert ws.buffered_amount <= 2**14 + len(message) * 1.01
        for _ in range(12):
            for ws in ends:
                assert await ws.recv() == message
        await asyncio.gather(*sending)


async def test_paused_reading_stops_decryption(tls: Any) -> None:
    opened: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()

    async def handler(ws: WebSocket) -> None:
        opened.set_result(ws)
        await ws.wait_closed()

    async with (
        serve(handler, 0, ssl=tls.server, read_limit=2**14) as server,
        memory_peer(server, tls.client) as peer,
    ):
        await peer.shake_hands()
        await peer.send(peer.seal(head(*UPGRADE)))
        await peer.receive_head()
        ws = await opened
        records = b"".join(peer.seal(frame(BINARY, bytes(4000))) for _ in range(40))
        await peer.send(records)
        await until(lambda: ws._protocol.is_reading_paused)
        await let_it_read()
        received = ws._protocol.bytes_received
        # The queue's limit, and a record or two.
        assert received < 2**15
        for number in range(40):
            assert await ws.recv() == bytes(4000), number


async def test_what_a_resting_connection_takes(tls: Any) -> None:
    """Our side of it: what OpenSSL has is not seen here."""

    async def holdings(scheme: str) -> float:
        contexts = (tls.server, tls.client) if scheme == "wss" else (None, None)
        options = {"compression": None, "max_size": None}
        async with serve(echo, 0, ssl=contexts[0], **options) as server:
            uri = f"{scheme}://127.0.0.1:{server.port}/"
            first = await connect(uri, ssl=contexts[1], **options)
            gc.collect()
            tracemalloc.start()
            try:
                ends = [await connect(uri, ssl=contexts[1], **options) for _ in range(20)]
                for ws in ends:
                    for message in (bytes(300_000), b"short"):
                        await ws.send(message)
                        assert await ws.recv() == message
                gc.collect()
                size, _ = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            for ws in (first, *ends):
                ws.abort()
            return size / 40  # both ends are ours

    plain = await holdings("ws")
    assert await holdings("wss") - plain < 4096
