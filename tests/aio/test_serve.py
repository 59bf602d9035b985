"""Everything that can be asked of a server: where it listens and what it allows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from raw_peer import BINARY, CONTINUATION, TEXT, UPGRADE, frame, head, raw_peer, tcp_peer, within

from wsproto_async import InvalidState, Server, WebSocket, connect, serve, unix_connect, unix_serve


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def assert_echoes(uri: str, **options: Any) -> None:
    async with connect(uri, **options) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


async def response_to(server: Server, *extra: str) -> tuple[int, str]:
    """The status and the head of the answer to an upgrade request."""
    async with tcp_peer(server.port) as peer:
        await peer.send(head(*UPGRADE, *extra))
        answer = (await peer.read_head()).decode()
        peer.reset()
        return int(answer.split()[1]), answer


# Where it listens


async def test_by_default_on_this_machine_only() -> None:
    async with serve(echo, 0) as server:
        assert [sock.getsockname() for sock in server.sockets] == [("127.0.0.1", server.port)]
        assert server.port > 0
        await assert_echoes(f"ws://127.0.0.1:{server.port}/")


async def test_awaiting_it_starts_it() -> None:
    server = await serve(echo, 0)
    await assert_echoes(f"ws://127.0.0.1:{server.port}/")
    async with server as same:
        assert same is server
    assert not server.is_serving()


async def test_one_serve_starts_many() -> None:
    starting = serve(echo, 0)
    first, second = await starting, await starting
    assert first.port != second.port
    for server in (first, second):
        await assert_echoes(f"ws://127.0.0.1:{server.port}/")
        server.close()
        await server.wait_closed()


async def test_a_port_of_ones_own_choice() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        with pytest.raises(OSError):
            await serve(echo, port)
    async with serve(echo, port) as server:
        assert server.port == port
        await assert_echoes(f"ws://127.0.0.1:{port}/")
    async with serve(echo, port=port):
        await assert_echoes(f"ws://127.0.0.1:{port}/")


async def test_several_hosts() -> None:
    async with serve(echo, 0, host=["127.0.0.1", "127.0.0.2"]) as server:
        addresses = [sock.getsockname() for sock in server.sockets]
        assert sorted(host for host, _ in addresses) == ["127.0.0.1", "127.0.0.2"]
        assert server.port == addresses[0][1]
        for host, port in addresses:
            await assert_echoes(f"ws://{host}:{port}/")


async def test_all_addresses(caplog: pytest.LogCaptureFixture) -> None:
    async with serve(echo, 0, host=None) as server:
        for sock in server.sockets:
            host = "[::1]" if sock.family == socket.AF_INET6 else "127.0.0.1"
            await assert_echoes(f"ws://{host}:{sock.getsockname()[1]}/")


async def test_a_socket_of_ones_own() -> None:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    address = sock.getsockname()
    async with serve(echo, sock=sock) as server:
        assert server.port == address[1]
        await assert_echoes(f"ws://127.0.0.1:{server.port}/")
    assert sock.fileno() == -1


async def test_several_sockets_of_ones_own() -> None:
    socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    ports = [sock.getsockname()[1] for sock in socks]
    async with serve(echo, sock=socks) as server:
        assert server.port == ports[0]
        for port in ports:
            await assert_echoes(f"ws://127.0.0.1:{port}/")
    assert [sock.fileno() for sock in socks] == [-1, -1]


async def test_several_servers_on_one_port() -> None:
    async with serve(echo, 0, reuse_port=True, backlog=5) as first:
        async with serve(echo, first.port, reuse_port=True) as second:
            assert first.port == second.port
            await assert_echoes(f"ws://127.0.0.1:{first.port}/")
        await assert_echoes(f"ws://127.0.0.1:{first.port}/")


async def test_nowhere() -> None:
    with pytest.raises(TypeError, match=r"^serve\(\) needs a port or a sock$"):
        await serve(echo)


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with unix_serve(echo, path) as server:
        (sock,) = server.sockets
        assert sock.getsockname() == str(path)
        with pytest.raises(InvalidState, match="does not listen on TCP"):
            _ = server.port
        async with unix_connect(path) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
            assert next(iter(server.connections)).local_address == str(path)
    with pytest.raises(OSError):
        await unix_serve(echo, tmp_path / "no" / "such" / "folder")


async def test_tls(tls: Any) -> None:
    async with serve(echo, 0, ssl=tls.server) as server:
        await assert_echoes(f"wss://127.0.0.1:{server.port}/", ssl=tls.client)


@pytest.mark.parametrize("data", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"])
async def test_a_client_that_gets_nowhere_with_tls(tls: Any, data: bytes) -> None:
    """The deadline for the opening is TLS's as well."""
    async with (
        serve(echo, 0, ssl=tls.server, open_timeout=0.15) as server,
        tcp_peer(server.port) as peer,
    ):
        await peer.send(data)
        with contextlib.suppress(ConnectionResetError):
            await within(1, peer.read_eof())
        assert server.stats().handshakes == 0
        await assert_echoes(f"wss://127.0.0.1:{server.port}/", ssl=tls.client)


@pytest.mark.parametrize("address", ["tcp", "unix"])
async def test_it_says_where_it_listens(
    address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = str(tmp_path / "socket")
    serving = serve(echo, 0) if address == "tcp" else unix_serve(echo, path)
    async with serving as server:
        where = f"127.0.0.1:{server.port}" if address == "tcp" else path
        records = [record for record in caplog.records if record.name != "asyncio"]
        assert [(record.name, record.levelname, record.message) for record in records] == [
            ("wsproto_async.server", "INFO", f"listening on {where}")
        ]


async def test_the_logger_is_the_callers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    logger = logging.LoggerAdapter(logging.getLogger("test.of.mine"), {"extra": "mine"})
    async with serve(echo, 0, logger=logger):
        assert {record.name for record in caplog.records} - {"asyncio"} == {"test.of.mine"}


# What it allows


@pytest.mark.parametrize(
    ("origins", "origin", "status"),
    [
        ("same-origin", None, 101),
        ("same-origin", "http://localhost", 101),
        ("same-origin", "http://127.0.0.1:3000", 101),
        ("same-origin", "https://evil.example", 403),
        ("same-origin", "null", 403),
        (None, "https://evil.example", 101),
        (["https://good.example"], "https://good.example", 101),
        (["https://good.example"], "https://evil.example", 403),
        (["https://good.example"], None, 403),
        (["https://good.example", None], None, 101),
        ([re.compile(r"https://.*\.good\.example")], "https://a.good.example", 101),
        ([re.compile(r"https://.*\.good\.example")], "https://a.good.example.evil.example", 403),
        ([], "http://localhost", 403),
    ],
)
async def test_origins(origins: Any, origin: str | None, status: int) -> None:
    async with serve(echo, 0, origins=origins) as server:
        extra = [] if origin is None else [f"Origin: {origin}"]
        assert (await response_to(server, *extra))[0] == status


@pytest.mark.parametrize(
    ("supported", "offered", "chosen"),
    [
        ([], "one, two", None),
        (["one", "two"], "two, one", "one"),
        (["three", "two"], "one, two", "two"),
        (["three"], "one, two", None),
        (["one"], None, None),
    ],
)
async def test_subprotocols(supported: list[str], offered: str | None, chosen: str | None) -> None:
    async with serve(echo, 0, subprotocols=supported) as server:
        extra = [] if offered is None else [f"Sec-WebSocket-Protocol: {offered}"]
        status, answer = await response_to(server, *extra)
        assert status == 101
        found = re.search(r"Sec-WebSocket-Protocol: (.*)\r\n", answer)
        assert (found and found[1]) == chosen


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subprotocols": "chat"}, "subprotocols must be a sequence of strings, not a string"),
        ({"origins": "https://a.b"}, "origins must be a sequence of origins, not a string"),
        ({"allowed_hosts": "a.b"}, "allowed_hosts must be a sequence of hosts, not a string"),
    ],
)
def test_a_string_is_no_sequence_of_strings(options: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}$"):
        serve(echo, 0, **options)


async def test_what_can_be_gone_through_once_lasts_for_all_connections() -> None:
    options = {
        "origins": ["https://a.example"],
        "allowed_hosts": ["localhost", "127.0.0.1"],
        "subprotocols": ["chat"],
        "trusted_proxies": ["127.0.0.0/8"],
    }
    once: Any = {name: iter(values) for name, values in options.items()}
    seen: list[Any] = []

    async def handler(ws: WebSocket) -> None:
        seen.append((ws.subprotocol, ws.remote_address[0]))

    lines = "Origin: https://a.example", "Sec-WebSocket-Protocol: chat", "X-Forwarded-For: 8.8.8.8"
    async with serve(handler, 0, **once) as server:
        for _ in range(2):
            assert (await response_to(server, *lines))[0] == 101
    assert seen == [("chat", "8.8.8.8")] * 2


async def test_a_client_offers_again_what_can_be_gone_through_once() -> None:
    async with serve(echo, 0, subprotocols=["chat"]) as server:
        connecting = connect(f"ws://127.0.0.1:{server.port}/", subprotocols=iter(["chat"]))
        for _ in range(2):
            async with connecting as ws:
                assert ws.subprotocol == "chat"


@pytest.mark.parametrize("host", ["", ["127.0.0.1", ""]])
def test_an_empty_host_is_not_all_addresses(host: Any) -> None:
    with pytest.raises(ValueError, match=r"^host is empty: None is for all addresses$"):
        serve(echo, 0, host=host)


@pytest.mark.parametrize("what", [None, 5, "echo"])
def test_a_handler_that_cannot_be_called(what: Any) -> None:
    with pytest.raises(TypeError, match=r"^handler must be a coroutine function, not "):
        serve(what, 0)


class Echo:
    async def __call__(self, ws: WebSocket) -> None:
        await echo(ws)

    async def method(self, ws: WebSocket) -> None:
        await echo(ws)


@pytest.mark.parametrize(
    "handler",
    [Echo(), Echo().method, partial(echo), lambda ws: echo(ws)],
    ids=["object", "method", "partial", "function"],
)
async def test_what_else_is_a_handler(handler: Callable) -> None:
    async with serve(handler, 0) as server:
        await assert_echoes(f"ws://127.0.0.1:{server.port}/")


@pytest.mark.parametrize("name", ["wsproto_async", "mine/1.0", None])
async def test_the_server_header(name: str | None) -> None:
    options = {} if name == "wsproto_async" else {"server_header": name}
    async with serve(echo, 0, **options) as server:
        for extra, expected in (([], 101), (["Origin: https://evil.example"], 403)):
            status, answer = await response_to(server, *extra)
            assert status == expected
            assert re.findall(r"\r\nServer: (.*)\r\n", answer) == ([] if name is None else [name])


@pytest.mark.parametrize(
    ("options", "data", "code"),
    [
        ({"max_size": 10}, frame(BINARY, bytes(11)), 1009),
        ({"max_size": 10}, frame(TEXT, bytes(6), fin=False) + frame(CONTINUATION, bytes(5)), 1009),
        ({"max_fragments": 2}, frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 2, 1008),
        ({}, frame(BINARY, bytes(2**20 + 1)), 1009),
    ],
)
async def test_limits(options: Any, data: bytes, code: int) -> None:
    async with serve(echo, 0, **options) as server, raw_peer(server.port) as peer:
        await peer.send(data)
        assert (await peer.read_close()).close_code == code


async def test_limits_that_are_lifted() -> None:
    async with (
        serve(echo, 0, max_size=None, max_fragments=None, read_limit=2**14) as server,
        connect(f"ws://127.0.0.1:{server.port}/", max_size=None) as ws,
    ):
        await ws.send([b"x"] * 16_400)
        assert len(await ws.recv()) == 16_400
        await ws.send(bytes(2**21))
        assert len(await ws.recv()) == 2**21


async def test_no_timeouts() -> None:
    async with serve(echo, 0, open_timeout=None, close_timeout=None, ping_interval=None) as server:
        async with tcp_peer(server.port) as peer:
            await asyncio.sleep(0.1)
            await peer.upgrade()
            await peer.send(frame(TEXT, b"hello"))
            assert (await peer.read_frame()).payload == b"hello"
        await assert_echoes(f"ws://127.0.0.1:{server.port}/")


async def test_a_body_that_raises_still_closes() -> None:
    servers: list[Server] = []
    with pytest.raises(LookupError):
        async with serve(echo, 0) as server:
            servers.append(server)
            raise LookupError
    assert not servers[0].is_serving()


@pytest.mark.parametrize("start", [serve, unix_serve])
async def test_a_cancelled_start_leaves_no_listener(start: Callable, tmp_path: Path) -> None:
    where = 0 if start is serve else tmp_path / "socket"
    turns = 0
    while True:
        starting = asyncio.ensure_future(start(echo, where)._start())
        for _ in range(turns):
            await asyncio.sleep(0)
        if starting.done():
            break
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        turns += 1
    server = await starting
    server.close()
    await server.wait_closed()
