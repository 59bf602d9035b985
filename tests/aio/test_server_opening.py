"""The opening handshake, before there is a handler."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time

import pytest
from handlers import logged, receive, uri, waiting_in_a_hook
from raw_peer import UPGRADE, head, tcp_peer, until

from wsproto_async import InvalidStatus, Request, Response, Server, WebSocket, connect, serve


async def test_no_more_than_max_connections() -> None:
    async with serve(receive, 0, max_connections=2) as server:
        first, second = await connect(uri(server)), await connect(uri(server))
        async with tcp_peer(server.port) as peer:
            await peer.send(head(*UPGRADE))
            answer = await peer.read_head()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 5\r\n" in answer
            assert await peer.read_eof() == b"too many connections\n"
        assert server.stats()[:4] == (2, 0, 2, 1)
        await first.close()
        await until(lambda: server.stats().connections == 1)
        third = await connect(uri(server))
        with pytest.raises(InvalidStatus, match="503"):
            await connect(uri(server))
        await second.close()
        await third.close()


async def test_those_turned_away_do_not_count() -> None:
    """However long they take to hang up."""
    async with (
        serve(receive, 0, max_connections=1, close_timeout=0.2) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        for _ in range(3):
            peer = await stack.enter_async_context(tcp_peer(server.port))
            await peer.send(head("GET / HTTP/1.1", "Host: localhost"))
            assert (await peer.read_head()).startswith(b"HTTP/1.1 426 ")
        async with connect(uri(server)):
            assert server.stats().connections == 1


async def test_requests_that_are_being_answered_do_count() -> None:
    """Otherwise any number could pass while hooks take their time."""

    async def hook(ws: WebSocket, request: Request) -> Response:
        await go_on.wait()
        return Response(404)

    go_on = asyncio.Event()
    async with (
        serve(receive, 0, max_connections=1, process_request=hook) as server,
        tcp_peer(server.port) as first,
        tcp_peer(server.port) as second,
    ):
        await first.send(head(*UPGRADE))
        await until(lambda: server.stats().handshakes == 2)
        await second.send(head(*UPGRADE))
        assert (await second.read_head()).startswith(b"HTTP/1.1 503 ")
        go_on.set()
        assert (await first.read_head()).startswith(b"HTTP/1.1 404 ")
        async with tcp_peer(server.port) as third:
            await third.send(head(*UPGRADE))
            assert (await third.read_head()).startswith(b"HTTP/1.1 404 ")


OPEN_TIMEOUT = 0.15


async def test_a_client_that_does_not_finish_its_request() -> None:
    async def begin(server: Server, request_head: bytes) -> None:
        async with tcp_peer(server.port) as peer:
            start = time.monotonic()
            await peer.send(request_head)
            with contextlib.suppress(ConnectionResetError):
                assert await peer.read_eof() == b""
            assert OPEN_TIMEOUT - 0.05 < time.monotonic() - start < 1

    async with serve(receive, 0, open_timeout=OPEN_TIMEOUT) as server:
        heads = (b"", b"G", head(*UPGRADE)[:-2])
        await asyncio.gather(*(begin(server, request_head) for request_head in heads))
        await until(lambda: server.stats().handshakes == 0)
        assert server.stats().accepted == 0


async def test_a_client_that_drips(caplog: pytest.LogCaptureFixture) -> None:
    """The deadline is for the whole handshake, no byte moves it."""
    caplog.set_level(logging.DEBUG, "wsproto_async")
    async with (
        serve(receive, 0, open_timeout=OPEN_TIMEOUT) as server,
        tcp_peer(server.port) as peer,
    ):
        start = time.monotonic()
        with pytest.raises(ConnectionError):
            for byte in head(*UPGRADE):
                await peer.send(bytes([byte]))
                await asyncio.sleep(0.01)
        assert time.monotonic() - start < 1
        await until(lambda: server.stats().handshakes == 0)
        assert f"handshake timed out: {peer.name}" in logged(caplog, logging.DEBUG)
    assert len(logged(caplog, logging.INFO)) == 1  # that the server listens


async def test_a_hook_that_never_returns() -> None:
    async with waiting_in_a_hook(open_timeout=OPEN_TIMEOUT) as (server, peer, steps):
        assert (await peer.read_head()).startswith(b"HTTP/1.1 503 ")
        assert await peer.read_eof() == b"handshake timed out\n"
        peer.sock.close()
        await until(lambda: steps == ["entered", "left"])
        await until(lambda: server.stats()[:4] == (0, 0, 0, 1))


async def test_a_hook_that_does_not_let_itself_be_cancelled() -> None:
    """The answer was 503, and what the hook says afterwards changes nothing."""

    async def hook(ws: WebSocket, request: Request) -> Response:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        steps.append("went on")
        return Response(404)

    steps: list[str] = []
    async with (
        serve(receive, 0, process_request=hook, open_timeout=OPEN_TIMEOUT) as server,
        tcp_peer(server.port) as peer,
    ):
        await peer.send(head(*UPGRADE))
        assert (await peer.read_head()).startswith(b"HTTP/1.1 503 ")
        await until(lambda: steps)
        assert await peer.read_eof() == b"handshake timed out\n"
        peer.sock.close()
        await until(lambda: server.stats()[:4] == (0, 0, 0, 1))


@pytest.mark.parametrize("leave", ["eof", "reset"])
async def test_a_client_that_leaves_while_a_hook_runs(leave: str) -> None:
    async with waiting_in_a_hook() as (server, peer, steps):
        if leave == "eof":
            peer.sock.close()
        else:
            peer.reset()
        await until(lambda: steps == ["entered", "left"])
        await until(lambda: server.stats().handshakes == 0)
