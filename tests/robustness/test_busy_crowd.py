"""More busy connections than uvloop looks at at once: it looks again and again in one turn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import pairwise

import pytest
from raw_peer import TEXT, UPGRADE, frame, head, until

from wsproto_async import WebSocket, serve

PEERS = 1_200
QUESTION, ANSWER = frame(TEXT, b"x"), b"\x81\x01x"
# Each peer once, and what is read before the turn is known to be a long one.
AT_MOST = PEERS + 2_048


class Crowd:
    """Peers on the server's own event loop, which ask again as soon as they have an answer."""

    def __init__(self, port: int, stack: ExitStack) -> None:
        self.port = port
        self.loop = asyncio.get_running_loop()
        self.stack = stack
        self.peers: list[socket.socket] = []
        self.upgraded = 0
        self.codes: list[int] = []

    async def join(self, count: int) -> None:
        for _ in range(count):
            peer = self.stack.enter_context(socket.socket())
            peer.setblocking(False)
            await self.loop.sock_connect(peer, ("127.0.0.1", self.port))
            self.peers.append(peer)
            self.loop.add_reader(peer, self.read, peer)
            peer.send(head(*UPGRADE))

    def read(self, peer: socket.socket) -> None:
        data = peer.recv(4096)
        if data.startswith(b"HTTP/1.1 101"):
            self.upgraded += 1
        elif data.endswith(ANSWER):
            peer.send(QUESTION)
        else:
            self.loop.remove_reader(peer)
            self.codes.append(int.from_bytes(data[-2:], "big"))
            peer.close()


@contextmanager
def crowd_at(port: int) -> Iterator[Crowd]:
    with ExitStack() as stack:
        yield Crowd(port, stack)


@pytest.mark.usefixtures("many_files")
async def test_a_turn_serves_each_of_them_about_once() -> None:
    served = 0

    async def handler(ws: WebSocket) -> None:
        nonlocal served
        async for message in ws:
            served += 1
            await ws.send(message)

    async with serve(handler, 0) as server:
        with crowd_at(server.port) as crowd:
            await crowd.join(PEERS)
            await until(lambda: crowd.upgraded == PEERS)
            for peer in crowd.peers:
                peer.send(QUESTION)
            in_turns = [0]
            while in_turns[-1] < 6 * PEERS:
                await asyncio.sleep(0)
                in_turns.append(served)
            longest = max(after - before for before, after in pairwise(in_turns))
            assert longest <= AT_MOST
            server.close(grace=None)
            await until(lambda: len(crowd.codes) == PEERS)
            assert set(crowd.codes) == {1001}
