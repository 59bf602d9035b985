"""``async for ws in connect(uri)``: again and again, but never in a hot loop."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from ssl import SSLCertVerificationError
from typing import Any

import proxies
import pytest
from raw_peer import open_sockets, until, within

from wsproto_async import (
    ConnectionClosed,
    HandshakeError,
    InvalidHeader,
    InvalidMessage,
    InvalidStatus,
    ProxyError,
    Response,
    State,
    WebSocket,
    connect,
    serve,
)
from wsproto_async.aio.backoff import Backoff
from wsproto_async.aio.reconnect import is_transient, reconnect

LOGGER = logging.getLogger("test")


def again_at_once(client: connect, process: Callable = is_transient) -> AsyncIterator[WebSocket]:
    """What ``async for`` does, without its pauses."""
    return reconnect(client._open, process, "where", LOGGER, Backoff(draw=lambda: 0.0))


def name(error: Exception) -> str:
    response = getattr(error, "response", None)
    return type(error).__name__ + (f" {response.status}" if response else "")


def caused_by(cause: Exception, error: Exception) -> Exception:
    error.__cause__ = cause
    return error


async def hello(ws: WebSocket) -> None:
    await ws.send("hello")


async def test_one_connection_after_another() -> None:
    async with serve(hello, 0) as server:
        seen: list[WebSocket] = []
        async for ws in again_at_once(connect(f"ws://127.0.0.1:{server.port}/")):
            assert all(before.state is State.CLOSED for before in seen)
            seen.append(ws)
            assert await ws.recv() == "hello"
            if len(seen) == 3:
                break
        assert len(set(seen)) == 3
        del ws
        await until(lambda: seen[-1].state is State.CLOSED)
        assert [ws.close_code for ws in seen] == [1000] * 3


async def test_going_on_after_the_connection_was_lost() -> None:
    async def drop(ws: WebSocket) -> None:
        ws.abort()

    async with serve(drop, 0) as server:
        count = 0
        async for ws in again_at_once(connect(f"ws://127.0.0.1:{server.port}/")):
            try:
                await ws.recv()
            except ConnectionClosed as exc:
                assert exc.code == 1006
                count += 1
                if count < 3:
                    continue
                break


@pytest.mark.parametrize("end", ["close", "error", "reset"])
async def test_a_server_that_hangs_up_at_once_is_not_hammered(
    end: str, raw_server: Callable, reset: Callable
) -> None:
    connections = 0

    async def talk(peer: Any) -> None:
        nonlocal connections
        connections += 1
        await peer.accept()
        if end == "reset":
            reset(peer.sock)
        else:
            await peer.send_close(1000 if end == "close" else 1011)
            with suppress(OSError):
                await peer.read_eof()
            peer.sock.close()

    async def client(uri: str) -> None:
        async for ws in connect(uri):
            with suppress(ConnectionClosed):
                await ws.recv()

    async with raw_server(talk) as server:
        running = asyncio.create_task(client(server.uri))
        await asyncio.wait([running], timeout=1.5)
        assert not running.done()
        assert 1 <= connections <= 12  # up to one, two, four seconds apart, at random
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_waiting_for_a_server_to_come_up() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    attempts = 0

    def process(error: Exception) -> Exception | None:
        nonlocal attempts
        attempts += 1
        return is_transient(error)

    async def client() -> str | bytes:
        async for ws in again_at_once(connect(f"ws://127.0.0.1:{port}/"), process):
            return await ws.recv()
        raise AssertionError

    running = asyncio.create_task(client())
    await until(lambda: attempts >= 3)
    async with serve(hello, port):
        assert await within(5, running) == "hello"


async def test_a_refusal_for_good_ends_the_loop(raw_server: Callable) -> None:
    async def refuse(peer: Any) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    async with raw_server(refuse) as server:
        with pytest.raises(InvalidStatus, match="403"):
            async for _ in connect(server.uri):
                raise AssertionError


async def test_the_hook_decides(raw_server: Callable) -> None:
    async def refuse(peer: Any) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    errors: list[Exception] = []

    def process(error: Exception) -> Exception | None:
        errors.append(error)
        return None if len(errors) < 3 else LookupError("enough")

    async with raw_server(refuse) as server:
        client = connect(server.uri, process_exception=process)
        with pytest.raises(LookupError, match="enough") as caught:
            async for _ in again_at_once(client, process):
                raise AssertionError
        assert [type(error) for error in errors] == [InvalidStatus] * 3
        assert caught.value.__cause__ is errors[-1]
        errors.clear()
        errors += [Exception()] * 2
        with pytest.raises(LookupError):
            async for _ in client:
                raise AssertionError


async def test_the_server_may_ask_for_time(raw_server: Callable) -> None:
    attempts: list[float] = []

    async def refuse(peer: Any) -> None:
        came = time.monotonic()
        await peer.read_head()
        await peer.send(b"HTTP/1.1 503 Busy\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n")
        attempts.append(came)

    async def client(uri: str) -> None:
        async for _ in again_at_once(connect(uri)):
            raise AssertionError

    async with raw_server(refuse) as server:
        running = asyncio.create_task(client(server.uri))
        await until(lambda: len(attempts) == 2)
        assert attempts[1] - attempts[0] >= 1
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_proxy_that_hangs_up_may_not_the_next_time() -> None:
    attempts = 0

    async def hang_up_twice(proxy: proxies.Proxy, *streams: Any) -> None:
        nonlocal attempts
        attempts += 1
        await (proxies.http if attempts > 2 else proxies.hanging_up)(proxy, *streams)

    async def client(uri: str, proxy: str) -> str | bytes:
        async for ws in again_at_once(connect(uri, proxy=proxy)):
            return await ws.recv()
        raise AssertionError

    async with serve(hello, 0) as server, proxies.running(hang_up_twice) as proxy:
        uri = f"ws://127.0.0.1:{server.port}/"
        assert await within(5, client(uri, f"http://127.0.0.1:{proxy.port}")) == "hello"
    assert attempts == 3


async def test_each_pause_is_one_line_in_the_log(
    raw_server: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(peer: Any) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 503 caf\xe9\r\nContent-Length: 0\r\n\r\n")

    caplog.set_level(logging.INFO, "wsproto_async.client")
    async with raw_server(refuse) as server:

        async def client() -> None:
            async for _ in connect(server.uri.replace("//", "//me:secret@") + "?token=secret"):
                raise AssertionError

        running = asyncio.create_task(client())
        await until(lambda: caplog.records)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        lines = [record.getMessage() for record in caplog.records]
        assert lines[0].startswith(
            f"127.0.0.1:{server.port}: server answered 503 caf\\xe9 instead of 101;"
            " connecting again in "
        )
        assert not any("secret" in line for line in lines)


async def test_cancelling_the_loop_leaves_nothing(raw_server: Callable) -> None:
    """Neither while it connects nor while it waits nor while it is open."""
    before = open_sockets()
    async with serve(hello, 0) as server:

        async def client() -> None:
            async for ws in connect(f"ws://127.0.0.1:{server.port}/"):
                await ws.recv()
                with suppress(ConnectionClosed):
                    await ws.recv()

        for turns in range(12):
            running = asyncio.create_task(client())
            for _ in range(turns):
                await asyncio.sleep(0)
            await asyncio.sleep(0.02 * (turns % 3))
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        await until(lambda: not server.connections)
    await until(lambda: open_sockets() == before)
    await until(lambda: len(asyncio.all_tasks()) == 1)


@pytest.mark.parametrize(
    "error",
    [
        OSError(),
        TimeoutError(),
        ConnectionRefusedError(),
        socket.gaierror(),
        InvalidMessage("cut off"),
        *(InvalidStatus(Response(status)) for status in (429, 500, 502, 503, 504)),
        ProxyError("busy", Response(503)),
        caused_by(OSError(), ProxyError("closed")),
        caused_by(InvalidMessage("garbled"), ProxyError("garbled")),
    ],
    ids=name,
)
def test_what_may_be_over_the_next_time(error: Exception) -> None:
    assert is_transient(error) is None


@pytest.mark.parametrize(
    "error",
    [
        *(InvalidStatus(Response(status)) for status in (200, 302, 400, 401, 403, 404, 501)),
        InvalidHeader("wrong"),
        HandshakeError("wrong"),
        ProxyError("no"),
        caused_by(LookupError(), ProxyError("no")),
        caused_by(OSError(), ProxyError("no", Response(407))),
        caused_by(OSError(), HandshakeError("wrong")),
        ProxyError("no", Response(407)),
        SSLCertVerificationError(),
        ValueError(),
        ImportError(),
    ],
    ids=name,
)
def test_what_will_not(error: Exception) -> None:
    assert is_transient(error) is error
