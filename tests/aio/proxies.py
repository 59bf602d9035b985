"""Small real proxies: HTTP CONNECT, with or without TLS, and SOCKS 4, 4a, 5."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Serve = Callable[["Proxy", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Proxy:
    """What a proxy was told, and where it is."""

    def __init__(self) -> None:
        self.port = 0
        self.heads: list[str] = []
        self.targets: list[str] = []
        self.real_target: tuple[str, int] | None = None
        """Where every tunnel leads, whatever was asked for."""

    async def tunnel(self, near: Streams, host: str, port: int, answer: bytes) -> None:
        self.targets.append(f"{host}:{port}")
        far = await asyncio.open_connection(*(self.real_target or (host, port)))
        near[1].write(answer)
        try:
            await asyncio.gather(_pipe(near[0], far[1]), _pipe(far[0], near[1]))
        finally:
            far[1].close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def running(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    """A proxy on a free port, which serves each client with ``serve``."""
    proxy = Proxy()
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await serve(proxy, reader, writer)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def http(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    proxy.heads.append(head)
    host, _, port = head.split()[1].rpartition(":")
    answer = b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n"
    await proxy.tunnel((reader, writer), host, int(port), answer)


def answering(answer: bytes) -> Serve:
    """An HTTP proxy that says something else, and waits."""

    async def serve(
        proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await reader.read()

    return serve


def answering_and_hanging_up(answer: bytes) -> Serve:
    """An HTTP proxy that has no more to say."""

    async def serve(
        proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    return serve


async def hanging_up(
    proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    await reader.read(1)


async def silent(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def socks(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """SOCKS 4, 4a, and 5 with or without the user "me" of the password "secret"."""
    version = (await reader.readexactly(1))[0]
    if version == 4:
        await reader.readexactly(1)
        port = int.from_bytes(await reader.readexactly(2), "big")
        address = await reader.readexactly(4)
        await reader.readuntil(b"\x00")
        host = ".".join(map(str, address))
        if host.startswith("0.0.0."):
            host = (await reader.readuntil(b"\x00"))[:-1].decode()
        await proxy.tunnel((reader, writer), host, port, b"\x00\x5a" + bytes(6))
        return
    methods = await reader.readexactly((await reader.readexactly(1))[0])
    if 2 in methods:
        writer.write(b"\x05\x02")
        await reader.readexactly(1)
        user = await reader.readexactly((await reader.readexactly(1))[0])
        password = await reader.readexactly((await reader.readexactly(1))[0])
        right = (user, password) == (b"me", b"secret")
        writer.write(b"\x01\x00" if right else b"\x01\x01")
        if not right:
            return
    else:
        writer.write(b"\x05\x00")
    kind = (await reader.readexactly(4))[3]
    if kind == 3:
        host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
    else:
        host = ".".join(map(str, await reader.readexactly(4)))
    port = int.from_bytes(await reader.readexactly(2), "big")
    if host == "refused.example":
        writer.write(b"\x05\x02\x00\x01" + bytes(6))
        return
    await proxy.tunnel((reader, writer), host, port, b"\x05\x00\x00\x01" + bytes(6))
