"""The connections behind a listening socket, their handlers, and their end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest
from raw_peer import (
    TEXT,
    UPGRADE,
    RawPeer,
    close_frame,
    frame,
    head,
    raw_peer,
    tcp_peer,
    until,
    within,
)

from wsproto_async import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidStatus,
    Request,
    Response,
    Server,
    State,
    WebSocket,
    connect,
    serve,
)


async def wait_for_the_end(ws: WebSocket) -> None:
    await ws.wait_closed()


async def receive(ws: WebSocket) -> None:
    async for _ in ws:
        pass


def uri(server: Server, path: str = "/") -> str:
    return f"ws://127.0.0.1:{server.port}{path}"


async def answer_close(peer: RawPeer) -> tuple[int, bytes]:
    """Answer the Close frame; its code and its reason."""
    close = await peer.read_close()
    await peer.send(close_frame(1000))
    assert await peer.read_eof() == b""
    peer.sock.close()
    return close.close_code, close.payload[2:]


def logged(caplog: pytest.LogCaptureFixture, level: int = logging.WARNING) -> list[str]:
    """What the package logged at that level or above."""
    return [
        record.message
        for record in caplog.records
        if record.name.startswith("wsproto_async") and record.levelno >= level
    ]


# What it is


async def test_what_a_server_tells_of_itself() -> None:
    async with serve(wait_for_the_end, 0) as server:
        assert server.is_serving()
        assert server.stats()[:4] == (0, 0, 0, 0)
        assert server.connections == frozenset()
        (sock,) = server.sockets
        assert sock.getsockname() == ("127.0.0.1", server.port)
        async with tcp_peer(server.port) as connecting, connect(uri(server)) as client:
            await until(lambda: server.stats().handshakes == 1)
            (ws,) = server.connections
            assert ws.server is server
            assert ws.remote_address == client.local_address
            assert server.stats()[:4] == (1, 1, 1, 0)
            await connecting.send(head("GET / HTTP/1.1", "Host: localhost"))
            assert (await connecting.read_head()).startswith(b"HTTP/1.1 426 ")
            assert server.stats()[:4] == (1, 0, 1, 1)
            await connecting.read_eof()
            async with tcp_peer(server.port) as nonsense:
                await nonsense.send(b"no HTTP\r\n")
                assert (await nonsense.read_head()).startswith(b"HTTP/1.1 400 ")
                assert server.stats().refused == 2
        await until(lambda: server.connections == frozenset())
        assert server.stats()[:4] == (0, 0, 1, 2)
        port = server.port
    assert not server.is_serving()
    assert server.connections == frozenset()
    assert server.port == port  # still what it was


async def test_a_server_that_does_not_listen_yet() -> None:
    made: list[Server] = []

    class Unready(serve):
        async def _listen(self, server: Server) -> asyncio.Server:
            made.append(server)
            raise OSError("not today")

    with pytest.raises(OSError, match="not today"):
        await Unready(receive, 0)
    (server,) = made
    assert not server.is_serving()
    assert server.sockets == ()
    server.close()
    await within(1, server.wait_closed())


async def test_it_can_listen_beside_on_sockets_of_others() -> None:
    with socket.create_server(("127.0.0.1", 0)) as others:
        port = others.getsockname()[1]
        async with serve(receive, 0) as server:
            server.listen_beside([others.dup()])
            async with connect(f"ws://127.0.0.1:{port}/"), connect(uri(server)):
                server.listen_beside([])
                assert len(server.connections) == 2
                async with tcp_peer(port) as waiting:
                    await waiting.send(head(*UPGRADE))
                    async with connect(uri(server)):
                        assert len(server.connections) == 3
                    server.listen_beside([others.dup()])
                    assert (await waiting.read_head()).startswith(b"HTTP/1.1 101 ")


async def test_a_lent_socket_that_cannot_be_watched_is_closed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as first,
        socket.socket() as broken,
        socket.create_server(("127.0.0.1", 0)) as last,
        tempfile.TemporaryFile() as file,
    ):
        os.dup2(file.fileno(), broken.fileno())  # no loop watches a file
        async with serve(receive, 0) as server:
            server.listen_beside([first.dup(), broken, last.dup()])
            assert broken.fileno() == -1
            for sock in (first, last):
                async with connect("ws://{}:{}/".format(*sock.getsockname())):
                    pass
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "cannot accept on a lent socket: [Errno 1] Operation not permitted"
    ]


async def test_handshakes_under_way_can_be_waited_for() -> None:
    async with serve(receive, 0) as server, connect(uri(server)):
        await within(1, server.wait_for_handshakes())
        async with tcp_peer(server.port) as first, tcp_peer(server.port) as second:
            await until(lambda: server.stats().handshakes == 2)
            waiting = asyncio.create_task(server.wait_for_handshakes())
            await first.send(head(*UPGRADE))
            assert (await first.read_head()).startswith(b"HTTP/1.1 101 ")
            await asyncio.wait([waiting], timeout=0.1)
            assert not waiting.done()
            second.sock.close()
            await within(1, waiting)


async def test_connections_is_a_snapshot() -> None:
    async with serve(receive, 0) as server:
        clients = [await connect(uri(server)) for _ in range(3)]
        await until(lambda: len(server.connections) == 3)
        snapshot = server.connections
        assert {ws.remote_address for ws in snapshot} == {ws.local_address for ws in clients}
        await clients[0].close()
        assert len(snapshot) == 3
        await until(lambda: len(server.connections) == 2)
        for client in clients:
            await client.close()


# Handlers


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


# The opening handshake


async def test_no_more_than_max_connections() -> None:
    async with serve(receive, 0, max_connections=2) as server:
        first, second = await connect(uri(server)), await connect(uri(server))
        async with tcp_peer(server.port) as peer:
            await peer.send(head(*UPGRADE))
            answer = await peer.read_head()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 5\r\n" in answer
            assert await peer.read_eof() == b"too many connections\n"
        assert server.stats()[:4] == (2, 0, 2, 1)
        await first.close()
        await until(lambda: server.stats().connections == 1)
        third = await connect(uri(server))
        with pytest.raises(InvalidStatus, match="503"):
            await connect(uri(server))
        await second.close()
        await third.close()


async def test_those_turned_away_do_not_count() -> None:
    """However long they take to hang up."""
    async with (
        serve(receive, 0, max_connections=1, close_timeout=0.2) as server,
        contextlib.AsyncExitStack() as stack,
    ):
        for _ in range(3):
            peer = await stack.enter_async_context(tcp_peer(server.port))
            await peer.send(head("GET / HTTP/1.1", "Host: localhost"))
            assert (await peer.read_head()).startswith(b"HTTP/1.1 426 ")
        async with connect(uri(server)):
            assert server.stats().connections == 1


async def test_requests_that_are_being_answered_do_count() -> None:
    """Otherwise any number could pass while hooks take their time."""

    async def hook(ws: WebSocket, request: Request) -> Response:
        await go_on.wait()
        return Response(404)

    go_on = asyncio.Event()
    async with (
        serve(receive, 0, max_connections=1, process_request=hook) as server,
        tcp_peer(server.port) as first,
        tcp_peer(server.port) as second,
    ):
        await first.send(head(*UPGRADE))
        await until(lambda: server.stats().handshakes == 2)
        await second.send(head(*UPGRADE))
        assert (await second.read_head()).startswith(b"HTTP/1.1 503 ")
        go_on.set()
        assert (await first.read_head()).startswith(b"HTTP/1.1 404 ")
        async with tcp_peer(server.port) as third:
            await third.send(head(*UPGRADE))
            assert (await third.read_head()).startswith(b"HTTP/1.1 404 ")


OPEN_TIMEOUT = 0.15


async def test_a_client_that_does_not_finish_its_request() -> None:
    async def begin(server: Server, request_head: bytes) -> None:
        async with tcp_peer(server.port) as peer:
            start = time.monotonic()
            await peer.send(request_head)
            with contextlib.suppress(ConnectionResetError):
                assert await peer.read_eof() == b""
            assert OPEN_TIMEOUT - 0.05 < time.monotonic() - start < 1

    async with serve(receive, 0, open_timeout=OPEN_TIMEOUT) as server:
        heads = (b"", b"G", head(*UPGRADE)[:-2])
        await asyncio.gather(*(begin(server, request_head) for request_head in heads))
        await until(lambda: server.stats().handshakes == 0)
        assert server.stats().accepted == 0


async def test_a_client_that_drips(caplog: pytest.LogCaptureFixture) -> None:
    """The deadline is for the whole handshake, no byte moves it."""
    caplog.set_level(logging.DEBUG, "wsproto_async")
    async with (
        serve(receive, 0, open_timeout=OPEN_TIMEOUT) as server,
        tcp_peer(server.port) as peer,
    ):
        start = time.monotonic()
        with pytest.raises(ConnectionError):
            for byte in head(*UPGRADE):
                await peer.send(bytes([byte]))
                await asyncio.sleep(0.01)
        assert time.monotonic() - start < 1
        await until(lambda: server.stats().handshakes == 0)
        assert f"handshake timed out: {peer.name}" in logged(caplog, logging.DEBUG)
    assert len(logged(caplog, logging.INFO)) == 1  # that the server listens


@asynccontextmanager
async def waiting_in_a_hook(**options: Any) -> AsyncIterator[tuple[Server, RawPeer, list[str]]]:
    """A client whose request has arrived, and a hook that never returns."""
    steps: list[str] = []

    async def hook(ws: WebSocket, request: Request) -> None:
        steps.append("entered")
        try:
            await asyncio.Event().wait()
        finally:
            steps.append("left")

    async with (
        serve(receive, 0, process_request=hook, **options) as server,
        tcp_peer(server.port) as peer,
    ):
        await peer.send(head(*UPGRADE))
        await until(lambda: steps)
        yield server, peer, steps


async def test_a_hook_that_never_returns() -> None:
    async with waiting_in_a_hook(open_timeout=OPEN_TIMEOUT) as (server, peer, steps):
        assert (await peer.read_head()).startswith(b"HTTP/1.1 503 ")
        assert await peer.read_eof() == b"handshake timed out\n"
        peer.sock.close()
        await until(lambda: steps == ["entered", "left"])
        await until(lambda: server.stats()[:4] == (0, 0, 0, 1))


async def test_a_hook_that_does_not_let_itself_be_cancelled() -> None:
    """The answer was 503, and what the hook says afterwards changes nothing."""

    async def hook(ws: WebSocket, request: Request) -> Response:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        steps.append("went on")
        return Response(404)

    steps: list[str] = []
    async with (
        serve(receive, 0, process_request=hook, open_timeout=OPEN_TIMEOUT) as server,
        tcp_peer(server.port) as peer,
    ):
        await peer.send(head(*UPGRADE))
        assert (await peer.read_head()).startswith(b"HTTP/1.1 503 ")
        await until(lambda: steps)
        assert await peer.read_eof() == b"handshake timed out\n"
        peer.sock.close()
        await until(lambda: server.stats()[:4] == (0, 0, 0, 1))


@pytest.mark.parametrize("leave", ["eof", "reset"])
async def test_a_client_that_leaves_while_a_hook_runs(leave: str) -> None:
    async with waiting_in_a_hook() as (server, peer, steps):
        if leave == "eof":
            peer.sock.close()
        else:
            peer.reset()
        await until(lambda: steps == ["entered", "left"])
        await until(lambda: server.stats().handshakes == 0)


# The end


async def test_closing() -> None:
    async with serve(receive, 0) as server:
        address = uri(server)
        clients = [await connect(address) for _ in range(3)]
        await until(lambda: len(server.connections) == 3)
        waiting = asyncio.create_task(server.wait_closed())
        await asyncio.sleep(0)
        assert not waiting.done()
        server.close()
        assert not server.is_serving()
        for client in clients:
            with pytest.raises(ConnectionClosedOK):
                await client.recv()
            assert (client.close_code, client.close_reason) == (1001, "")
        await within(1, waiting)
        await within(1, server.wait_closed())
        with pytest.raises(OSError):
            await connect(address)


async def test_the_code_and_the_reason_are_the_callers() -> None:
    async with serve(receive, 0) as server, raw_peer(server.port) as peer:
        await until(lambda: server.connections)
        server.close(1012, "restart")
        assert await answer_close(peer) == (1012, b"restart")
        await within(1, server.wait_closed())


@pytest.mark.parametrize(("code", "reason"), [(1005, ""), (999, ""), (1000, "x" * 124)])
async def test_a_code_or_a_reason_that_may_not_be_sent(code: int, reason: str) -> None:
    async with serve(receive, 0) as server, connect(uri(server)) as client:
        with pytest.raises(ValueError):
            server.close(code, reason)
        assert server.is_serving()
        assert client.state is State.OPEN
        await client.send("still there")


async def test_closing_twice() -> None:
    async with serve(receive, 0) as server, raw_peer(server.port) as peer:
        await until(lambda: server.connections)
        server.close(1012)
        server.close(1001)
        assert await answer_close(peer) == (1012, b"")
        await within(1, server.wait_closed())
        server.close()
        await within(1, server.wait_closed())


@pytest.mark.parametrize("request_head", [b"", head(*UPGRADE)[:-2]])
async def test_closing_during_a_handshake(request_head: bytes) -> None:
    async with serve(receive, 0) as server, tcp_peer(server.port) as peer:
        await peer.send(request_head)
        await until(lambda: server.stats().handshakes == 1)
        server.close()
        assert (await peer.read_head()).startswith(b"HTTP/1.1 503 ")
        assert await peer.read_eof() == b"server is shutting down\n"
        peer.sock.close()
        await within(1, server.wait_closed())


async def test_closing_while_a_hook_runs() -> None:
    async with waiting_in_a_hook() as (server, peer, steps):
        server.close()
        assert (await peer.read_head()).startswith(b"HTTP/1.1 503 ")
        assert await peer.read_eof() == b"server is shutting down\n"
        peer.sock.close()
        await within(1, server.wait_closed())
        assert steps == ["entered", "left"]


async def test_a_connection_that_is_made_after_the_close() -> None:
    """It was accepted before, say, and its TLS handshake has taken until now."""
    loop = asyncio.get_running_loop()
    async with serve(receive, 0) as server, raw_peer(server.port) as last:
        listener = await loop.create_server(server.make_protocol, "127.0.0.1", 0)
        await until(lambda: server.connections)
        server.close()
        async with tcp_peer(listener.sockets[0].getsockname()[1]) as late:
            assert (await late.read_head()).startswith(b"HTTP/1.1 503 ")
            assert await late.read_eof() == b"server is shutting down\n"
        assert await answer_close(last) == (1001, b"")
        await within(1, server.wait_closed())
        listener.close()


async def test_cancelling_the_wait_does_not_stop_the_closing() -> None:
    async with serve(receive, 0) as server, raw_peer(server.port) as peer:
        await until(lambda: server.connections)
        server.close()
        waiting = asyncio.create_task(server.wait_closed())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert await answer_close(peer) == (1001, b"")
        await within(1, server.wait_closed())


async def test_a_handler_closes_its_server() -> None:
    async def handler(ws: WebSocket) -> None:
        ws.server.close(4000, await ws.recv())
        await ws.wait_closed()

    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        await peer.send(frame(TEXT, b"by order"))
        assert await answer_close(peer) == (4000, b"by order")
        await within(1, server.serve_forever())


# The grace of handlers


async def test_handlers_have_the_time_to_clean_up() -> None:
    async def handler(ws: WebSocket) -> None:
        await receive(ws)
        await asyncio.sleep(0.1)
        steps.append("cleaned up")

    steps: list[str] = []
    async with serve(handler, 0) as server, connect(uri(server)):
        await until(lambda: server.connections)
        server.close()
        await within(1, server.wait_closed())
        assert steps == ["cleaned up"]


@pytest.mark.parametrize("grace", [0, 0.15])
async def test_a_handler_that_ignores_the_close_is_cancelled(grace: float) -> None:
    async def handler(ws: WebSocket) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            steps.append("cancelled")
            raise

    steps: list[str] = []
    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        await until(lambda: server.connections)
        start = time.monotonic()
        server.close(grace=grace)
        await within(1, server.wait_closed())
        assert grace - 0.01 < time.monotonic() - start < 1
        assert steps == ["cancelled"]
        assert (await peer.read_close()).close_code == 1001


async def test_a_handler_that_swallows_its_cancellation(caplog: pytest.LogCaptureFixture) -> None:
    """It is left behind, with a warning."""

    async def handler(ws: WebSocket) -> None:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    release = asyncio.Event()
    async with serve(handler, 0) as server, raw_peer(server.port):
        await until(lambda: server.connections)
        start = time.monotonic()
        server.close(grace=0.1)
        await within(2, server.wait_closed())
        assert 1.0 < time.monotonic() - start < 2.5
        release.set()
        assert logged(caplog) == [
            "handlers ignore cancellation, and nobody waits for them any longer: 1"
        ]
        await until(lambda: len(asyncio.all_tasks()) == 1)


async def test_a_grace_without_an_end() -> None:
    async def handler(ws: WebSocket) -> None:
        await release.wait()

    release = asyncio.Event()
    async with serve(handler, 0) as server, connect(uri(server)):
        await until(lambda: server.connections)
        server.close(grace=None)
        waiting = asyncio.create_task(server.wait_closed())
        await asyncio.wait([waiting], timeout=0.2)
        assert not waiting.done()
        release.set()
        await within(1, waiting)


# serve_forever


async def test_serve_forever_ends_with_the_server() -> None:
    async with serve(receive, 0) as server, connect(uri(server)) as client:
        serving = asyncio.create_task(server.serve_forever())
        await client.send("being served")
        assert not serving.done()
        server.close()
        await within(1, serving)
        assert client.close_code == 1001
        await within(1, server.serve_forever())


async def test_cancelling_serve_forever_closes_the_server() -> None:
    async with serve(receive, 0) as server, raw_peer(server.port) as peer:
        serving = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        await until(lambda: server.connections)
        serving.cancel()
        assert await answer_close(peer) == (1001, b"")
        with pytest.raises(asyncio.CancelledError):
            await within(1, serving)
        assert not server.is_serving()


async def test_a_signal_closes_the_server_and_a_second_one_ends_it() -> None:
    async def handler(ws: WebSocket) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            steps.append("cancelled")

    steps: list[str] = []
    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        serving = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        await until(lambda: server.connections)
        os.kill(os.getpid(), signal.SIGTERM)
        assert (await peer.read_close()).close_code == 1001
        assert not steps
        start = time.monotonic()
        os.kill(os.getpid(), signal.SIGINT)
        await within(1, serving)
        assert time.monotonic() - start < 1
        assert steps == ["cancelled"]
