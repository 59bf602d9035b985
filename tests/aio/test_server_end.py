"""The end of a server, and the grace that its handlers have."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from handlers import answer_close, logged, receive, uri, waiting_in_a_hook
from raw_peer import TEXT, UPGRADE, frame, head, raw_peer, tcp_peer, until, within

from wsproto_async import ConnectionClosedOK, State, WebSocket, connect, serve


async def test_closing() -> None:
    async with serve(receive, 0) as server:
        address = uri(server)
        clients = [await connect(address) for _ in range(3)]
        await until(lambda: len(server.connections) == 3)
        waiting = asyncio.create_task(server.wait_closed())
        await asyncio.sleep(0)
        assert not waiting.done()
        server.close()
        assert not server.is_serving()
        for client in clients:
            with pytest.raises(ConnectionClosedOK):
                await client.recv()
            assert (client.close_code, client.close_reason) == (1001, "")
        await within(1, waiting)
        await within(1, server.wait_closed())
        with pytest.raises(OSError):
            await connect(address)


async def test_the_code_and_the_reason_are_the_callers() -> None:
    async with serve(receive, 0) as server, raw_peer(server.port) as peer:
        await until(lambda: server.connections)
        server.close(1012, "restart")
        assert await answer_close(peer) == (1012, b"restart")
        await within(1, server.wait_closed())


@pytest.mark.parametrize(("code", "reason"), [(1005, ""), (999, ""), (1000, "x" * 124)])
async def test_a_code_or_a_reason_that_may_not_be_sent(code: int, reason: str) -> None:
    async with serve(receive, 0) as server, connect(uri(server)) as client:
        with pytest.raises(ValueError):
            server.close(code, reason)
        assert server.is_serving()
        assert client.state is State.OPEN
        await client.send("still there")


async def test_closing_twice() -> None:
    async with serve(receive, 0) as server, raw_peer(server.port) as peer:
        await until(lambda: server.connections)
        server.close(1012)
        server.close(1001)
        assert await answer_close(peer) == (1012, b"")
        await within(1, server.wait_closed())
        server.close()
        await within(1, server.wait_closed())


@pytest.mark.parametrize("request_head", [b"", head(*UPGRADE)[:-2]])
async def test_closing_during_a_handshake(request_head: bytes) -> None:
    async with serve(receive, 0) as server, tcp_peer(server.port) as peer:
        await peer.send(request_head)
        await until(lambda: server.stats().handshakes == 1)
        server.close()
        assert (await peer.read_head()).startswith(b"HTTP/1.1 503 ")
        assert await peer.read_eof() == b"server is shutting down\n"
        peer.sock.close()
        await within(1, server.wait_closed())


async def test_closing_while_a_hook_runs() -> None:
    async with waiting_in_a_hook() as (server, peer, steps):
        server.close()
        assert (await peer.read_head()).startswith(b"HTTP/1.1 503 ")
        assert await peer.read_eof() == b"server is shutting down\n"
        peer.sock.close()
        await within(1, server.wait_closed())
        assert steps == ["entered", "left"]


async def test_a_connection_that_is_made_after_the_close() -> None:
    """It was accepted before, say, and its TLS handshake has taken until now."""
    loop = asyncio.get_running_loop()
    async with serve(receive, 0) as server, raw_peer(server.port) as last:
        listener = await loop.create_server(server.make_protocol, "127.0.0.1", 0)
        await until(lambda: server.connections)
        server.close()
        async with tcp_peer(listener.sockets[0].getsockname()[1]) as late:
            assert (await late.read_head()).startswith(b"HTTP/1.1 503 ")
            assert await late.read_eof() == b"server is shutting down\n"
        assert await answer_close(last) == (1001, b"")
        await within(1, server.wait_closed())
        listener.close()


async def test_cancelling_the_wait_does_not_stop_the_closing() -> None:
    async with serve(receive, 0) as server, raw_peer(server.port) as peer:
        await until(lambda: server.connections)
        server.close()
        waiting = asyncio.create_task(server.wait_closed())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert await answer_close(peer) == (1001, b"")
        await within(1, server.wait_closed())


async def test_a_handler_closes_its_server() -> None:
    async def handler(ws: WebSocket) -> None:
        ws.server.close(4000, await ws.recv())
        await ws.wait_closed()

    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        await peer.send(frame(TEXT, b"by order"))
        assert await answer_close(peer) == (4000, b"by order")
        await within(1, server.serve_forever())


async def test_handlers_have_the_time_to_clean_up() -> None:
    async def handler(ws: WebSocket) -> None:
        await receive(ws)
        await asyncio.sleep(0.1)
        steps.append("cleaned up")

    steps: list[str] = []
    async with serve(handler, 0) as server, connect(uri(server)):
        await until(lambda: server.connections)
        server.close()
        await within(1, server.wait_closed())
        assert steps == ["cleaned up"]


@pytest.mark.parametrize("grace", [0, 0.15])
async def test_a_handler_that_ignores_the_close_is_cancelled(grace: float) -> None:
    async def handler(ws: WebSocket) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            steps.append("cancelled")
            raise

    steps: list[str] = []
    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        await until(lambda: server.connections)
        start = time.monotonic()
        server.close(grace=grace)
        await within(1, server.wait_closed())
        assert grace - 0.01 < time.monotonic() - start < 1
        assert steps == ["cancelled"]
        assert (await peer.read_close()).close_code == 1001


async def test_a_handler_that_swallows_its_cancellation(caplog: pytest.LogCaptureFixture) -> None:
    """It is left behind, with a warning."""

    async def handler(ws: WebSocket) -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    release = asyncio.Event()
    async with serve(handler, 0) as server, raw_peer(server.port):
        await until(lambda: server.connections)
        start = time.monotonic()
        server.close(grace=0.1)
        await within(2, server.wait_closed())
        assert 1.0 < time.monotonic() - start < 2.5
        release.set()
        assert logged(caplog) == [
            "handlers ignore cancellation, and nobody waits for them any longer: 1"
        ]
        await until(lambda: len(asyncio.all_tasks()) == 1)


async def test_a_grace_without_an_end() -> None:
    async def handler(ws: WebSocket) -> None:
        await release.wait()

    release = asyncio.Event()
    async with serve(handler, 0) as server, connect(uri(server)):
        await until(lambda: server.connections)
        server.close(grace=None)
        waiting = asyncio.create_task(server.wait_closed())
        await asyncio.wait([waiting], timeout=0.2)
        assert not waiting.done()
        release.set()
        await within(1, waiting)
