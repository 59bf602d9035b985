"""A read goes on with the handler at once, in the handler's own task and context."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from contextvars import ContextVar, copy_context

import pytest
import uvloop

from wsproto_async import WebSocket, connect, serve
from wsproto_async.aio.arrival import Arrival

FACTORIES = [asyncio.SelectorEventLoop, uvloop.new_event_loop]
name: ContextVar[str] = ContextVar("name")


async def test_a_handler_keeps_its_context() -> None:
    async def handler(ws: WebSocket) -> None:
        name.set(ws.path)
        async for message in ws:
            await ws.send(f"{message} {name.get()}")

    async with serve(handler, 0) as server:
        uri = f"ws://127.0.0.1:{server.port}"
        async with connect(f"{uri}/a") as a, connect(f"{uri}/b") as b:
            for _ in range(3):
                await a.send("to")
                await b.send("to")
                assert [await a.recv(), await b.recv()] == ["to /a", "to /b"]
    assert name.get("none") == "none"


async def test_a_handler_is_a_task_when_it_goes_on() -> None:
    tasks: list[asyncio.Task[None] | None] = []

    async def handler(ws: WebSocket) -> None:
        tasks.append(asyncio.current_task())
        await ws.recv()
        tasks.append(asyncio.current_task())
        async with asyncio.timeout(5):
            await ws.send("done")

    async with serve(handler, 0) as server, connect(f"ws://127.0.0.1:{server.port}") as ws:
        await ws.send("go on")
        assert await ws.recv() == "done"
    assert tasks[0] is tasks[1] is not None


@pytest.mark.logs_errors
@pytest.mark.parametrize("factory", FACTORIES)
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_ends_the_program_ends_the_loop(factory: Callable, error: type) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.recv()
        raise error

    async def main() -> None:
        async with serve(handler, 0) as server, connect(f"ws://127.0.0.1:{server.port}") as ws:
            await ws.send("end")
            await asyncio.Event().wait()

    with pytest.raises(error), asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
    gc.collect()  # the task says that nobody asked for its exception


async def wait_for(arrival: Arrival, is_here: bool = False) -> str:
    arrival.begin(is_here)
    await arrival
    return "arrived"


async def test_arriving_goes_on_with_the_task_at_once() -> None:
    loop = asyncio.get_running_loop()
    arrival = Arrival(loop)
    for _ in range(3):
        waiting = asyncio.create_task(wait_for(arrival))
        await asyncio.sleep(0)
        assert not waiting.done()
        done = loop.create_future()

        def arrive(task: asyncio.Task[str] = waiting, done: asyncio.Future = done) -> None:
            arrival.arrive()
            done.set_result(task.done())

        loop.call_soon(arrive)
        assert await done
        assert await waiting == "arrived"


async def test_arriving_soon_takes_a_turn_and_may_be_said_twice() -> None:
    arrival = Arrival(asyncio.get_running_loop())
    waiting = asyncio.create_task(wait_for(arrival))
    await asyncio.sleep(0)
    arrival.arrive_soon()
    arrival.arrive_soon()
    arrival.arrive()
    assert not waiting.done()
    assert await waiting == "arrived"


async def test_nobody_waits() -> None:
    arrival = Arrival(asyncio.get_running_loop())
    arrival.arrive()
    arrival.arrive_soon()
    assert arrival.cancel() is False


async def test_who_waited_first_looks_again_when_another_waits() -> None:
    """As when a handler that goes on has begun an eager task, which receives in its place."""
    arrival = Arrival(asyncio.get_running_loop())
    called: list[str] = []
    for waiting in ("first", "second"):
        arrival.begin(False)
        arrival.add_done_callback(lambda _, who=waiting: called.append(who), context=copy_context())
    await asyncio.sleep(0)
    assert called == ["first"]
    arrival.arrive()
    assert called == ["first", "second"]


async def test_what_is_here_is_not_waited_for() -> None:
    arrival = Arrival(asyncio.get_running_loop())
    assert await wait_for(arrival, True) == "arrived"


async def test_cancelling_the_task_and_waiting_again() -> None:
    arrival = Arrival(asyncio.get_running_loop())
    waiting = asyncio.create_task(wait_for(arrival))
    await asyncio.sleep(0)
    waiting.cancel("enough")
    arrival.arrive()
    with pytest.raises(asyncio.CancelledError, match="enough"):
        await waiting
    again = asyncio.create_task(wait_for(arrival))
    await asyncio.sleep(0)
    arrival.arrive_soon()
    assert await again == "arrived"
