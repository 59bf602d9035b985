"""Tasks that live as long as a connection, and handlers that do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from raw_peer import until, within

from wsproto_async import ConnectionClosedError, Server, State, WebSocket, connect, serve


def uri(server: Server) -> str:
    return f"ws://127.0.0.1:{server.port}/"


async def for_ever(ws: WebSocket, steps: list[str]) -> None:
    steps.append("begun")
    try:
        await asyncio.Event().wait()
    finally:
        steps.append("ended")


async def test_tasks_end_with_the_connection(link: Callable) -> None:
    steps: list[str] = []
    async with link() as (ws, peer):

        async def body() -> None:
            async with ws.tasks() as tasks:
                tasks.create_task(for_ever(ws, steps))
                await for_ever(ws, steps)

        running = asyncio.create_task(body())
        await until(lambda: steps == ["begun", "begun"])
        await peer.send_close(1001)
        await peer.read_close()
        peer.sock.close()
        await within(1, running)
        assert steps == ["begun", "begun", "ended", "ended"]


async def test_a_connection_that_is_cut_off(link: Callable) -> None:
    steps: list[str] = []
    async with link() as (ws, peer):

        async def body() -> None:
            async with ws.tasks() as tasks:
                tasks.create_task(for_ever(ws, steps))

        running = asyncio.create_task(body())
        await until(lambda: steps)
        peer.sock.close()
        with pytest.raises(ConnectionClosedError):
            await within(1, running)
        assert steps == ["begun", "ended"]


async def test_one_of_them_notices_the_end_itself(link: Callable) -> None:
    async with link() as (ws, peer):

        async def body() -> None:
            async with ws.tasks() as tasks:
                tasks.create_task(ws.recv())
                await for_ever(ws, [])

        running = asyncio.create_task(body())
        peer.sock.close()
        with pytest.raises(ConnectionClosedError):
            await within(1, running)


async def test_tasks_that_come_to_their_end(link: Callable) -> None:
    async with link() as (ws, peer):
        async with ws.tasks() as tasks:
            task = tasks.create_task(asyncio.sleep(0, "done"))
        assert task.result() == "done"
        assert ws.state is State.OPEN
        peer.sock.close()
        await ws.wait_closed()  # what watched over the group is gone, and says nothing


async def test_another_error_is_a_group(link: Callable) -> None:
    async def fail() -> None:
        raise LookupError("mine")

    async with link() as (ws, _):
        with pytest.raises(ExceptionGroup) as caught:
            async with ws.tasks() as tasks:
                tasks.create_task(fail())
                await for_ever(ws, [])
        assert caught.group_contains(LookupError, match="mine")
        assert ws.state is State.OPEN


async def test_a_group_is_cancelled_as_any_other(link: Callable) -> None:
    steps: list[str] = []
    async with link() as (ws, _):

        async def body() -> None:
            async with ws.tasks() as tasks:
                tasks.create_task(for_ever(ws, steps))

        running = asyncio.create_task(body())
        await until(lambda: steps)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert steps == ["begun", "ended"]
        assert ws.state is State.OPEN


async def test_a_connection_that_has_ended_already(link: Callable) -> None:
    async with link() as (ws, peer):
        peer.sock.close()
        await ws.wait_closed()

        async def body() -> None:
            async with ws.tasks() as tasks:
                tasks.create_task(for_ever(ws, []))

        with pytest.raises(ConnectionClosedError):
            await within(1, body())


@pytest.mark.parametrize("code", [1000, 4000, None])
async def test_a_handler_is_cancelled_on_disconnect(code: int | None) -> None:
    steps: list[str] = []
    async with (
        serve(lambda ws: for_ever(ws, steps), 0, cancel_on_disconnect=True) as server,
    ):
        client = await connect(uri(server))
        await until(lambda: steps == ["begun"])
        if code is None:
            client.abort()
        else:
            await client.close(code)
        await until(lambda: steps == ["begun", "ended"])


async def test_by_default_it_is_not() -> None:
    steps: list[str] = []

    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()
        steps.append("goes on")
        await go_on.wait()
        steps.append("ended")

    go_on = asyncio.Event()
    async with serve(handler, 0) as server:
        async with connect(uri(server)):
            pass
        await until(lambda: steps)
        go_on.set()
        await until(lambda: steps == ["goes on", "ended"])


@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_handler_that_closes_goes_on(how: str) -> None:
    """It knows, and has something to do."""
    steps: list[str] = []

    async def handler(ws: WebSocket) -> None:
        if how == "close":
            await ws.close()
        else:
            ws.abort()
        await ws.wait_closed()
        await asyncio.sleep(0.05)
        steps.append("ended")

    async with serve(handler, 0, cancel_on_disconnect=True) as server, connect(uri(server)):
        await until(lambda: steps == ["ended"])


async def test_timeouts_can_be_changed(server_link: Callable) -> None:
    async with server_link(ping_interval=None, close_timeout=600) as (ws, peer):
        ws.set_timeouts(ping_interval=0.05, ping_timeout=0.05, close_timeout=0.05)
        close = await peer.read_close()
        assert close.payload == b"\x03\xf3keepalive: peer silent for 0.05 s"
        await within(1, ws.wait_closed())


async def test_pings_can_be_switched_off(server_link: Callable) -> None:
    async with server_link(ping_interval=0.1, ping_timeout=0.05) as (ws, peer):
        ws.set_timeouts(ping_interval=None)
        await asyncio.sleep(0.4)
        assert ws.state is State.OPEN
        await ws.send("nothing came before")
        assert (await peer.read_frame()).payload == b"nothing came before"


async def test_timeouts_that_cannot_be_changed(server_link: Callable) -> None:
    async with server_link() as (ws, _):
        with pytest.raises(TypeError, match="open_timeout, read_limit"):
            ws.set_timeouts(read_limit=1, open_timeout=1)
        with pytest.raises(ValueError, match="ping_interval"):
            ws.set_timeouts(ping_interval=-1)
