"""A handler that goes on ahead of its task is in it all the same: cancelling, timeouts, context."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import types
import warnings
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import copy_context
from typing import Any

import pytest
from raw_peer import BINARY, close_frame, frame, tcp_peer, until

from wsproto_async import ConnectionClosed, ConnectionClosedOK, WebSocket, connect, serve

Handler = Callable[[WebSocket], Awaitable[None]]


async def ask(handler: Handler, *messages: str) -> list[str]:
    """Send one message after another, and return what comes until the connection is closed."""
    answers: list[str] = []
    async with serve(handler, 0) as server, connect(f"ws://127.0.0.1:{server.port}") as ws:
        for message in messages:
            try:
                await ws.send(message)
                answers.append(str(await ws.recv()))
            except ConnectionClosedOK:
                break
    return answers


async def test_waiting_for_something_else_in_between() -> None:
    async def handler(ws: WebSocket) -> None:
        async for message in ws:
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)
            await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0.001))
            await ws.send(f"{message}!")

    assert await ask(handler, "a", "b", "c") == ["a!", "b!", "c!"]


async def test_what_a_handler_raises_and_returns_after_a_message() -> None:
    ends: list[str] = []

    async def handler(ws: WebSocket) -> None:
        try:
            await ws.send(await ws.recv())
            await ws.recv()
        finally:
            ends.append("ended")

    assert await ask(handler, "a", "b") == ["a"]
    assert ends == ["ended"]


async def test_a_timeout_while_waiting_and_going_on_after_it() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send(await ws.recv())  # ahead of the task from here on
        try:
            async with asyncio.timeout(0.02):
                await ws.recv()
        except TimeoutError:
            await ws.send("timed out")
        async for message in ws:
            await ws.send(message)

    async with serve(handler, 0) as server, connect(f"ws://127.0.0.1:{server.port}") as ws:
        await ws.send("a")
        assert [await ws.recv(), await ws.recv()] == ["a", "timed out"]
        await ws.send("b")
        assert await ws.recv() == "b"


@pytest.mark.parametrize("wait", ["message", "other", "nothing"])
async def test_a_handler_that_cancels_its_own_task(wait: str) -> None:
    """It is cancelled at its next wait, whatever it waits for, and once."""
    seen: list[object] = []

    async def handler(ws: WebSocket) -> None:
        await ws.send(await ws.recv())
        await ws.recv()
        task = asyncio.current_task()
        assert task is not None
        task.cancel("myself")
        done = asyncio.get_running_loop().create_future()
        try:
            if wait == "message":
                await ws.recv()
            elif wait == "other":
                await done
            else:
                await asyncio.sleep(0)
                await asyncio.sleep(5)
        except asyncio.CancelledError:
            seen.append(done.cancelled() if wait == "other" else True)
            task.uncancel()
        await asyncio.sleep(0.001)
        seen.append("went on")

    async with serve(handler, 0) as server, connect(f"ws://127.0.0.1:{server.port}") as ws:
        await ws.send("a")
        assert await ws.recv() == "a"
        await ws.send("b")
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()
    assert seen == [True, "went on"]


async def test_a_handler_that_cancels_its_own_task_and_returns() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send(await ws.recv())
        await ws.recv()
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    async with serve(handler, 0) as server, connect(f"ws://127.0.0.1:{server.port}") as ws:
        await ws.send("a")
        assert await ws.recv() == "a"
        await ws.send("b")
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


async def test_another_task_receives_in_the_handlers_place() -> None:
    async def handler(ws: WebSocket) -> None:
        for _ in range(3):
            await ws.send(await ws.recv())
            await ws.send(await asyncio.create_task(ws.recv()))
            await ws.send(await asyncio.wait_for(ws.recv(), 5))

    assert await ask(handler, *"abcdefghi") == list("abcdefghi")


async def test_a_handler_need_not_be_a_coroutine() -> None:
    class Echo:
        def __init__(self, ws: WebSocket) -> None:
            self._ws = ws

        def __await__(self) -> Generator[Any, None, None]:
            for _ in range(2):
                message = yield from self._ws.recv().__await__()
                yield from self._ws.send(message).__await__()

    assert await ask(Echo, "a", "b", "c") == ["a", "b"]


async def test_two_connections_in_one_handler() -> None:
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(f"{message}!")

    async with serve(echo, 0) as behind:
        uri = f"ws://127.0.0.1:{behind.port}"

        async def relay(ws: WebSocket) -> None:
            async with connect(uri) as other:
                async for message in ws:
                    await other.send(message)
                    await ws.send(await other.recv())

        assert await ask(relay, "a", "b") == ["a!", "b!"]


def coroutines_of(ws: WebSocket) -> list[Coroutine[Any, Any, Any]]:
    return [ws.recv(), ws.send("x"), ws.__anext__()]


async def test_a_coroutine_is_awaited_once_and_is_missed_if_never() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()

    async with serve(handler, 0) as server, connect(f"ws://127.0.0.1:{server.port}") as ws:
        for coroutine in coroutines_of(ws):
            assert asyncio.iscoroutine(coroutine)
            coroutine.close()
            with pytest.raises(RuntimeError):
                coroutine.send(None)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            coroutines_of(ws)
            gc.collect()
        assert [warning.category for warning in caught] == [RuntimeWarning] * 3
        mistake = ws.recv()
        with pytest.raises(TypeError):
            await ws.send(mistake)  # type: ignore[arg-type]
        mistake.close()
        sending = ws.send("x")
        await sending
        with pytest.raises(RuntimeError, match="already awaited"):
            await sending
        thrown = ws.recv()
        with pytest.raises(ValueError, match="in"):
            thrown.throw(ValueError("in"))


async def test_a_receive_that_is_given_up_lets_others_receive() -> None:
    async def handler(ws: WebSocket) -> None:
        await asyncio.sleep(0.01)
        await ws.send("a")

    async with serve(handler, 0) as server, connect(f"ws://127.0.0.1:{server.port}") as ws:
        waiting = ws.recv()
        waiting.send(None)
        waiting.close()
        forgotten = ws.recv()
        forgotten.send(None)
        del forgotten
        gc.collect()
        assert await ws.recv() == "a"


async def test_a_closed_connection_is_freed_without_the_garbage_collector() -> None:
    freed: list[weakref.ref[WebSocket]] = []

    async def handler(ws: WebSocket) -> None:
        freed.append(weakref.ref(ws))
        async for message in ws:
            await ws.send(message)

    async with serve(handler, 0) as server:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                async with connect(f"ws://127.0.0.1:{server.port}") as ws:
                    await ws.send("a")
                    await ws.recv()
            async with asyncio.timeout(5):
                while any(ref() for ref in freed):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        finally:
            gc.enable()
    assert len(freed) == 3


@pytest.mark.parametrize("end", ["abort", "reset", "close"])
async def test_a_stream_whose_end_comes_while_its_handler_is_ahead(end: str) -> None:
    parts: list[str | bytes] = []
    ends: list[ConnectionClosed] = []
    opened: asyncio.Queue[WebSocket] = asyncio.Queue()

    async def handler(ws: WebSocket) -> None:
        opened.put_nowait(ws)
        try:
            async for part in ws.recv_streaming():
                parts.append(part)
        except ConnectionClosed as exc:
            ends.append(exc)

    async with serve(handler, 0) as server, tcp_peer(server.port) as peer:
        await peer.upgrade()
        ws = await opened.get()
        for number in range(3):
            await peer.send(frame(0 if number else BINARY, b"%d" % number, fin=False))
            await until(lambda count=number + 1: len(parts) == count)
        if end == "abort":
            ws.abort()
        elif end == "reset":
            peer.reset()
        else:
            await peer.send(close_frame(1000))
        await until(lambda: ends)
    assert parts == [b"0", b"1", b"2"]


async def test_a_handler_begins_what_receives_at_once() -> None:
    """The first step of an eager task is made by the one who begins it."""

    def begin_eagerly(coroutine: Coroutine[Any, None, Any]) -> asyncio.Future[Any]:
        result = asyncio.get_running_loop().create_future()

        def go_on(arrival: Any) -> None:
            try:
                coroutine.send(None)
            except StopIteration as stop:
                result.set_result(stop.value)

        arrival = coroutine.send(None)
        arrival._asyncio_future_blocking = False
        arrival.add_done_callback(go_on, context=copy_context())
        return result

    async def handler(ws: WebSocket) -> None:
        await ws.send(await ws.recv())
        await ws.send(await begin_eagerly(ws.recv()))
        await ws.send(await ws.recv())

    assert await ask(handler, "a", "b", "c") == ["a", "b", "c"]


async def test_old_kinds_of_handlers() -> None:
    """Generators that are marked as coroutines, and awaitables that cannot be thrown into."""

    @types.coroutine
    def generator(ws: WebSocket) -> Generator[Any, Any, None]:
        message = yield from ws.recv()
        yield from ws.send(message)

    assert await ask(generator, "a") == ["a"]

    class Waiting:
        def __await__(self) -> Waiting:
            return self

        def __iter__(self) -> Waiting:
            return self

        def __next__(self) -> None:
            return None

    server = await serve(lambda ws: Waiting(), 0)
    async with connect(f"ws://127.0.0.1:{server.port}") as ws:
        server.close(grace=0)
        await ws.wait_closed()
    await server.wait_closed()


ABANDONED = """
import asyncio, gc, weakref
from wsproto_async import connect, serve

async def handler(ws):
    ws.waiting = asyncio.create_task(ws.recv())
    await asyncio.sleep(60)

async def main():
    server = await serve(handler, 0)
    ws = await connect(f"ws://127.0.0.1:{server.port}")
    ws.waiting = asyncio.create_task(ws.recv())
    await asyncio.sleep(0.02)

loops = []
for _ in range(5):
    loop = asyncio.new_event_loop()
    loops.append(weakref.ref(loop))
    loop.run_until_complete(main())
    loop.close()
    del loop
    gc.collect()
print("survived", sum(loop() is not None for loop in loops))
"""


def test_a_loop_that_is_closed_on_waiting_tasks_can_be_collected() -> None:
    """In a process of its own: what a compiled class does to what was collected ends it."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", ABANDONED], capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "survived 0\n", "all loops were freed"
    assert done.returncode == 0
    assert "excepthook" not in done.stderr
