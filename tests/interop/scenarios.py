"""What is played between our end and a peer; which of them is the server does not matter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from peers.base import CLOSES, SIZES, Closed, Peer, binary_of, text_of

from wsproto_async import ConnectionClosed, ConnectionClosedError, WebSocket

MESSAGES = [make(size) for size in SIZES for make in (text_of, binary_of)]
PROSE = "the quick brown fox jumps over the lazy dog, " * 500


class Pair:
    """Our end and the peer, connected."""

    def __init__(self, ours: WebSocket, peer: Peer) -> None:
        self.ours = ours
        self.peer = peer

    async def both_ways(self, message: str | bytes, **options: Any) -> None:
        await self.peer.send(message)
        assert await self.ours.recv() == message
        await self.ours.send(message, **options)
        assert await self.peer.recv() == message


async def messages(pair: Pair) -> None:
    for message in MESSAGES:
        await pair.both_ways(message)


async def our_fragments(pair: Pair) -> None:
    async def pieces() -> AsyncIterator[str]:
        for piece in ("He", "", "llö ", "wörld"):
            yield piece

    await pair.ours.send(pieces())
    assert await pair.peer.recv() == "Hellö wörld"
    await pair.ours.send([b"one", b"", b"two"])
    assert await pair.peer.recv() == b"onetwo"
    await pair.ours.send([PROSE, PROSE])
    assert await pair.peer.recv() == PROSE * 2


async def their_fragments(pair: Pair) -> None:
    for fragments in (["He", "", "llö ", "wörld"], [b"one", b"", b"two"], [PROSE, PROSE]):
        await pair.peer.send_fragments(fragments)
        assert await pair.ours.recv() == type(fragments[0])().join(fragments)


async def compressed(pair: Pair) -> None:
    agreed = pair.ours.response.headers["Sec-WebSocket-Extensions"]
    assert agreed.startswith("permessage-deflate")
    for message in (PROSE, PROSE.encode(), "short", b"", PROSE):
        await pair.both_ways(message, compress=True)
    await pair.both_ways(PROSE, compress=False)


async def our_pings(pair: Pair) -> None:
    receiving = asyncio.create_task(receive_to_the_end(pair.peer))  # some answer only meanwhile
    for payload in (b"", b"payload", bytes(range(125))):
        await (await pair.ours.ping(payload))
    await pair.ours.close()
    await receiving


async def receive_to_the_end(peer: Peer) -> None:
    with suppress(Closed):
        await peer.recv()


async def their_pings(pair: Pair) -> None:
    for payload in (b"payload", bytes(range(125))):
        await pair.peer.ping(payload)


async def subprotocol(pair: Pair) -> None:
    assert pair.ours.subprotocol == pair.peer.subprotocol == "chat.v1"


async def we_close(pair: Pair, code: int, reason: str) -> None:
    await pair.ours.send("last words")
    closing = asyncio.create_task(pair.ours.close(code, reason))
    assert await pair.peer.recv() == "last words"
    with pytest.raises(Closed) as closed:
        await pair.peer.recv()
    assert closed.value.seen == (code, reason)
    await closing
    assert pair.ours.close_code in (code, 1000)  # what the peer answers is up to it


async def they_close(pair: Pair, code: int, reason: str) -> None:
    await pair.peer.send("last words")
    assert await pair.peer.close(code, reason) == code
    assert await pair.ours.recv() == "last words"
    with pytest.raises(ConnectionClosed) as closed:
        await pair.ours.recv()
    assert (closed.value.code, closed.value.reason) == (code, reason)


async def we_die(pair: Pair) -> None:
    pair.ours.abort()
    with pytest.raises(Closed) as closed:
        await pair.peer.recv()
    assert closed.value.seen[0] in (1006, 1005)  # as ASGI has it


async def they_die(pair: Pair) -> None:
    await pair.both_ways("alive")
    pair.peer.abort()
    with pytest.raises(ConnectionClosedError) as closed:
        await pair.ours.recv()
    assert closed.value.code == 1006


CODES = [close for close in CLOSES if close[0] in (1000, 3000, 4999)]  # those that a page may send

# What is played, each time on a connection of its own.
SCENARIOS: dict[str, list[Callable[[Pair], Awaitable[None]]]] = {
    "messages": [messages],
    "our fragments": [our_fragments],
    "their fragments": [their_fragments],
    "compressed": [compressed],
    "our pings": [our_pings],
    "their pings": [their_pings],
    "subprotocol": [subprotocol],
    "we close": [partial(we_close, code=code, reason=reason) for code, reason in CODES],
    "they close": [partial(they_close, code=code, reason=reason) for code, reason in CODES],
    "we die": [we_die],
    "they die": [they_die],
}
