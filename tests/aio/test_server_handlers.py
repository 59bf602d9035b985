"""Handlers: how they end, and what becomes of their connections."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar

import pytest
from handlers import answer_close, logged, receive, uri
from raw_peer import close_frame, raw_peer, until

from wsproto_async import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    Server,
    WebSocket,
    connect,
    serve,
)


async def returns(ws: WebSocket) -> None:
    """And leaves the rest to the server."""


async def raises(ws: WebSocket) -> None:
    raise LookupError("mine")


async def raises_a_group(ws: WebSocket) -> None:
    raise ExceptionGroup("tasks", [LookupError("mine")])


async def cancels_itself(ws: WebSocket) -> None:
    raise asyncio.CancelledError


async def meets_the_end_of_another(ws: WebSocket) -> None:
    raise ConnectionClosedError(None, None)


async def meets_the_ends_of_others(ws: WebSocket) -> None:
    raise ExceptionGroup("tasks", [ConnectionClosedOK(None, None)])


def no_coroutine_function(ws: WebSocket) -> None:
    return None


async def yields(ws: WebSocket) -> AsyncIterator[None]:
    yield


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    ("handler", "code", "error"),
    [
        (returns, 1000, None),
        (raises, 1011, "LookupError: mine"),
        (raises_a_group, 1011, "LookupError: mine"),
        (cancels_itself, 1001, None),
        (meets_the_end_of_another, 1011, "ConnectionClosedError: no close frame"),
        (meets_the_ends_of_others, 1011, "ConnectionClosedOK: no close frame"),
        (no_coroutine_function, 1011, "TypeError: handler returned NoneType, not an awaitable"),
        (yields, 1011, "TypeError: handler returned async_generator, not an awaitable"),
    ],
)
async def test_how_a_handler_ends(
    handler: Callable, code: int, error: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        failed = f"connection handler failed: {peer.name} /"
        assert await answer_close(peer) == (code, b"")
        await until(lambda: server.stats().connections == 0)
        assert logged(caplog) == ([] if error is None else [failed])
        assert error is None or error in caplog.text


async def is_closed(ws: WebSocket) -> None:
    while True:
        await ws.recv()


async def is_closed_in_a_group(ws: WebSocket) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(is_closed(ws))
        group.create_task(send_until_closed(ws))


async def send_until_closed(ws: WebSocket) -> None:
    while True:
        await ws.send("x")
        await asyncio.sleep(0.01)


async def fails_after_the_end(ws: WebSocket) -> None:
    with contextlib.suppress(ConnectionClosed):
        await is_closed(ws)
    raise LookupError("mine")


async def fails_after_the_end_in_a_group(ws: WebSocket) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(is_closed(ws))
        group.create_task(fails_after_the_end(ws))


@pytest.mark.logs_errors
@pytest.mark.parametrize("code", [1000, 4000, None])
@pytest.mark.parametrize(
    ("handler", "is_logged"),
    [
        (is_closed, False),
        (is_closed_in_a_group, False),
        (receive, False),
        (fails_after_the_end, True),
    ],
)
async def test_how_a_handler_ends_whose_connection_was_closed(
    handler: Callable, is_logged: bool, code: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(handler, 0) as server:
        async with raw_peer(server.port) as peer:
            await until(lambda: server.connections)
            failed = f"connection handler failed: {peer.name} /"
            if code is not None:
                await peer.send(close_frame(code))
                await peer.read_close()
        await until(lambda: server.stats().connections == 0)
    assert logged(caplog) == ([failed] if is_logged else [])
    assert caplog.text.count("LookupError: mine") == is_logged


async def test_handlers_run_in_the_context_of_their_server() -> None:
    """Each in a copy of its own."""
    whose: ContextVar[str] = ContextVar("whose")
    seen: list[str] = []

    async def handler(ws: WebSocket) -> None:
        seen.append(whose.get())
        whose.set("changed")

    async def start(name: str) -> Server:
        whose.set(name)
        return await serve(handler, 0)

    servers = [await asyncio.create_task(start(name)) for name in ("first", "second")]
    for server in (*servers, *servers):
        async with connect(f"ws://127.0.0.1:{server.port}") as ws:
            await ws.wait_closed()
    for server in servers:
        server.close()
        await server.wait_closed()
    assert seen == ["first", "second"] * 2


@pytest.mark.logs_errors
async def test_an_error_among_others(caplog: pytest.LogCaptureFixture) -> None:
    """That the connection was closed does not hide what else went wrong."""

    async def handler(ws: WebSocket) -> None:
        try:
            await ws.recv()
        except ConnectionClosed as exc:
            raise ExceptionGroup("tasks", [exc, LookupError("mine")]) from None

    async with serve(handler, 0) as server, connect(uri(server)) as client:
        name = "{}:{}".format(*client.local_address)
    assert logged(caplog) == [f"connection handler failed: {name} /"]
    assert "LookupError: mine" in caplog.text


async def test_a_handler_that_closes_itself() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.close(4000, "enough")

    async with serve(handler, 0) as server, connect(uri(server)) as client:
        with pytest.raises(ConnectionClosedError, match="4000"):
            await client.recv()
