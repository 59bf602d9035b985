"""The connections behind a listening socket: what is told of them, and who serves for ever."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
import time

import pytest
from handlers import answer_close, receive, uri, wait_for_the_end
from raw_peer import UPGRADE, head, raw_peer, tcp_peer, until, within

from wsproto_async import Server, WebSocket, connect, serve


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
