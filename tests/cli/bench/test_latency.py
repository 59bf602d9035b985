"""What counts as a message's time, and what of those that never come back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from wsproto_async import WebSocket


def slow_ones(found: dict[str, Any], seconds: float) -> int:
    """How many messages took longer than that."""
    return sum(size for low, _, size in found["latency"]["histogram"] if low > seconds)


@pytest.mark.usefixtures("impatient")
def test_it_counts_from_when_it_was_due(
    bench: Callable, server: Callable, interrupt: Callable
) -> None:
    """A server that stands still for a time makes all wait that were due meanwhile."""

    async def handler(ws: WebSocket) -> None:
        await ws.send(await ws.recv())
        message = await ws.recv()
        await asyncio.sleep(0.2)
        for _ in range(20):
            await ws.send(message)
            await ws.recv()
        interrupt()
        await ws.wait_closed()

    arguments = ("--connections", "1", "--duration", "60", "--rate", "200", "--in-flight", "1")
    status, found = bench(server(handler), *arguments)
    assert (status, found["messages"], found["unanswered"]) == (130, 21, 1)
    # One alone was on its way meanwhile: in a closed loop, it would be the only slow one.
    assert slow_ones(found, 0.09) >= 20


@pytest.mark.parametrize("rate", [[], ["--rate", "1000"]])
@pytest.mark.usefixtures("impatient")
def test_what_never_comes_back(bench: Callable, server: Callable, rate: list[str]) -> None:
    """Its time is what it was waited for, and the oldest of it the longest."""

    async def handler(ws: WebSocket) -> None:
        await ws.send(await ws.recv())
        async for _ in ws:
            pass

    status, found = bench(server(handler), "--connections", "3", "--duration", "0.3", *rate)
    assert (status, found["messages"], found["errors"]) == (1, 3, {})
    assert found["unanswered"] >= 3
    assert slow_ones(found, 0.09) >= found["unanswered"]
    assert found["latency"]["most"] == found["oldest_unanswered"] >= 0.1


@pytest.mark.usefixtures("impatient")
def test_the_report_tells_of_it(run: Callable, server: Callable) -> None:
    async def handler(ws: WebSocket) -> None:
        async for _ in ws:
            pass

    url = f"ws://127.0.0.1:{server(handler)}/"
    status, out, _ = run("bench", url, "--connections", "3", "--duration", "0.1")
    assert status == 1
    assert "errors       0\nunanswered   3, the oldest for " in out


def test_what_comes_back_after_the_end(bench: Callable, server: Callable) -> None:
    async def handler(ws: WebSocket) -> None:
        message = await ws.recv()
        await asyncio.sleep(0.5)
        await ws.send(message)
        await ws.wait_closed()

    status, found = bench(server(handler), "--connections", "3", "--duration", "0.1")
    assert (status, found["unanswered"]) == (0, 0)
    assert (found["messages"], found["messages_per_second"], found["late"]) == (0, 0, 3)
    assert found["latency"]["least"] > 0.4


@pytest.mark.usefixtures("impatient")
def test_what_a_lost_connection_took_with_it(bench: Callable, server: Callable) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.recv()
        ws.abort()

    status, found = bench(server(handler), "--connections", "3", "--duration", "60")
    assert (status, found["errors"]) == (1, {"the connection was cut off": 3})
    assert found["unanswered"] == 3


def test_more_on_their_way_than_there_is_room_for(
    bench: Callable, server: Callable, interrupt: Callable
) -> None:
    """Who sends all of them before it receives any waits for a server that waits for it."""

    async def handler(ws: WebSocket) -> None:
        count = 0
        async for message in ws:
            await ws.send(message)
            count += 1
            if count == 2000:
                interrupt()

    arguments = ("--connections", "1", "--in-flight", "2000", "--size", "20000", "--no-compression")
    status, found = bench(server(handler), *arguments, "--duration", "10")
    assert (status, found["errors"], found["unanswered"]) == (130, {}, 0)
    assert found["messages"] + found["late"] >= 2000


@pytest.fixture
def hold_up() -> Iterator[Callable[[], None]]:
    """Hold the main thread up for a second."""
    previous = signal.signal(signal.SIGUSR1, lambda *_: time.sleep(1))
    yield lambda: os.kill(os.getpid(), signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, previous)


def test_a_server_is_not_blamed_for_who_wakes_late(
    bench: Callable, server: Callable, hold_up: Callable
) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send(await ws.recv())
        await ws.send(await ws.recv())
        hold_up()
        async for message in ws:
            await ws.send(message)

    status, found = bench(
        server(handler), "--connections", "1", "--duration", "1.5", "--rate", "20"
    )
    assert status == 0
    assert found["messages"] + found["late"] > 20  # all that were due meanwhile
    assert slow_ones(found, 0.4) <= 1  # what came back while nobody received


def test_waiting_takes_no_time_of_the_processor(bench: Callable, echo_port: int) -> None:
    before = time.thread_time()
    status, _ = bench(echo_port, "--connections", "1", "--duration", "1", "--rate", "600")
    assert status == 0
    assert time.thread_time() - before < 0.5
