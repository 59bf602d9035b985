"""A client and a server in memory: all that serve() and connect() do, but no network."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from wsproto_async import (
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidStatus,
    PerMessageDeflate,
    ProtocolError,
    State,
    Topic,
    WebSocket,
    basic_auth,
)
from wsproto_async.testing import Link, MemoryServer, connected_pair, serve_in_memory


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@pytest.fixture(autouse=True)
def no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may use the network."""

    def refuse(*args: object) -> None:
        raise AssertionError("a socket was used")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


async def test_messages_both_ways() -> None:
    async with connected_pair() as (client, server):
        await client.send("from the client")
        assert await server.recv() == "from the client"
        await server.send(b"from the server")
        assert await client.recv() == b"from the server"
    assert client.state is server.state is State.CLOSED
    assert (client.close_code, server.close_code) == (1000, 1000)


async def test_a_handler_runs_as_in_a_server() -> None:
    seen = []

    async def handler(ws: WebSocket) -> None:
        seen.append(ws)
        assert ws.server is not None
        assert ws.server.connections == {ws}
        await ws.send(f"hello {ws.path}")
        await echo(ws)

    async with connected_pair(handler, uri="ws://chat.example/room?name=a") as (client, server):
        assert seen == [server]
        assert await client.recv() == "hello /room?name=a"
        assert server.headers["Host"] == "chat.example"
        await client.send("x" * 300_000)
        assert await client.recv() == "x" * 300_000
    with pytest.raises(ConnectionClosedOK):
        await client.recv()


async def test_a_handler_that_returns_closes_the_connection() -> None:
    async def say_once(ws: WebSocket) -> None:
        await ws.send("once")

    async with connected_pair(say_once) as pair:
        assert [message async for message in pair.client] == ["once"]
        assert pair.client.close_code == 1000


@pytest.mark.logs_errors
async def test_a_handler_that_fails_fails_the_test(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(ws: WebSocket) -> None:
        raise RuntimeError("as told")

    with pytest.raises(RuntimeError, match="as told"):
        async with connected_pair(fail) as (client, _):
            with pytest.raises(ConnectionClosedError):
                await client.recv()
            assert client.close_code == 1011
    assert [r.levelno for r in caplog.records if r.exc_info] == [logging.ERROR]


@pytest.mark.logs_errors
async def test_several_handlers_that_fail() -> None:
    async def count(ws: WebSocket) -> None:
        async for message in ws:
            int(message)

    with pytest.raises(ExceptionGroup, match="handlers have failed") as failed:
        async with serve_in_memory(count) as server:
            for text in ("a", "1", "b"):
                async with server.connect() as (client, _):
                    await client.send(text)
    assert failed.group_contains(ValueError, match="'a'")
    assert failed.group_contains(ValueError, match="'b'")
    assert len(failed.value.exceptions) == 2


async def test_a_closed_connection_is_no_failure() -> None:
    async def receive(ws: WebSocket) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send_for_ever(ws))
            await ws.recv()

    async def send_for_ever(ws: WebSocket) -> None:
        while True:
            await ws.send("again")
            await asyncio.sleep(0)

    for code in (1000, 4000):
        async with connected_pair(receive) as (client, _):
            await client.close(code)


async def test_a_handler_that_never_ends_is_cancelled() -> None:
    ended = []

    async def sleep(ws: WebSocket) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(ws)

    async with connected_pair(sleep) as (_, server):
        pass
    assert ended == [server]


async def test_options_take_effect() -> None:
    async with connected_pair(
        server_options={
            "subprotocols": ["v2", "v1"],
            "max_size": 10,
            "compression": PerMessageDeflate(threshold=1),
        },
        client_options={"subprotocols": ["v1"], "additional_headers": {"X-A": "b"}},
    ) as (client, server):
        assert client.subprotocol == server.subprotocol == "v1"
        assert server.headers["X-A"] == "b"
        assert server.response is not None
        assert "permessage-deflate" in server.response.headers["Sec-WebSocket-Extensions"]
        await client.send(bytes(11))
        with pytest.raises(ConnectionClosedError):
            await server.recv()
        await client.wait_closed()
        assert client.close_code == 1009


async def test_a_refusal() -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with connected_pair(client_options={"origin": "https://evil.example"}):
            pass
    assert refused.value.response.status == 403


async def test_users() -> None:
    options = {"process_request": basic_auth(realm="test", credentials=("user", "password"))}
    async with connected_pair(uri="ws://user:password@localhost/", server_options=options) as pair:
        assert pair.server.username == "user"
    with pytest.raises(InvalidStatus):
        async with connected_pair(server_options=options):
            pass


@pytest.mark.parametrize("name", ["host", "ssl", "sock", "proxy_protocol"])
async def test_there_is_no_network_on_the_server(name: str) -> None:
    with pytest.raises(TypeError, match=f"no {name}$"):
        async with connected_pair(server_options={name: None}):
            pass


@pytest.mark.parametrize("name", ["ssl", "sock", "proxy", "local_addr"])
async def test_there_is_no_network_on_the_client(name: str) -> None:
    with pytest.raises(TypeError, match=f"no {name}$"):
        async with connected_pair(client_options={name: None}):
            pass


async def test_wrong_options() -> None:
    with pytest.raises(ValueError, match="TLS"):
        async with connected_pair(uri="wss://localhost/"):
            pass
    with pytest.raises(TypeError, match="coroutine function"):
        async with serve_in_memory("no handler"):  # type: ignore[arg-type]
            pass
    with pytest.raises(ValueError, match="ping_timeout"):
        async with connected_pair(server_options={"ping_timeout": -1}):
            pass


async def test_many_clients_and_topics() -> None:
    async def room(ws: WebSocket) -> None:
        assert ws.server is not None
        await ws.subscribe("room")
        await ws.send("in")
        async for message in ws:
            await ws.server.publish("room", message)

    async with serve_in_memory(room, topics=[Topic("room")]) as server:
        async with server.connect() as (a, _), server.connect() as (b, _):
            assert [await a.recv(), await b.recv()] == ["in", "in"]
            assert len(server.server.connections) == 2
            await a.send("hello")
            assert [await a.recv(), await b.recv()] == ["hello", "hello"]
        assert server.server.stats().accepted == 2
        server.server.close()
        with pytest.raises(ConnectionRefusedError):
            async with server.connect():
                pass


async def test_an_exception_leaves_and_nothing_waits() -> None:
    with pytest.raises(ProtocolError):
        async with connected_pair() as (client, server):
            raise ProtocolError("of the test")
    assert client.state is server.state is State.CLOSED
    assert client.close_code == 1006


async def test_cancelled_while_connecting() -> None:
    link = Link()
    link.to_client.stall()

    async def connect() -> None:
        async with connected_pair(link=link):
            raise AssertionError("it cannot have been opened")

    task = asyncio.create_task(connect())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_backpressure_reaches_the_sender() -> None:
    """Who sends more than anybody reads waits, and what is held is bounded."""
    async with connected_pair(
        link=Link(capacity=1000),
        server_options={"read_limit": 1000},
        client_options={"write_limit": 1000, "compression": None},
    ) as (client, server):
        sent = 0

        async def send() -> None:
            nonlocal sent
            while True:
                await client.send(bytes(500))
                sent += 1

        sending = asyncio.create_task(send())
        for _ in range(200):
            await asyncio.sleep(0)
        assert 2 <= sent <= 10
        assert client.buffered_amount <= 2500
        for _ in range(50):
            assert await server.recv() == bytes(500)
        assert sent >= 50
        sending.cancel()


async def test_a_link_is_used_once() -> None:
    link = Link()
    async with serve_in_memory(echo) as server, server.connect(link=link) as (client, _):
        with pytest.raises(RuntimeError, match="joins two ends once"):
            async with server.connect(link=link):
                pass
        await client.send("the first goes on")
        assert await client.recv() == "the first goes on"


async def test_another_loop() -> None:
    async def connect(server: MemoryServer) -> None:
        async with server.connect():
            pass

    async with serve_in_memory(echo) as server:
        with pytest.raises(RuntimeError, match="another event loop"):
            await asyncio.to_thread(asyncio.run, connect(server))
