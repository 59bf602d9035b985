"""The hub of a program's workers: what they share, and what happens to it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from programs import PATIENCE, Program, Start, eventually, is_alive

from wsproto_async import WebSocket, connect

pytestmark = pytest.mark.one_loop  # the workers have theirs

PROGRAM = """
import asyncio, json, os, signal, sys
from wsproto_async import Topic, run

def on_gap(websockets, topic):
    sys.stdout.write(f"gap {topic}\\n")  # at once: others write there as well

async def handler(ws):
    member = ws.path[1:]
    await ws.send(str(os.getpid()))
    for topic in ("plain", "kept"):
        await ws.subscribe(topic)
    if member:
        await ws.subscribe("room", member=member)
    await ws.send("subscribed")
    async for message in ws:
        if message == "members":
            await ws.send(json.dumps(sorted((await ws.server.members("room")).values())))
        elif message == "exit":
            os._exit(3)
        else:
            topic, _, text = message.partition(" ")
            await ws.server.publish(topic, text)

topics = [Topic("kept", history=100), Topic("plain", on_gap=on_gap), Topic("room", presence=True)]
run(handler, 0, workers=2, topics=topics, **eval(sys.argv[1]))
"""


@pytest.fixture
def serving(start: Start) -> Callable[..., Program]:
    def serving(**options: object) -> Program:
        program = start(PROGRAM, repr(options), flags=("-W", "error"))
        program.workers(2)
        return program

    return serving


def hub_of(program: Program, *before: int) -> int:
    """The process of the hub: the child that no worker is, and none of those ``before``."""
    pid = program.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (hub,) = {int(each) for each in children} - set(program.workers(0)) - set(before)
    return hub


async def client(program: Program, pid: int, path: str = "") -> WebSocket:
    """Connect until it is this worker's turn."""
    while True:
        ws = await connect(f"ws://127.0.0.1:{program.port}/{path}")
        if int(await ws.recv()) == pid:
            assert await ws.recv() == "subscribed"
            return ws
        await ws.close()


async def receive(ws: WebSocket, count: int = 1) -> list[Any]:
    async with asyncio.timeout(PATIENCE):
        return [await ws.recv() for _ in range(count)]


Pair = tuple[WebSocket, WebSocket]


@pytest.fixture
async def pair(serving: Callable) -> AsyncIterator[tuple[Program, WebSocket, WebSocket]]:
    """A program, and clients of its two workers."""
    program = serving()
    one, other = [await client(program, pid) for pid in program.workers(2)]
    yield program, one, other
    await asyncio.gather(one.close(), other.close())


async def test_workers_share_their_topics(pair: tuple[Program, WebSocket, WebSocket]) -> None:
    program, one, other = pair
    for number in range(100):
        await one.send(f"{'plain' if number % 3 else 'kept'} {number}")
    expected = [str(number) for number in range(100)]
    assert await receive(other, 100) == expected
    assert await receive(one, 100) == expected
    program.send(signal.SIGTERM)
    assert await asyncio.to_thread(program.end) == 0
    assert not program.found("WARNING|ERROR|Traceback|gap")
    assert list(program.temporary.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_to_all_processes_ends_the_hub_last(
    pair: tuple[Program, WebSocket, WebSocket], number: signal.Signals
) -> None:
    program = pair[0]
    os.killpg(program.process.pid, number)
    assert await asyncio.to_thread(program.end) == 0
    assert not program.found(".*(?:WARNING|ERROR|Traceback).*")


async def test_a_restart_leaves_the_hub_alone(
    pair: tuple[Program, WebSocket, WebSocket],
) -> None:
    program, one, other = pair
    hub = hub_of(program)
    program.send(signal.SIGHUP)
    assert await asyncio.to_thread(program.workers, 4)
    await asyncio.gather(one.wait_closed(), other.wait_closed())
    new = [await client(program, pid) for pid in program.workers(4)[2:]]
    await new[0].send("plain hello")
    assert await receive(new[1]) == ["hello"]
    assert is_alive(hub)
    await asyncio.gather(*(ws.close() for ws in new))
    assert not program.found("WARNING|ERROR|gap")


async def test_a_hub_that_is_killed_is_replaced(
    pair: tuple[Program, WebSocket, WebSocket],
) -> None:
    program, one, other = pair
    await one.send("kept 0")
    assert await receive(other) == ["0"]
    hub = hub_of(program)
    os.kill(hub, signal.SIGKILL)
    await asyncio.to_thread(program.wait_for, "the hub is back", 2)
    assert program.found(r"WARNING hub \(process (\d+)\) ended: SIGKILL; another one starts now")
    assert len(program.found("WARNING lost the hub: ")) == 2
    assert len(program.wait_for("gap plain", 2)) == 2
    for topic in ("plain", "kept"):
        await one.send(f"{topic} 1")
        assert await receive(other) == ["1"]
    program.send(signal.SIGTERM)
    await asyncio.to_thread(program.end)
    assert program.process.returncode == 0
    assert not program.found(".*(?:ERROR|Traceback).*")


@pytest.mark.parametrize("how", ["exit", "killed"])
async def test_the_members_of_a_worker_leave_with_it(serving: Callable, how: str) -> None:
    program = serving()
    one, other = program.workers(2)
    ann = await client(program, one, "ann")
    bob = await client(program, other, "bob")
    await bob.send("members")
    assert await receive(bob) == ['["ann", "bob"]']
    if how == "exit":
        await ann.send("exit")
    else:
        os.kill(one, signal.SIGKILL)
    members = []
    async with asyncio.timeout(PATIENCE):
        while members != ['["bob"]']:
            await bob.send("members")
            members = await receive(bob)
    await asyncio.gather(ann.close(), bob.close())


async def test_a_hub_that_stands_still_is_replaced(serving: Callable) -> None:
    program = serving(heartbeat_timeout=2)
    one, other = [await client(program, pid) for pid in program.workers(2)]
    os.kill(hub_of(program), signal.SIGSTOP)
    await asyncio.to_thread(program.wait_for, "the hub is back", 2)
    assert program.found(r"hub \(process \d+\) ended: killed, its event loop stood still for 2 s")
    await one.send("plain hello")
    assert await receive(other) == ["hello"]
    await asyncio.gather(one.close(), other.close())


async def test_the_hub_ends_after_the_workers_when_the_supervisor_is_killed(
    pair: tuple[Program, WebSocket, WebSocket],
) -> None:
    program, one, other = pair
    processes = [hub_of(program), *program.workers(2)]
    program.send(signal.SIGKILL)
    await asyncio.gather(one.wait_closed(), other.wait_closed())
    await asyncio.to_thread(eventually, lambda: not any(map(is_alive, processes)))
    assert not program.found("lost the hub")
    assert list(program.temporary.iterdir()) == []


NO_HUB = """
from wsproto_async import run
from wsproto_async.pubsub import MemoryBroker

async def handler(ws): ...

run(handler, 0, workers=2, broker=MemoryBroker())
"""


def test_who_has_a_broker_gets_no_hub(start: Start) -> None:
    program = start(NO_HUB)
    workers = program.workers(2)
    pid = program.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert sorted(map(int, children)) == sorted(workers)
