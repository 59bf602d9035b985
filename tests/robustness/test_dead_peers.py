"""Clients that die, hang or fall silent are dropped in time, and nobody else notices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from raw_peer import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    RawPeer,
    frame,
    frame_header,
    masked,
    raw_peer,
    tcp_peer,
    until,
    within,
)

from wsproto_async import ConnectionClosed, ConnectionClosedError, Server, WebSocket, connect, serve

PING_INTERVAL = 0.2
PING_TIMEOUT = 0.2
CLOSE_TIMEOUT = 0.2
OPEN_TIMEOUT = 0.2
QUICK = {
    "ping_interval": PING_INTERVAL,
    "ping_timeout": PING_TIMEOUT,
    "close_timeout": CLOSE_TIMEOUT,
}


class Watched:
    """An echo server that keeps how each connection ended, by the client's first message."""

    def __init__(self) -> None:
        self.server: Server | None = None
        self.ends: list[ConnectionClosed] = []

    async def handler(self, ws: WebSocket) -> None:
        try:
            while True:
                message = await ws.recv()
                if message == "close":
                    await ws.close()
                await ws.send(message)
        except ConnectionClosed as exc:
            if ws.path != "/bystander":
                self.ends.append(exc)


@asynccontextmanager
async def bystander(port: int) -> AsyncIterator[None]:
    """A good client that goes on talking, and must get every answer at once."""
    slowest = 0.0
    rounds = 0
    stop = asyncio.Event()

    async def talk() -> None:
        nonlocal slowest, rounds
        async with connect(f"ws://127.0.0.1:{port}/bystander") as ws:
            while rounds == 0 or not stop.is_set():
                start = time.monotonic()
                await ws.send(f"round {rounds}")
                assert await ws.recv() == f"round {rounds}"
                slowest = max(slowest, time.monotonic() - start)
                rounds += 1
                await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        group.create_task(talk())
        yield
        stop.set()
    assert slowest < 2


@asynccontextmanager
async def watched(**options: float) -> AsyncIterator[Watched]:
    """A server and its bystander; at the end there is nobody else left."""
    state = Watched()
    async with serve(state.handler, 0, **QUICK, **options) as state.server:
        async with bystander(state.server.port):
            yield state
            await until(lambda: len(state.server.connections) <= 1)
        await until(lambda: not state.server.connections)
        await until(lambda: asyncio.all_tasks() == {asyncio.current_task()})


async def kill_in_header(peer: RawPeer) -> None:
    await peer.send(frame_header(BINARY, 1000)[:3])


async def kill_in_key(peer: RawPeer) -> None:
    await peer.send(frame_header(BINARY, 1000) + b"\x01\x02")


async def kill_in_payload(peer: RawPeer) -> None:
    await peer.send(frame_header(BINARY, 1000) + masked(b"half"))


async def kill_in_fragments(peer: RawPeer) -> None:
    await peer.send(frame(TEXT, b"half", fin=False))


async def kill_when_idle(peer: RawPeer) -> None:
    await peer.send(frame(TEXT, b"whole"))
    await peer.read_message()


DEATHS = [kill_in_header, kill_in_key, kill_in_payload, kill_in_fragments, kill_when_idle]


@pytest.mark.parametrize("end", [RawPeer.reset, RawPeer.finish], ids=["RST", "FIN"])
@pytest.mark.parametrize("prepare", DEATHS)
async def test_killed(prepare: Callable[[RawPeer], Awaitable], end: Callable) -> None:
    """Well before any timeout: the server needs no ping to know."""
    async with watched() as state:
        async with raw_peer(state.server.port) as peer:
            await prepare(peer)
            start = time.monotonic()
            end(peer)
            await until(lambda: state.ends)
            if end is RawPeer.finish:
                await peer.read_eof()
            assert time.monotonic() - start < CLOSE_TIMEOUT + 2
        [exc] = state.ends
        assert type(exc) is ConnectionClosedError
        assert (exc.code, exc.received) == (1006, None)


async def test_silent() -> None:
    """It reads everything and never answers a ping."""
    async with watched() as state, raw_peer(state.server.port) as peer:
        start = time.monotonic()
        assert (await peer.read_message()).opcode == PING
        closing = await peer.read_message()
        assert closing.close_code == 1011
        assert closing.payload[2:]
        assert time.monotonic() - start >= PING_TIMEOUT
        assert await within(CLOSE_TIMEOUT, peer.read_eof()) == b""
        assert time.monotonic() - start < PING_INTERVAL + PING_TIMEOUT + CLOSE_TIMEOUT + 2
        await until(lambda: state.ends)
        assert state.ends[0].sent.code == 1011


async def test_silent_in_a_message() -> None:
    async with watched() as state, raw_peer(state.server.port) as peer:
        await kill_in_payload(peer)
        assert (await peer.read_close()).close_code == 1011
        assert await within(CLOSE_TIMEOUT, peer.read_eof()) == b""


async def test_half_closed_and_silent() -> None:
    """FIN without a Close frame is the end: no ping can be answered any more."""
    async with watched() as state, raw_peer(state.server.port) as peer:
        peer.finish()
        assert await within(CLOSE_TIMEOUT, peer.read_eof()) == b""


async def test_close_that_is_never_answered() -> None:
    async with watched() as state, raw_peer(state.server.port) as peer:
        await peer.send(frame(TEXT, b"close"))
        start = time.monotonic()
        assert (await peer.read_close()).close_code == 1000
        assert await within(CLOSE_TIMEOUT, peer.read_eof()) == b""
        assert time.monotonic() - start < CLOSE_TIMEOUT + 2
        await until(lambda: state.ends)
        assert (state.ends[0].code, state.ends[0].sent.code) == (1006, 1000)


async def test_close_answered_with_endless_data() -> None:
    async with watched() as state, raw_peer(state.server.port) as peer:
        await peer.send(frame(TEXT, b"close"))
        assert (await peer.read_close()).close_code == 1000
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(CLOSE_TIMEOUT + 2):
                while True:
                    await peer.send(frame(TEXT, b"not now") * 100)
                    await asyncio.sleep(0)


async def test_close_and_then_no_fin() -> None:
    """After both Close frames the server hangs up, whether the client does or not."""
    async with watched() as state, raw_peer(state.server.port) as peer:
        await peer.send(frame(CLOSE, b"\x03\xe8"))
        assert (await peer.read_message()).close_code == 1000
        assert await within(CLOSE_TIMEOUT, peer.read_eof()) == b""


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\n"], ids=["nothing", "a request line"])
@pytest.mark.parametrize("end", [RawPeer.reset, RawPeer.finish], ids=["RST", "FIN"])
async def test_killed_in_the_handshake(begun: bytes, end: Callable) -> None:
    async with watched() as state, tcp_peer(state.server.port) as peer:
        await peer.send(begun)
        end(peer)
        if end is RawPeer.finish:
            answer = await within(CLOSE_TIMEOUT, peer.read_eof())
            assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


async def test_any_byte_is_a_sign_of_life() -> None:
    """A message that takes long to arrive is no reason to drop who is sending it."""
    payload = masked(b"x" * 40)
    async with watched() as state, raw_peer(state.server.port) as peer:
        await peer.send(frame_header(TEXT, 40))
        for byte in payload:
            await peer.send(bytes([byte]))
            await asyncio.sleep((PING_INTERVAL + PING_TIMEOUT) * 2 / len(payload))
        while (message := await peer.read_message()).opcode == PING:
            await peer.send(frame(PONG, message.payload))
        assert message.payload == b"x" * 40


async def test_a_client_that_only_answers_pings_stays() -> None:
    async with watched() as state, raw_peer(state.server.port) as peer:
        for _ in range(3):
            message = await peer.read_message()
            assert message.opcode == PING
            await peer.send(frame(PONG, message.payload))
        await peer.send(frame(TEXT, b"still here"))
        assert (await peer.read_message()).payload == b"still here"


async def test_many_at_once() -> None:
    """All ways to die together: each is dropped, and the bystander never waits."""

    async def die(prepare: Callable, end: Callable | None) -> None:
        async with raw_peer(state.server.port) as peer:
            await prepare(peer)
            if end is not None:
                end(peer)
            if end is not RawPeer.reset:
                await peer.read_eof()

    async with watched() as state:
        ends = (RawPeer.reset, RawPeer.finish, None)
        async with asyncio.TaskGroup() as group:
            deaths = [
                group.create_task(die(prepare, end))
                for prepare in DEATHS
                for end in ends
                for _ in range(10)
            ]
        await until(lambda: len(state.ends) == len(deaths))
        assert {exc.code for exc in state.ends} == {1006}
