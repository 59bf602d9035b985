"""One connection's part of a turn of the loop: however much has come at once, others get theirs."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from raw_peer import BINARY, PING, PONG, TEXT, UPGRADE, frame, head, raw_peer, tcp_peer, until

from wsproto_async import PerMessageDeflate, State, WebSocket, connect, serve
from wsproto_async.aio.turns import Turns

ALL_AT_ONCE = 6000  # tiny frames: 36,000 bytes, far less than one read
AT_MOST = 2 * 82  # frames in one turn: one that is read, and one in line


def longest_run(steps: list[str]) -> int:
    """How often the first name stands in a row."""
    longest = run = 0
    for step in steps:
        run = run + 1 if step == "flood" else 0
        longest = max(longest, run)
    return longest


async def count_turns(steps: list[str]) -> None:
    while True:
        steps.append("turn")
        await asyncio.sleep(0)


@pytest.mark.parametrize("size", [0, 1, 300])
async def test_a_handler_that_never_waits_gives_the_others_their_turn(size: int) -> None:
    steps: list[str] = []

    async def handler(ws: WebSocket) -> None:
        async for _ in ws:
            steps.append("flood")

    async with serve(handler, 0, read_limit=2**20) as server, raw_peer(server.port) as peer:
        counting = asyncio.create_task(count_turns(steps))
        await peer.send(frame(BINARY, bytes(size)) * ALL_AT_ONCE)
        await until(lambda: steps.count("flood") == ALL_AT_ONCE)
        counting.cancel()
    assert longest_run(steps) <= AT_MOST


async def test_pings_are_answered_in_parts() -> None:
    """All of them are answered in the end, and in between others are served."""
    async with (
        serve(lambda ws: ws.wait_closed(), 0) as server,
        raw_peer(server.port) as peer,
        connect(f"ws://127.0.0.1:{server.port}/") as other,
    ):
        (ws,) = [ws for ws in server.connections if ws.remote_address != other.local_address]
        connection = ws._protocol.connection
        frames = [0]
        await peer.send(frame(PING, b"x") * ALL_AT_ONCE)
        while connection.frames < ALL_AT_ONCE:
            frames.append(connection.frames)
            await asyncio.sleep(0)
        assert max(after - before for before, after in pairwise(frames)) <= AT_MOST
        for _ in range(ALL_AT_ONCE):
            assert await peer.read_frame() == (PONG, b"x", True)


def bomb(size: int) -> bytes:
    """A message of so many zeros, compressed."""
    compressor = zlib.compressobj(wbits=-15)
    payload = compressor.compress(bytes(size)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    encoded = bytearray(frame(BINARY, payload[:-4]))
    encoded[0] |= 0x40  # RSV1
    return bytes(encoded)


@pytest.mark.parametrize(
    ("size", "count", "longest", "least"), [(200_000, 50, 4, 25), (2**24, 1, 1, 40)]
)
async def test_what_is_decoded_counts(size: int, count: int, longest: int, least: int) -> None:
    """A little of DEFLATE is a lot of work, in many messages or in one."""
    turns: list[str] = []

    async def handler(ws: WebSocket) -> None:
        async for message in ws:
            assert len(message) == size
            turns.append("flood")

    async with (
        serve(
            handler, 0, compression=PerMessageDeflate(), read_limit=2**24, max_size=2**24
        ) as server,
        tcp_peer(server.port) as peer,
    ):
        await peer.send(
            head(
                *UPGRADE,
                "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover",
            )
        )
        assert b"permessage-deflate" in await peer.read_head()
        (ws,) = server.connections
        payload = bomb(size) * count
        await peer.send(payload[:1])
        await until(lambda: ws._protocol.connection.is_amid_frame())
        counting = asyncio.create_task(count_turns(turns))
        await peer.send(payload[1:])
        await until(lambda: turns.count("flood") == count)
        counting.cancel()
    assert longest_run(turns) <= longest
    assert turns.count("turn") >= least


async def test_the_end_comes_after_the_rest(link: Callable) -> None:
    """A peer that hangs up behind a flood has been heard to its end."""
    async with link(read_limit=2**20) as (ws, peer):
        await peer.send(peer.frame(TEXT, b"x") * ALL_AT_ONCE)
        await peer.send_close()
        peer.finish()
        count = 0
        async for message in ws:
            assert message == "x"
            count += 1
        assert count == ALL_AT_ONCE
        assert ws.close_code == 1000


async def test_cut_off_behind_a_flood(link: Callable) -> None:
    async with link(read_limit=2**20) as (ws, peer):
        await peer.send(peer.frame(TEXT, b"x") * ALL_AT_ONCE)
        peer.sock.close()
        received = 0
        with pytest.raises(Exception, match="no close frame"):
            while True:
                assert await ws.recv() == "x"
                received += 1
        assert received == ALL_AT_ONCE
        assert ws.state is State.CLOSED


class Waiting:
    """Somebody in line, who notes the budgets that are given, and does or raises nothing else."""

    def __init__(self, error: Exception | None = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.budgets: list[int] = []
        self.error = error

    def go_on(self, budget: int) -> None:
        self.budgets.append(budget)
        if self.error is not None:
            raise self.error


async def test_newcomers_begin_small_while_others_are_in_line() -> None:
    turns = Turns()
    whole = turns.budget
    one = Waiting()
    turns.wait(one)
    assert turns.budget < whole / 4
    await until(lambda: one.budgets == [whole])
    assert turns.budget == whole


async def test_an_error_of_one_in_line_does_not_stop_the_others() -> None:
    turns = Turns()
    errors: list[Exception] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    failing = [Waiting(LookupError(str(number))) for number in range(3)]
    last = Waiting()
    for waiting in (*failing, last):
        turns.wait(waiting)
    await until(lambda: len(last.budgets) == 1)
    assert errors == [waiting.error for waiting in failing]


async def test_who_only_sends_gives_the_others_their_turn() -> None:
    steps: list[str] = []

    async def handler(ws: WebSocket) -> None:
        for _ in range(1000):
            await ws.send(b"x")
            steps.append("flood")

    async with serve(handler, 0) as server:
        counting = asyncio.create_task(count_turns(steps))
        async with raw_peer(server.port) as peer:
            for _ in range(1000):
                assert await peer.read_frame() == (BINARY, b"x", True)
        counting.cancel()
    assert longest_run(steps) <= 20


async def test_who_only_sends_learns_that_the_network_has_failed() -> None:
    over = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        try:
            while True:
                await ws.send(b"x" * 100)
        finally:
            over.set()

    async with serve(handler, 0) as server:
        async with raw_peer(server.port) as peer:
            peer.reset()
        async with asyncio.timeout(5):
            await over.wait()


async def test_records_of_one_read_have_one_budget(tls: Any) -> None:
    """Each of them is little work, and there are hundreds."""
    async with (
        serve(lambda ws: ws.wait_closed(), 0, ssl=tls.server) as server,
        connect(f"wss://127.0.0.1:{server.port}/", ssl=tls.client) as client,
    ):
        (ws,) = server.connections
        connection = ws._protocol.connection
        record = frame(PONG, b"x") * 20  # four fifths of a small budget
        lower = client._protocol.transport
        lower.writelines([record] * 200)
        frames = [0]
        while frames[-1] < 4000:
            await asyncio.sleep(0)
            frames.append(connection.frames)
        assert max(after - before for before, after in pairwise(frames)) <= AT_MOST + 40
