"""Cancelling recv, send, ping or close at any moment loses no message and breaks no frame."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from random import Random

import pytest
from raw_peer import (
    BINARY,
    CLOSE,
    PATIENCE,
    PING,
    PONG,
    TEXT,
    close_frame,
    frame,
    raw_peer,
    small_listener,
    until,
    within,
)

from wsproto_async import ConnectionClosed, WebSocket, connect, serve

CLOSE_TIMEOUT = 0.2
MESSAGES = 10_000


async def test_recv_loses_nothing_when_it_times_out() -> None:
    """Messages come one by one, while recv() runs into a timeout again and again."""
    received: list[str | bytes] = []
    timeouts = 0
    done = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        nonlocal timeouts
        random = Random(1)
        while not received or received[-1] != "end":
            try:
                async with asyncio.timeout(random.choice((0, 0, 0, 0.00001, 0.0001))):
                    received.append(await ws.recv())
            except TimeoutError:
                timeouts += 1
        done.set()

    random = Random(2)
    async with (
        asyncio.timeout(60),
        serve(handler, 0) as server,
        connect(f"ws://127.0.0.1:{server.port}") as ws,
    ):
        for number in range(MESSAGES):
            await ws.send(f"{number}")
            for _ in range(random.randrange(12)):
                await asyncio.sleep(0)
        await ws.send("end")
        await done.wait()
    assert received == [*(f"{number}" for number in range(MESSAGES)), "end"]
    assert timeouts > MESSAGES


@pytest.mark.parametrize("streaming", [False, True], ids=["recv", "recv_streaming"])
async def test_recv_loses_nothing_when_its_task_is_cancelled(streaming: bool) -> None:
    received: list[str | bytes] = []

    async def receive(ws: WebSocket) -> None:
        if streaming:
            async with contextlib.aclosing(ws.recv_streaming()) as pieces:
                async for piece in pieces:
                    received.append(piece)
        else:
            received.append(await ws.recv())

    async def handler(ws: WebSocket) -> None:
        random = Random(3)
        with contextlib.suppress(ConnectionClosed):
            while True:
                task = asyncio.create_task(receive(ws))
                for _ in range(random.randrange(4)):
                    await asyncio.sleep(0)
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    random = Random(4)
    async with asyncio.timeout(60), serve(handler, 0) as server, raw_peer(server.port) as peer:
        for number in range(1000):
            data = frame(TEXT, b"%d " % number)
            cut = random.randrange(len(data))
            await peer.send(data[:cut])
            for _ in range(random.randrange(4)):
                await asyncio.sleep(0)
            await peer.send(data[cut:])
        await peer.send(close_frame(1000))
        await peer.read_close()
        await peer.read_eof()
    assert "".join(received) == "".join(f"{number} " for number in range(1000))


@pytest.mark.parametrize("slow", [False, True], ids=["fast reader", "slow reader"])
async def test_send_and_ping_leave_whole_frames_only(slow: bool) -> None:
    """The peer sees valid messages in order, among them all whose send() returned."""
    completed: list[int] = []
    cancelled = 0

    async def handler(ws: WebSocket) -> None:
        nonlocal cancelled
        random = Random(5)
        tasks = []
        for number in range(800):
            payload = b"%d " % number + b"x" * random.choice((0, 100, 5000, 70_000))
            send = asyncio.create_task(ws.send(payload), name=str(number))
            ping = asyncio.create_task(ws.ping(b"%d" % number))
            for _ in range(random.randrange(4)):
                await asyncio.sleep(0)
            for task in (send, ping):
                if random.random() < 0.5:
                    task.cancel()
            tasks += [send, ping]
            if number % 10 == 0:
                await asyncio.wait(tasks)
        await asyncio.wait(tasks)
        for task in tasks[::2]:
            if task.cancelled():
                cancelled += 1
            else:
                task.result()
                completed.append(int(task.get_name()))
        await ws.close()

    seen: list[int] = []
    async with (
        asyncio.timeout(60),
        serve(handler, 0, sock=small_listener(), write_limit=2**16, ping_interval=None) as server,
        raw_peer(server.port, small=True) as peer,
    ):
        while (message := await peer.read_message()).opcode != CLOSE:
            if message.opcode == PING:
                await peer.send(frame(PONG, message.payload))
                continue
            assert message.opcode == BINARY
            number, _, filler = message.payload.partition(b" ")
            assert set(filler) <= {ord("x")}
            assert len(filler) in (0, 100, 5000, 70_000)
            seen.append(int(number))
            if slow and len(seen) % 50 == 0:
                await asyncio.sleep(0.005)
        assert message.close_code == 1000
        await peer.send(close_frame(1000))
        await peer.read_eof()
    assert seen == sorted(set(seen))
    assert set(completed) <= set(seen)
    assert completed
    assert cancelled


@pytest.mark.parametrize("turns", range(8))
async def test_half_a_fragmented_message_is_never_taken_for_a_whole_one(turns: int) -> None:
    """Cancelled between fragments, the message is not there; what comes after it is still valid."""

    async def fragments() -> AsyncIterator[str]:
        for _ in range(3):
            yield "fragment"
            await asyncio.sleep(0)

    async def handler(ws: WebSocket) -> None:
        sending = asyncio.create_task(ws.send(fragments()))
        for _ in range(turns):
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait([sending])
        outcome.set_result(sending.cancelled())
        with contextlib.suppress(ConnectionClosed):
            await ws.send("next")

    outcome = asyncio.get_running_loop().create_future()
    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        messages = []
        while (message := await peer.read_message()).opcode != CLOSE:
            messages.append(message.payload.decode())
        was_cancelled = await outcome
        if not was_cancelled:
            assert messages == ["fragment" * 3, "next"]
        elif message.close_code == 1000:
            assert messages == ["next"]
        else:
            assert (messages, message.close_code) == ([], 1011)


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("answers", [False, True], ids=["silent peer", "answering peer"])
async def test_close_goes_on_when_its_caller_is_cancelled(turns: int, answers: bool) -> None:
    async def handler(ws: WebSocket) -> None:
        closing = asyncio.create_task(ws.close(4000, "enough"))
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        if turns == 0:  # it has not even begun
            await ws.close(4000, "enough")
        await ws.wait_closed()
        ended.set_result(ws.close_code)

    ended = asyncio.get_running_loop().create_future()
    async with (
        serve(handler, 0, close_timeout=PATIENCE if answers else CLOSE_TIMEOUT) as server,
        raw_peer(server.port) as peer,
    ):
        closing = await peer.read_message()
        assert (closing.opcode, closing.payload[2:]) == (CLOSE, b"enough")
        if answers:
            await peer.send(close_frame(4000))
            peer.finish()
        assert await within(CLOSE_TIMEOUT, peer.read_eof()) == b""
        assert await within(CLOSE_TIMEOUT, ended) == (4000 if answers else 1006)


async def test_cancelled_pongs_do_not_reach_other_waiters() -> None:
    """Cancelling the wait for one pong leaves the others alone."""

    async def handler(ws: WebSocket) -> None:
        waiters = [await ws.ping(b"%d" % number) for number in range(10)]
        for waiter in waiters[::2]:
            waiter.cancel()
        latencies.extend(await asyncio.gather(*waiters[1::2]))

    latencies: list[float] = []
    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        pings = [await peer.read_message() for _ in range(10)]
        for ping in pings:
            await peer.send(frame(PONG, ping.payload))
        assert (await peer.read_close()).close_code == 1000
    assert len(latencies) == 5
    assert all(0 <= latency < 10 for latency in latencies)


async def test_cancelled_connects_leave_nothing() -> None:
    """connect() cancelled at every step: no socket and no task stays on either side."""

    async def handler(ws: WebSocket) -> None:
        with contextlib.suppress(ConnectionClosed):
            await ws.recv()

    async with serve(handler, 0) as server:
        before = asyncio.all_tasks()
        for turns in range(30):
            connecting = asyncio.ensure_future(_connect(server.port))
            for _ in range(turns):
                await asyncio.sleep(0)
            connecting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await (await connecting).close()
        await until(lambda: not server.connections)
        await until(lambda: asyncio.all_tasks() == before)


async def _connect(port: int) -> WebSocket:
    return await connect(f"ws://127.0.0.1:{port}")
