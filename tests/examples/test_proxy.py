"""The example of a proxy, between our client and our server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ports import Port
from started import TIMEOUT, Example, Start, expect_close, receive

from wsproto_async import InvalidStatus, Request, Response, Server, WebSocket, connect, serve

pytestmark = pytest.mark.one_loop


class Upstream:
    """A server that does what the path of a connection says, and remembers the last one."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.is_reading = asyncio.Event()
        self.ends: asyncio.Queue[tuple[int | None, str | None]] = asyncio.Queue()

    async def handle(self, ws: WebSocket) -> None:
        self.requests.append(ws.request)
        try:
            await self.act(ws)
        finally:
            await ws.wait_closed()
            self.ends.put_nowait((ws.close_code, ws.close_reason))

    async def act(self, ws: WebSocket) -> None:
        match ws.path:
            case "/close":
                await ws.close(4001, "grüße")
            case "/abort":
                await ws.recv()
                ws.abort()
            case "/size":
                await self.is_reading.wait()
                size = 0
                async for part in ws.recv_streaming():
                    size += len(part)
                await ws.send(str(size))
            case _:
                await ws.send("hello")
                async for message in ws:
                    await ws.send(message)

    async def end(self) -> tuple[int | None, str | None]:
        async with asyncio.timeout(TIMEOUT):
            return await self.ends.get()


@pytest.fixture
def upstream() -> Upstream:
    return Upstream()


@pytest.fixture
async def server(upstream: Upstream) -> AsyncIterator[Server]:
    def refuse(ws: WebSocket, request: Request) -> Response | None:
        return Response(401, body="who are you?") if request.path == "/secret" else None

    serving = serve(upstream.handle, 0, subprotocols=["b"], process_request=refuse, max_size=2**27)
    async with serving as server:
        yield server


@pytest.fixture
async def proxy(start: Start, server: Server) -> Example:
    target = f"ws://127.0.0.1:{server.port}"
    return await asyncio.to_thread(start, "proxy.py", target)


async def test_messages_in_both_directions(proxy: Example) -> None:
    async with connect(proxy.uri, max_size=2**26) as ws:
        assert await receive(ws) == "hello"
        for message in ("", b"", "grüße 🎉", bytes(range(256)), "ü" * 2**20, bytes(2**24)):
            await ws.send(message)
            assert await receive(ws) == message
        await ws.send(["in ", "three ", "parts"])
        assert await receive(ws) == "in three parts"


async def test_handshake_is_passed_on(proxy: Example, upstream: Upstream) -> None:
    headers = {"Authorization": "Bearer x", "Host": "example.com", "X-Forwarded-For": "10.0.0.1"}
    async with connect(
        f"{proxy.uri}some/path?query",
        subprotocols=["a", "b"],
        origin="http://example.com",
        additional_headers=headers,
    ) as ws:
        assert ws.subprotocol == "b"
        assert await receive(ws) == "hello"
    (request,) = upstream.requests
    assert request.path == "/some/path?query"
    assert request.headers["Authorization"] == "Bearer x"
    assert request.headers["Host"] == "example.com"
    assert request.headers["X-Forwarded-For"] == "127.0.0.1"  # what we know, not what it says
    async with connect(proxy.uri) as ws:
        assert ws.subprotocol is None


async def test_close_of_the_client(proxy: Example, upstream: Upstream) -> None:
    for code in (1000, 1008, 1011, 4999):
        async with connect(proxy.uri) as ws:
            await ws.close(code, "grüße")
        assert await upstream.end() == (code, "grüße")


async def test_close_of_the_server(proxy: Example) -> None:
    async with connect(f"{proxy.uri}close") as ws:
        await expect_close(ws, 4001)
        assert ws.close_reason == "grüße"


async def test_lost_connections(proxy: Example, upstream: Upstream) -> None:
    async with connect(proxy.uri) as ws:
        await receive(ws)
        ws.abort()
    assert await upstream.end() == (1001, "")
    async with connect(f"{proxy.uri}abort") as ws:
        await ws.send("go")
        await expect_close(ws, 1014)


async def test_refusals(proxy: Example, start: Start) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{proxy.uri}secret")
    assert (refused.value.response.status, refused.value.response.body) == (401, b"who are you?")
    with pytest.raises(InvalidStatus) as refused:
        await connect(proxy.uri, origin="http://elsewhere.example")
    assert refused.value.response.status == 403
    nobodys = Port()
    nowhere = f"ws://127.0.0.1:{nobodys.number}"
    lonely = await asyncio.to_thread(start, "proxy.py", nowhere)
    with pytest.raises(InvalidStatus) as refused:
        await connect(lonely.uri)
    assert refused.value.response.status == 502


async def test_upstream_does_not_outlive_a_refusal_of_our_own(
    proxy: Example, upstream: Upstream
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 426 ")
    assert await upstream.end() == (1006, "")
    writer.close()


async def test_who_does_not_read_makes_the_sender_wait(proxy: Example, upstream: Upstream) -> None:
    """A message is far larger than what fits on the way, and than what the proxy holds of it."""
    size = 2**27
    async with connect(f"{proxy.uri}size", compression=None) as ws, asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(ws.send(bytes(2**16) for _ in range(size // 2**16)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asyncio.shield(sending)  # which cannot come to its end
        upstream.is_reading.set()
        await sending
        assert await receive(ws) == str(size)
    assert peak_memory(proxy) < size


def peak_memory(example: Example) -> int:
    """Return the most that it has had, in bytes; 0 where the system does not tell."""
    status = Path(f"/proc/{example.process.pid}/status")
    if not status.exists():
        return 0
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())
    return int(kilobytes) * 1024
