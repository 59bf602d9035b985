"""Who may come in: handshakes under way, connections, and connections of one address."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from raw_peer import UPGRADE, RawPeer, head, tcp_peer, until

from wsproto_async import Server, WebSocket, connect, serve
from wsproto_async.aio.admission import _key_of

PROXIED = {"trusted_proxies": ["127.0.0.0/8"]}


async def handler(ws: WebSocket) -> None:
    await ws.wait_closed()


def uri(server: Server) -> str:
    return f"ws://127.0.0.1:{server.port}/"


async def is_let_in(server: Server, *lines: str) -> bool:
    """Connect for a moment."""
    async with tcp_peer(server.port) as peer:
        await peer.send(head(*UPGRADE, *lines))
        return (await peer.read_head()).startswith(b"HTTP/1.1 101 ")


async def turned_away(peer: RawPeer, why: bytes) -> None:
    answer = await peer.read_head()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"\r\nRetry-After: 5\r\n" in answer
    assert await peer.read_eof() == why + b"\n"


async def test_the_handshake_that_waits_longest_goes() -> None:
    async with (
        serve(handler, 0, max_handshakes=3) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        peers = []
        for at in range(5):
            peers.append(await stack.enter_async_context(tcp_peer(server.port)))
            await until(lambda at=at: server.stats().handshakes + server.stats().shed == at + 1)
        for peer in peers[:2]:
            await turned_away(peer, b"too many handshakes")
        for peer in peers[2:]:
            await peer.send(head(*UPGRADE))
            assert (await peer.read_head()).startswith(b"HTTP/1.1 101 ")
        assert server.stats().shed == 2


async def test_however_many_are_slow_others_get_in() -> None:
    async with (
        serve(handler, 0, max_handshakes=10) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        for at in range(100):
            slow = await stack.enter_async_context(tcp_peer(server.port))
            await slow.send(b"GET / HTTP/1.1\r\n")
            if at % 10 == 0:
                assert await is_let_in(server)
        await until(lambda: server.stats().shed == 90)
        assert server.stats().handshakes == 10


async def test_a_request_that_is_being_answered_is_no_slow_handshake() -> None:
    async def hook(ws: WebSocket, request: Any) -> None:
        entered.set()
        await go_on.wait()

    entered, go_on = asyncio.Event(), asyncio.Event()
    async with (
        serve(handler, 0, max_handshakes=1, process_request=hook) as server,
        tcp_peer(server.port) as first,
    ):
        await first.send(head(*UPGRADE))
        await entered.wait()
        async with tcp_peer(server.port), tcp_peer(server.port):
            await until(lambda: server.stats().shed == 1)
        go_on.set()
        assert (await first.read_head()).startswith(b"HTTP/1.1 101 ")


async def test_those_who_are_shed_are_gone_soon() -> None:
    """They may not answer, and still they cannot pile up for ``close_timeout``."""
    async with (
        serve(handler, 0, max_handshakes=1, close_timeout=600) as server,
        tcp_peer(server.port) as first,
        tcp_peer(server.port),
    ):
        await turned_away(first, b"too many handshakes")
        await until(lambda: len(server._websockets) == 1)


@pytest.mark.parametrize(
    ("limit", "hosts", "expected"),
    [
        (2, ["8.8.8.8"] * 3, [True, True, False]),
        (2, ["8.8.8.8", "8.8.4.4", "8.8.8.8", "8.8.4.4"], [True] * 4),
        (1, ["2a00::1", "2a00::2", "2a00:0:0:1::1"], [True, False, True]),
        (0, ["8.8.8.8"], [False]),
        (1, ["10.0.0.1", "10.0.0.1"], [True, False]),
        ("auto", ["10.0.0.1"] * 3, [True] * 3),
        (None, ["8.8.8.8"] * 3, [True] * 3),
    ],
)
async def test_connections_of_one_address(limit: Any, hosts: list[str], expected: list) -> None:
    async with (
        serve(handler, 0, max_connections_per_address=limit, **PROXIED) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        let_in = []
        for host in hosts:
            peer = await stack.enter_async_context(tcp_peer(server.port))
            await peer.send(head(*UPGRADE, f"X-Forwarded-For: {host}"))
            answer = await peer.read_head()
            assert answer.startswith((b"HTTP/1.1 101 ", b"HTTP/1.1 503 "))
            let_in.append(answer.startswith(b"HTTP/1.1 101 "))
            if not let_in[-1]:
                assert await peer.read_eof() == b"too many connections from this address\n"
        assert let_in == expected


async def test_a_public_address_has_a_limit_by_itself() -> None:
    async with (
        serve(handler, 0, **PROXIED) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        for at in range(1025):
            peer = await stack.enter_async_context(tcp_peer(server.port))
            await peer.send(head(*UPGRADE, "X-Forwarded-For: 8.8.8.8"))
            answer = await peer.read_head()
            assert answer.startswith(b"HTTP/1.1 101 " if at < 1024 else b"HTTP/1.1 503 ")


async def test_who_has_gone_does_not_count() -> None:
    async with serve(handler, 0, max_connections_per_address=1) as server:
        for _ in range(3):
            async with connect(uri(server)):
                assert not await is_let_in(server)
            await until(lambda: not server._websockets)
        assert server._admission._by_address == {}


async def test_who_is_refused_does_not_count() -> None:
    async with (
        serve(handler, 0, max_connections_per_address=1, close_timeout=5) as server,
        tcp_peer(server.port) as peer,
    ):
        await peer.send(head(*UPGRADE, "Origin: http://evil.example"))
        assert (await peer.read_head()).startswith(b"HTTP/1.1 403 ")
        assert await is_let_in(server)


@pytest.mark.parametrize(
    "name", ["max_handshakes", "max_connections", "max_connections_per_address"]
)
@pytest.mark.parametrize("limit", [-1, "many", "auto", 0.5])
def test_limits_that_are_none(name: str, limit: Any) -> None:
    if (name, limit) == ("max_connections_per_address", "auto"):
        return
    with pytest.raises((TypeError, ValueError), match=f"^{name} must be "):
        serve(handler, 0, **{name: limit})


def test_what_addresses_are_counted_under() -> None:
    assert _key_of("8.8.8.8") == ("8.8.8.8", True)
    assert _key_of("::ffff:8.8.8.8") == ("8.8.8.8", True)
    assert _key_of("127.0.0.1") == ("127.0.0.1", False)
    assert _key_of("2a00::1") == ("2a00::/64", True)
    assert _key_of("fe80::1%eth0") == ("fe80::/64", False)
    assert _key_of("unix") == ("unknown", False)


@pytest.mark.parametrize("request_", [head("Host: localhost"), b"nonsense\r\n\r\n"])
async def test_those_who_stay_after_a_refusal_are_few(request_: bytes) -> None:
    """As many as there may be handshakes; the one that was refused first goes."""
    async with (
        serve(handler, 0, max_handshakes=3, close_timeout=60) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        peers = []
        for at in range(5):
            peer = await stack.enter_async_context(tcp_peer(server.port))
            peers.append(peer)
            await peer.send(request_)
            assert (await peer.read_head()).startswith(b"HTTP/1.1 4")
            await until(lambda at=at: server.stats().refused == at + 1)
        await until(lambda: len(server._websockets) == 3)
        assert server.stats().shed == 0
        assert await is_let_in(server)
