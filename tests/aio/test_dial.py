"""From a name to a socket, whatever the addresses are like."""

from __future__ import annotations

import asyncio
import socket
import time
import types
from collections.abc import Coroutine, Generator, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any

import pytest
from raw_peer import open_sockets, until, within

from wsproto_async.aio.dial import connect_first, dial

LOOPBACK = "127.0.0.1"


@contextmanager
def listening(backlog: int = 8) -> Iterator[int]:
    """A port that accepts connections."""
    with socket.create_server((LOOPBACK, 0), backlog=backlog) as sock:
        yield sock.getsockname()[1]


@contextmanager
def refusing() -> Iterator[int]:
    """A port that refuses them."""
    with socket.socket() as sock:
        sock.bind((LOOPBACK, 0))
        yield sock.getsockname()[1]


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that answers nothing: its queue of connections is full, and nobody takes one out."""
    with listening(0) as port:
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex((LOOPBACK, port))
            yield port
        finally:
            for filler in fillers:
                filler.close()


def ipv4(port: int) -> tuple[Any, ...]:
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOOPBACK, port))


async def test_a_name() -> None:
    with listening() as port, await within(5, dial("localhost", port)) as sock:
        assert sock.getpeername()[1] == port
        assert not sock.getblocking()


async def test_a_name_that_is_none() -> None:
    with pytest.raises(OSError):
        await dial("no-such-host.invalid", 1)


async def test_the_first_address_that_works() -> None:
    with listening() as good, listening() as other, refusing() as bad:
        before = open_sockets()
        addresses = [ipv4(port) for port in (bad, bad, good, other)]
        with await within(5, connect_first(addresses)) as sock:
            assert sock.getpeername()[1] == good
        assert open_sockets() == before


async def test_a_black_hole_does_not_keep_the_others_waiting() -> None:
    with black_hole() as hole, listening() as good:
        before = open_sockets()
        start = time.monotonic()
        with await within(5, connect_first([ipv4(hole), ipv4(hole), ipv4(good)])) as sock:
            assert sock.getpeername()[1] == good
        assert time.monotonic() - start >= 0.4  # the others have their head start
        assert open_sockets() == before


async def test_no_address_works() -> None:
    with refusing() as bad:
        with pytest.raises(ConnectionRefusedError):
            await connect_first([ipv4(bad), ipv4(bad)])
        unreachable = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("255.255.255.255", 1))
        with pytest.raises(OSError, match=r"; ") as caught:
            await connect_first([ipv4(bad), unreachable])
        assert type(caught.value) is OSError


async def test_families_take_turns() -> None:
    """So that a machine without a way to one of them is not slow."""
    wrong = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 1, 0, 0))] * 3
    with listening() as first, listening() as second:
        with await connect_first([ipv4(first), *wrong, ipv4(second)]) as sock:
            assert sock.getpeername()[1] == first
        with await connect_first([*wrong, ipv4(first), ipv4(second)]) as sock:
            assert sock.getpeername()[1] == first


async def test_the_local_address() -> None:
    with listening() as port, refusing() as free:
        pass
    with listening() as port, await connect_first([ipv4(port)], (LOOPBACK, free)) as sock:
        assert sock.getsockname() == (LOOPBACK, free)
        with pytest.raises(OSError):
            await connect_first([ipv4(port)], ("no-such-host.invalid", 0))


@pytest.mark.parametrize("turns", range(6))
async def test_cancelling_leaves_nothing(turns: int) -> None:
    with black_hole() as hole, listening() as good:
        before = open_sockets()
        addresses = [ipv4(hole), ipv4(hole), ipv4(good)]
        dialing = asyncio.create_task(connect_first(addresses))
        await asyncio.sleep(0.1 * turns)
        dialing.cancel()
        with suppress(asyncio.CancelledError):
            (await dialing).close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await until(lambda: open_sockets() == before)


@types.coroutine
def cancelling_at(suspension: int, coroutine: Coroutine) -> Generator[Any, Any, Any]:
    """Await the coroutine, and cancel the current task when that suspends it the nth time."""
    task = asyncio.current_task()
    resume, value = coroutine.send, None
    while True:
        try:
            awaited = resume(value)
        except StopIteration as stop:
            return stop.value
        suspension -= 1
        if suspension == 0:
            asyncio.get_running_loop().call_soon(task.cancel)
        try:
            resume, value = coroutine.send, (yield awaited)
        except BaseException as exc:
            resume, value = coroutine.throw, exc


async def test_cancelling_at_any_suspension_leaves_nothing() -> None:
    """Even while the slower attempts are ended, with a socket in hand."""
    with black_hole() as hole, listening() as good:
        before = open_sockets()

        async def dialing(suspension: int) -> socket.socket:
            return await cancelling_at(suspension, connect_first([ipv4(hole), ipv4(good)]))

        for suspension in count(1):
            task = asyncio.create_task(dialing(suspension))
            await asyncio.wait([task])
            if not task.cancelled():
                break
            await until(lambda: open_sockets() == before)
            assert asyncio.all_tasks() == {asyncio.current_task()}
        task.result().close()
        assert suspension > 3
