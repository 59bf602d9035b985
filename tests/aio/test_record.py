"""What a server remembers of its connections."""

from __future__ import annotations

import logging
import os
import re
import time
from typing import Any

import pytest
from raw_peer import UPGRADE, head, raw_peer, tcp_peer, until

from wsproto_async import Request, Response, WebSocket, broadcast, connect, serve
from wsproto_async.aio.record import DURATIONS


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def test_counters() -> None:
    async with serve(echo, 0) as server:
        uri = f"ws://127.0.0.1:{server.port}/"
        async with connect(uri) as first, connect(uri) as second:
            for message in ("a", b"bc", ["d", "e", "f"]):
                await first.send(message)
                await first.recv()
            broadcast(server.connections, "to all")
            assert await first.recv() == await second.recv() == "to all"
            stats = server.stats()
            assert (stats.connections, stats.accepted, stats.closed) == (2, 2, {})
            assert (stats.messages_received, stats.messages_sent) == (3, 5)
            await second.close(4000)
        async with tcp_peer(server.port) as peer:
            await peer.send(head("GET / HTTP/1.1", "Host: localhost"))
            await peer.read_eof()
        async with raw_peer(server.port) as peer:
            peer.reset()
        await until(lambda: not server._websockets)
        stats = server.stats()
        assert stats.closed == {1000: 1, 1006: 1, 4000: 1}
        assert (stats.connections, stats.handshakes) == (0, 0)
        assert (stats.accepted, stats.refused, stats.shed) == (3, 1, 0)
        assert (stats.messages_received, stats.messages_sent) == (3, 5)


async def test_bytes_are_those_of_both_ends() -> None:
    async with serve(echo, 0) as server:
        async with connect(f"ws://127.0.0.1:{server.port}/") as client:
            await client.send(os.urandom(100_000))
            await client.recv()
        protocol = client._protocol
        await until(lambda: not server._websockets)
        stats = server.stats()
        assert stats.bytes_received == protocol.sender.bytes_sent > 100_000
        assert stats.bytes_sent == protocol.bytes_received > 100_000


async def test_a_line_when_it_opens_and_one_when_it_closes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "wsproto_async")
    async with serve(echo, 0) as server:
        caplog.clear()
        async with connect(f"ws://127.0.0.1:{server.port}/room") as client:
            await client.send("hello")
            await client.recv()
            name = "{}:{}".format(*client.local_address)
        await until(lambda: not server._websockets)
        opened, closed = (record.message for record in caplog.records)
        assert opened == f"open: {name} /room"
        assert re.fullmatch(
            rf"closed: {name} /room code=1000 duration=\d\.\ds messages=1/1 bytes=\d+/\d+", closed
        )


def forbid(ws: WebSocket, request: Request) -> Response:
    return Response(401)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"origins": ["https://a.b"]}, "403 origin None is not allowed by the parameter origins"),
        (
            {"allowed_hosts": ["a"]},
            "421 host localhost is not allowed by the parameter allowed_hosts",
        ),
        ({"process_request": forbid}, "401 Unauthorized"),
        ({"process_response": lambda ws, request, _: forbid(ws, request)}, "401 Unauthorized"),
        ({"max_connections": 0}, "503 too many connections"),
        ({"max_connections_per_address": 0}, "503 too many connections from this address"),
    ],
)
@pytest.mark.parametrize("is_proxied", [False, True])
async def test_a_line_for_who_is_refused(
    options: dict[str, Any], why: str, is_proxied: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wsproto_async")
    proxies = ["127.0.0.1"] if is_proxied else []
    async with (
        serve(echo, 0, trusted_proxies=proxies, **options) as server,
        tcp_peer(server.port) as peer,
    ):
        caplog.clear()
        target = UPGRADE[0].replace("/ ", "/room?token=s3cret ")
        await peer.send(head(target, *UPGRADE[1:], "X-Forwarded-For: 8.8.8.8"))
        await peer.read_eof()
        name = "8.8.8.8:0" if is_proxied else peer.name
        assert [(record.levelname, record.message) for record in caplog.records] == [
            ("INFO", f"refused: {name} /room?... {why}")
        ]


async def test_a_line_for_a_handshake_that_is_shed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wsproto_async")
    async with serve(echo, 0, max_handshakes=0) as server:
        caplog.clear()
        async with tcp_peer(server.port) as peer:
            await peer.read_eof()
            assert [(record.levelname, record.message) for record in caplog.records] == [
                ("INFO", f"refused: {peer.name} 503 too many handshakes")
            ]


async def test_a_page_leaves_a_line_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "wsproto_async")
    async with serve(echo, 0, liveness="/livez") as server, tcp_peer(server.port) as peer:
        caplog.clear()
        await peer.send(head("GET /livez HTTP/1.1", "Host: localhost"))
        await peer.read_eof()
        assert [(record.levelname, record.message) for record in caplog.records] == [
            ("DEBUG", f"answered: {peer.name} /livez 200")
        ]


async def test_what_a_peer_chooses_is_cut_short(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wsproto_async")
    async with serve(echo, 0) as server, tcp_peer(server.port) as peer:
        target = UPGRADE[0].replace("/ ", f"/{'x' * 8000} ")
        await peer.send(head(target, *UPGRADE[1:], f"Origin: {'y' * 8000}"))
        await peer.read_eof()
        assert " 403 origin yyy" in caplog.text
        assert len(caplog.records[-1].message) < 500


async def test_a_handshake_that_fails_leaves_no_line(caplog: pytest.LogCaptureFixture) -> None:
    async with serve(echo, 0) as server:
        caplog.set_level(logging.INFO, "wsproto_async")
        async with tcp_peer(server.port) as peer:
            await peer.send(b"nonsense\r\n")
            await peer.read_eof()
        await until(lambda: not server._websockets)
        assert caplog.records == []


async def test_how_long_connections_were_open() -> None:
    """Those that were never open do not count."""
    async with serve(echo, 0) as server:
        record = server._record
        before = time.time()
        assert before - 60 < record.started <= before
        for _ in range(2):
            async with connect(f"ws://127.0.0.1:{server.port}/"):
                pass
        async with tcp_peer(server.port) as peer:
            await peer.send(head("GET / HTTP/1.1", "Host: localhost"))
            await peer.read_eof()
        await until(lambda: not server._websockets)
        assert len(record.durations) == len(DURATIONS) + 1
        assert sum(record.durations) == sum(record.durations[:2]) == 2
        assert 0 < record.total_duration < 60
