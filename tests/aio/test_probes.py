"""Liveness and readiness."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from raw_peer import PATIENCE, UPGRADE, head, tcp_peer, until, within

from wsproto_async import Response, Server, WebSocket, connect, serve
from wsproto_async.aio import server as server_module

PATHS = {"liveness": "/livez", "readiness": "/readyz"}


async def handler(ws: WebSocket) -> None:
    await ws.wait_closed()


async def get(server: Server, path: str, method: str = "GET") -> tuple[int, bytes]:
    async with tcp_peer(server.port) as peer:
        await peer.send(head(f"{method} {path} HTTP/1.1", "Host: localhost"))
        answer = await peer.read_head()
        return int(answer[9:12]), await peer.read_eof()


async def test_probes() -> None:
    async with serve(handler, 0, **PATHS) as server:
        assert await get(server, "/livez") == (200, b"ok\n")
        assert await get(server, "/readyz?verbose") == (200, b"ok\n")
        assert await get(server, "/livez", "HEAD") == (200, b"")
        assert (await get(server, "/"))[0] == 426


async def test_a_full_server_lives_but_is_not_ready() -> None:
    async with serve(handler, 0, max_connections=1, **PATHS) as server:
        async with connect(f"ws://127.0.0.1:{server.port}/"):
            assert await get(server, "/livez") == (200, b"ok\n")
            assert await get(server, "/readyz") == (503, b"not ready\n")
        await until(lambda: not server._websockets)
        assert await get(server, "/readyz") == (200, b"ok\n")


async def test_a_server_that_is_closing_lives_but_is_not_ready() -> None:
    async with (
        serve(handler, 0, **PATHS) as server,
        tcp_peer(server.port) as live,
        tcp_peer(server.port) as ready,
        tcp_peer(server.port) as late,
        tcp_peer(server.port) as silent,
    ):
        await until(lambda: server.stats().handshakes == 4)
        server.close()
        await asyncio.sleep(0)
        for peer, line, answer in (
            (live, "GET /livez HTTP/1.1", b"200"),
            (ready, "GET /readyz HTTP/1.1", b"503"),
            (late, "GET / HTTP/1.1", b"503"),
        ):
            await peer.send(head(line, *UPGRADE[1:]))
            assert (await peer.read_head())[9:12] == answer
            peer.sock.close()
        await within(3, server.wait_closed())
        with pytest.raises((EOFError, ConnectionError)):
            await silent.take(1)


async def test_a_probe_that_is_late_is_answered_while_the_server_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has a second; here it has as long as it takes."""
    monkeypatch.setattr(server_module, "_TURNED_AWAY", PATIENCE)
    async with (
        serve(handler, 0, **PATHS) as server,
        tcp_peer(server.port) as late,
        tcp_peer(server.port) as slow,
    ):
        await slow.send(b"GET /livez HTTP/1.1\r\n")
        await until(lambda: server.stats().handshakes == 2)
        server.close()
        await asyncio.sleep(0.3)
        await late.send(head("GET /livez HTTP/1.1", "Host: localhost"))
        await slow.send(head("Host: localhost"))
        for peer in (late, slow):
            assert (await peer.read_head())[9:12] == b"200"
            assert await peer.read_eof() == b"ok\n"
            peer.sock.close()
        await within(PATIENCE / 2, server.wait_closed())


async def test_hooks_are_not_asked() -> None:
    def hook(ws: WebSocket, request: Any) -> Response:
        return Response(401)

    async with serve(handler, 0, process_request=hook, **PATHS) as server:
        assert await get(server, "/livez") == (200, b"ok\n")
        assert (await get(server, "/"))[0] == 401


async def test_there_are_none_by_default() -> None:
    async with serve(handler, 0) as server:
        assert (await get(server, "/livez"))[0] == 426


@pytest.mark.parametrize("name", PATHS)
def test_what_is_no_path(name: str) -> None:
    with pytest.raises(
        ValueError, match=f"^{name} must be a path that begins with /, not 'livez'$"
    ):
        serve(handler, 0, **{name: "livez"})
