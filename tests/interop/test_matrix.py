"""Every scenario with every peer: what the tables in docs/interop_table.md are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from matrix import CANNOT, OPTIONS, PEERS
from peers.base import Peer, Security
from scenarios import SCENARIOS, Pair

from wsproto_async import WebSocket, connect, serve

pytestmark = pytest.mark.interop

TIME_LIMIT = 20


def cells() -> list[Any]:
    return [
        pytest.param(role, peer, scenario, id=f"{role}-{peer}-{scenario}")
        for role, peers in PEERS.items()
        for peer in peers
        for scenario in SCENARIOS
        if scenario not in CANNOT.get((role, peer), {})
    ]


@pytest.mark.parametrize(("role", "peer", "scenario"), cells())
async def test_cell(
    role: str, peer: str, scenario: str, security: Security, record_property: Callable
) -> None:
    record_property("cell", (role, peer, scenario))
    options = OPTIONS.get((role, peer), {})
    for play in SCENARIOS[scenario]:
        async with asyncio.timeout(TIME_LIMIT):
            if role == "client":
                await against_our_server(play, PEERS[role][peer], security, options)
            else:
                await against_our_client(play, PEERS[role][peer], security, options)


async def against_our_server(
    play: Callable, connect_peer: Callable, security: Security, options: dict[str, Any]
) -> None:
    ours: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()

    async def handler(ws: WebSocket) -> None:
        ours.set_result(ws)
        await ws.wait_closed()

    options = {"subprotocols": ["chat.v2", "chat.v1"], **options}
    async with serve(handler, 0, ssl=security.server, **options) as server:
        uri = security.uri(server.port)
        async with connect_peer(uri, security, subprotocols=["chat.v1", "chat.v0"]) as peer:
            await play(Pair(await ours, peer))


async def against_our_client(
    play: Callable, serve_peer: Callable, security: Security, options: dict[str, Any]
) -> None:
    done = asyncio.Event()
    theirs: asyncio.Future[Peer] = asyncio.get_running_loop().create_future()

    async def handler(peer: Peer) -> None:
        theirs.set_result(peer)
        await done.wait()

    options = {"subprotocols": ["chat.v1", "chat.v0"], **options}
    async with (
        serve_peer(handler, security, subprotocols=["chat.v2", "chat.v1"]) as port,
        connect(security.uri(port), ssl=security.client, **options) as ws,
    ):
        try:
            await play(Pair(ws, await theirs))
        finally:
            done.set()
