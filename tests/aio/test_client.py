"""connect(): what it asks for, what it makes of the answer, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from raw_peer import BINARY, TEXT, open_sockets, until, within

from wsproto_async import (
    ConnectionClosedError,
    HandshakeError,
    InvalidExtension,
    InvalidHeader,
    InvalidMessage,
    InvalidStatus,
    InvalidSubprotocol,
    InvalidUpgrade,
    State,
    WebSocket,
    connect,
    serve,
    unix_connect,
    unix_serve,
)
from wsproto_async.sansio import ServerConnection


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


HAS_IPV6 = has_ipv6()


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def accept_and_wait(peer: Any) -> None:
    await peer.accept()
    with contextlib.suppress(ConnectionResetError):
        await peer.read_eof()


def field(request: str, name: str) -> list[str]:
    lines = (line.partition(": ") for line in request.split("\r\n"))
    return [value for found, _, value in lines if found.lower() == name.lower()]


async def request_of(raw_server: Callable, path: str = "/", **options: Any) -> str:
    """The request that connect() sends; ``path`` may begin with credentials and a host."""
    requests: list[str] = []

    async def talk(peer: Any) -> None:
        chosen = options.get("subprotocols")
        lines = [f"Sec-WebSocket-Protocol: {chosen[-1]}"] if chosen else []
        requests.append(await peer.accept(*lines))

    async with raw_server(talk) as server:
        uri = f"ws://{path.removesuffix('/')}" if "@" in path else f"ws://127.0.0.1:PORT{path}"
        ws = await connect(uri.replace("PORT", str(server.port)), **options)
        assert ws.state is State.OPEN
        assert ws.subprotocol == (
            options["subprotocols"][-1] if "subprotocols" in options else None
        )
        ws.abort()
        await ws.wait_closed()
        await server.done()
    return requests[0]


# What it asks for


async def test_the_request(raw_server: Callable) -> None:
    request = await request_of(raw_server, "/chat/r%C3%A4um?q=ü#".rstrip("#"))
    lines = request.split("\r\n")
    assert lines[0] == "GET /chat/r%C3%A4um?q=%C3%BC HTTP/1.1"
    assert field(request, "Host")[0].startswith("127.0.0.1:")
    assert field(request, "Upgrade") == ["websocket"]
    assert field(request, "Connection") == ["Upgrade"]
    assert field(request, "Sec-WebSocket-Version") == ["13"]
    assert field(request, "User-Agent") == ["wsproto_async"]
    assert field(request, "Sec-WebSocket-Extensions") == [
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover;"
        " client_max_window_bits"
    ]
    for absent in ("Origin", "Sec-WebSocket-Protocol", "Authorization"):
        assert field(request, absent) == []


async def test_the_request_with_all_options(raw_server: Callable) -> None:
    request = await request_of(
        raw_server,
        subprotocols=["one", "two"],
        compression=None,
        origin="https://example.org",
        user_agent_header=None,
        additional_headers=[("X-Extra", "1"), ("X-Extra", "2")],
    )
    assert field(request, "Sec-WebSocket-Protocol") == ["one, two"]
    assert field(request, "Origin") == ["https://example.org"]
    assert field(request, "User-Agent") == []
    assert field(request, "X-Extra") == ["1", "2"]
    assert field(request, "Sec-WebSocket-Extensions") == []


async def test_additional_headers_replace_ours(raw_server: Callable) -> None:
    request = await request_of(
        raw_server,
        "user:secret@127.0.0.1:PORT/",
        origin="https://ours.example",
        additional_headers={
            "host": "theirs.example",
            "ORIGIN": "https://theirs.example",
            "User-Agent": "theirs",
            "Authorization": "Bearer theirs",
        },
    )
    assert field(request, "Host") == ["theirs.example"]
    assert field(request, "Origin") == ["https://theirs.example"]
    assert field(request, "User-Agent") == ["theirs"]
    assert field(request, "Authorization") == ["Bearer theirs"]


async def test_credentials_in_the_uri(raw_server: Callable) -> None:
    request = await request_of(raw_server, "us%40er:pass%3Aword@127.0.0.1:PORT/")
    assert field(request, "Authorization") == ["Basic dXNAZXI6cGFzczp3b3Jk"]
    assert "@" not in field(request, "Host")[0]


@pytest.mark.parametrize(
    ("uri", "options"),
    [
        ("http://localhost/", {}),
        ("ws://", {}),
        ("ws://localhost/#fragment", {}),
        ("ws://local host/", {}),
        ("ws://localhost:99999/", {}),
        ("ws://localhost/", {"ssl": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}),
        ("ws://localhost/", {"subprotocols": ["no token"]}),
        ("ws://localhost/", {"subprotocols": "chat"}),
        ("ws://localhost/", {"additional_headers": {"X": "a\r\nb"}}),
        ("ws://localhost/", {"origin": "a\nb"}),
    ],
)
async def test_wrong_arguments(uri: str, options: Any) -> None:
    with pytest.raises(ValueError):
        await connect(uri, **options)


# What it makes of the answer


def answering(data: bytes) -> Callable[[Any], Awaitable[None]]:
    async def talk(peer: Any) -> None:
        await peer.read_head()
        await peer.send(data)
        peer.sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            await peer.read_eof()

    return talk


SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (b"", InvalidMessage, "connection closed before the response was complete"),
        (b"HTTP/1.1 101 Swi", InvalidMessage, "connection closed before the response was complete"),
        (b"SSH-2.0-OpenSSH\r\n", InvalidMessage, "malformed status line"),
        (SWITCHING + b"\r\n", InvalidHeader, "Sec-WebSocket-Accept does not answer the key"),
        (
            SWITCHING + b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
            InvalidHeader,
            "Sec-WebSocket-Accept does not answer the key",
        ),
        (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: tls\r\nConnection: Upgrade\r\n\r\n",
            InvalidUpgrade,
            "Upgrade is not websocket",
        ),
    ],
)
async def test_an_answer_that_opens_nothing(
    raw_server: Callable, answer: bytes, error: type[HandshakeError], text: str
) -> None:
    before = open_sockets()
    async with raw_server(answering(answer)) as server:
        start = time.monotonic()
        with pytest.raises(error) as caught:
            await connect(server.uri)
        assert time.monotonic() - start < 1
        assert str(caught.value) == text
        await server.done()
    await until(lambda: open_sockets() == before)


async def test_a_refusal_can_be_read(raw_server: Callable) -> None:
    answer = b"HTTP/1.1 403 Forbidden\r\nX-Why: because\r\nContent-Length: 13\r\n\r\nmembers only\n"
    async with raw_server(answering(answer)) as server:
        with pytest.raises(InvalidStatus) as caught:
            await connect(server.uri)
        response = caught.value.response
        assert (response.status, response.reason) == (403, "Forbidden")
        assert response.headers["x-why"] == "because"
        assert response.body == b"members only\n"


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (["Sec-WebSocket-Protocol: three"], InvalidSubprotocol),
        (["Sec-WebSocket-Protocol: one, two"], InvalidSubprotocol),
        (["Sec-WebSocket-Extensions: permessage-inflate"], InvalidExtension),
        (["Sec-WebSocket-Extensions: x-other"], InvalidExtension),
    ],
)
async def test_an_answer_to_what_was_not_asked(
    raw_server: Callable, lines: list[str], error: type[HandshakeError]
) -> None:
    async def talk(peer: Any) -> None:
        await peer.accept(*lines)
        with contextlib.suppress(ConnectionResetError):
            assert await peer.read_eof() == b""

    async with raw_server(talk) as server:
        with pytest.raises(error):
            await connect(server.uri, subprotocols=["one", "two"])
        await server.done()


async def test_nobody_listens() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        before = open_sockets()
        with pytest.raises(ConnectionRefusedError):
            await connect(f"ws://127.0.0.1:{sock.getsockname()[1]}/")
        assert open_sockets() == before


async def test_the_server_resets_the_connection(raw_server: Callable, reset: Callable) -> None:
    async def talk(peer: Any) -> None:
        await peer.read_head()
        reset(peer.sock)

    async with raw_server(talk) as server:
        with pytest.raises((HandshakeError, OSError)):
            await connect(server.uri)


# Time


async def silence(peer: Any) -> None:
    with contextlib.suppress(ConnectionResetError):
        await peer.read_eof()


async def drip(peer: Any) -> None:
    await peer.read_head()
    with contextlib.suppress(ConnectionError):
        for byte in SWITCHING:
            await peer.send(bytes([byte]))
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("scheme", "talk"), [("ws", silence), ("ws", drip), ("wss", silence)])
async def test_an_answer_that_does_not_come(
    raw_server: Callable, tls: Any, scheme: str, talk: Callable
) -> None:
    """Over TLS that is the same: the deadline is for everything."""
    before = open_sockets()
    async with raw_server(talk) as server:
        start = time.monotonic()
        with pytest.raises(TimeoutError, match=r"^opening handshake took over 0\.15 s$"):
            await connect(
                server.uri.replace("ws:", f"{scheme}:"),
                open_timeout=0.15,
                ssl=tls.client if scheme == "wss" else None,
            )
        assert 0.14 < time.monotonic() - start < 1
        await server.done()
    await until(lambda: open_sockets() == before)


@pytest.mark.parametrize("framing", ["X: 1", "Content-Length: 100", "Transfer-Encoding: chunked"])
async def test_a_refusal_whose_body_does_not_end(raw_server: Callable, framing: str) -> None:
    """Its head has said enough."""

    async def talk(peer: Any) -> None:
        await peer.read_head()
        body = "64\r\nwho" if "chunked" in framing else "who"
        await peer.send(f"HTTP/1.1 401 Unauthorized\r\n{framing}\r\n\r\n{body}".encode())
        await silence(peer)

    before = open_sockets()
    async with raw_server(talk) as server:
        with pytest.raises(InvalidStatus, match="401 Unauthorized") as caught:
            await connect(server.uri, open_timeout=0.2)
        assert caught.value.response.body == b"who"
        with pytest.raises(TimeoutError) as somebody_elses:
            async with asyncio.timeout(0.1):
                await connect(server.uri)
        assert str(somebody_elses.value) == ""
        await server.done()
    await until(lambda: open_sockets() == before)


async def test_an_interim_answer_is_no_refusal(raw_server: Callable) -> None:
    async def talk(peer: Any) -> None:
        await peer.read_head()
        await peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        await silence(peer)

    async with raw_server(talk) as server:
        with pytest.raises(TimeoutError, match=r"^opening handshake took over 0\.2 s$"):
            await connect(server.uri, open_timeout=0.2)
        await server.done()


async def test_without_a_timeout_it_waits(raw_server: Callable) -> None:
    async def talk(peer: Any) -> None:
        await go_on.wait()
        await accept_and_wait(peer)

    go_on = asyncio.Event()
    async with raw_server(talk) as server:
        connecting = asyncio.ensure_future(connect(server.uri, open_timeout=None)._open())
        await asyncio.wait([connecting], timeout=0.2)
        assert not connecting.done()
        go_on.set()
        ws = await within(5, connecting)
        ws.abort()
        await ws.wait_closed()
        await server.done()


async def test_somebody_elses_timeout_is_theirs(raw_server: Callable) -> None:
    async with raw_server(silence) as server:
        with pytest.raises(TimeoutError) as caught:
            async with asyncio.timeout(0.1):
                await connect(server.uri)
        assert str(caught.value) == ""
        await server.done()


# Nothing is left behind


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_cancelling_at_any_turn(tls: Any, scheme: str) -> None:
    """Wherever it is, no socket, no task and no unheard error is left."""
    secure = scheme == "wss"
    async with serve(echo, 0, ssl=tls.server if secure else None, close_timeout=0.2) as server:
        uri = f"{scheme}://127.0.0.1:{server.port}/"
        await until(lambda: server.stats().handshakes == 0)
        before = open_sockets()
        turns = 0
        while True:
            connecting = asyncio.create_task(
                connect(uri, ssl=tls.client if secure else None, close_timeout=0.2)._open()
            )
            for _ in range(turns):
                await asyncio.sleep(0)
            if connecting.done():
                break
            connecting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await connecting
            await until(lambda: open_sockets() == before)
            assert len(asyncio.all_tasks()) <= 2  # the test's, and a handler's about to end
            turns += 1
        ws = await connecting
        await ws.send("alive")
        assert await ws.recv() == "alive"
        await ws.close()
    assert turns > 3


@asynccontextmanager
async def connecting_to(sock: socket.socket) -> AsyncIterator[asyncio.Task[WebSocket]]:
    task = asyncio.create_task(connect("ws://localhost/", sock=sock)._open())
    try:
        yield task
    finally:
        await asyncio.wait([task])


@pytest.mark.parametrize("good", [True, False])
@pytest.mark.parametrize("answer_first", [True, False])
async def test_cancelling_in_the_turn_in_which_the_answer_arrives(
    good: bool, answer_first: bool
) -> None:
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    wake, waker = socket.socketpair()
    with theirs, wake, waker:
        theirs.setblocking(False)
        async with connecting_to(ours) as connecting:
            request = await loop.sock_recv(theirs, 65536)
            answer = _accepting(request) if good else b"HTTP/1.1 403 Forbidden\r\n\r\n"
            loop.add_reader(wake, connecting.cancel)
            # Both become readable between two looks of the loop, and are served in this order.
            for send in [theirs.send, waker.send] if answer_first else [waker.send, theirs.send]:
                send(answer if send == theirs.send else b"x")
            await asyncio.wait([connecting])
            loop.remove_reader(wake)
        assert connecting.cancelled()
        with contextlib.suppress(ConnectionResetError):
            while await loop.sock_recv(theirs, 65536):
                pass
    assert len(asyncio.all_tasks()) == 1


def _accepting(request: bytes) -> bytes:
    server = ServerConnection()
    server.receive_data(request)
    assert server.next_event() is not None
    server.send_response(server.accept())
    return server.data_to_send()


async def test_a_failed_opening_leaves_no_task(raw_server: Callable) -> None:
    async with raw_server(answering(b"HTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n")) as server:
        tasks = asyncio.all_tasks()
        with pytest.raises(InvalidStatus):
            await connect(server.uri)
        await server.done()
        assert asyncio.all_tasks() <= tasks | set(server.tasks)


# Ways to use it


async def test_as_a_context_manager() -> None:
    async with serve(echo, 0) as server:
        uri = f"ws://127.0.0.1:{server.port}/"
        async with connect(uri) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
        assert (ws.state, ws.close_code) == (State.CLOSED, 1000)
        with pytest.raises(LookupError):
            async with connect(uri) as ws:
                raise LookupError
        assert (ws.state, ws.close_code) == (State.CLOSED, 1011)


async def test_one_connect_opens_many() -> None:
    async with serve(echo, 0) as server:
        opening = connect(f"ws://127.0.0.1:{server.port}/")
        first, second = await opening, await opening
        assert (
            first.request.headers["Sec-WebSocket-Key"]
            != (second.request.headers["Sec-WebSocket-Key"])
        )
        for ws in (first, second):
            await ws.send("hello")
            assert await ws.recv() == "hello"
            await ws.close()
        for _ in range(2):
            async with opening as ws:
                await ws.send("hello")
                assert await ws.recv() == "hello"


async def test_a_socket_that_is_connected_already() -> None:
    async with serve(echo, 0) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        address = sock.getsockname()
        async with connect("ws://example.org/", sock=sock) as ws:
            assert ws.local_address == address
            assert ws.headers["Host"] == "example.org"
        assert sock.fileno() == -1


async def test_the_address_to_connect_from() -> None:
    async with (
        serve(echo, 0) as server,
        connect(f"ws://127.0.0.1:{server.port}/", local_addr=("127.0.0.2", 0)) as ws,
    ):
        assert ws.local_address[0] == "127.0.0.2"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", *(["[::1]"] if HAS_IPV6 else [])])
async def test_hosts(host: str) -> None:
    async with (
        serve(echo, 0, host=host.strip("[]")) as server,
        connect(f"ws://{host}:{server.port}/") as ws,
    ):
        assert ws.headers["Host"] == f"{host}:{server.port}"
        assert ws.remote_address[1] == server.port
        await ws.send("hello")
        assert await ws.recv() == "hello"


async def test_unix_sockets(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with unix_serve(echo, path):
        for where in (path, str(path)):
            async with unix_connect(where) as ws:
                assert (ws.path, ws.headers["Host"]) == ("/", "localhost")
                assert ws.remote_address == str(path)
                await ws.send("hello")
                assert await ws.recv() == "hello"
            assert "CLOSED" in repr(ws)
        async with unix_connect(path, "ws://example.org/chat") as ws:
            assert (ws.path, ws.headers["Host"]) == ("/chat", "example.org")
    with pytest.raises(OSError):
        await unix_connect(tmp_path / "nobody")


async def test_unix_sockets_over_tls(tmp_path: Path, tls: Any) -> None:
    path = tmp_path / "socket"
    async with (
        unix_serve(echo, path, ssl=tls.server),
        unix_connect(path, "wss://localhost/", ssl=tls.client) as ws,
    ):
        await ws.send("hello")
        assert await ws.recv() == "hello"


async def test_options_reach_the_connection(client_link: Callable) -> None:
    async with client_link(max_size=10) as (ws, peer):
        await peer.send_frame(BINARY, bytes(11))
        assert (await peer.read_close()).close_code == 1009
        with pytest.raises(ConnectionClosedError):
            await ws.recv()
    async with client_link(max_fragments=2) as (ws, peer):
        await peer.send(peer.frame(TEXT, fin=False) + peer.frame(0, fin=False) + peer.frame(0))
        assert (await peer.read_close()).close_code == 1008


async def test_the_logger_is_the_callers(
    client_link: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logger = logging.LoggerAdapter(logging.getLogger("test.of.mine"), {})
    for options, name in (({}, "wsproto_async.client"), ({"logger": logger}, "test.of.mine")):
        caplog.clear()
        async with client_link(close_timeout=0.05, **options) as (ws, _):
            await ws.close()
            assert {record.name for record in caplog.records} - {"asyncio"} == {name}


# TLS


async def test_a_certificate_is_checked(tls: Any) -> None:
    async with serve(echo, 0, ssl=tls.server) as server:
        before = open_sockets()
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(f"wss://127.0.0.1:{server.port}/")  # nobody trusts a test's authority
        sock = socket.create_connection(("127.0.0.1", server.port))
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect("wss://example.org/", sock=sock, ssl=tls.client)
        async with connect(f"wss://localhost:{server.port}/", ssl=tls.client) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
        await until(lambda: open_sockets() == before)


async def test_plain_and_tls_do_not_meet(raw_server: Callable, tls: Any) -> None:
    async with serve(echo, 0) as server:
        with pytest.raises((OSError, HandshakeError)):
            await connect(f"wss://127.0.0.1:{server.port}/", ssl=tls.client)
    async with serve(echo, 0, ssl=tls.server) as server:
        with pytest.raises((OSError, HandshakeError)):
            await connect(f"ws://127.0.0.1:{server.port}/")


async def test_tls_through_a_socket_that_is_connected_already(tls: Any) -> None:
    async with serve(echo, 0, ssl=tls.server) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        async with connect("wss://localhost/", sock=sock, ssl=tls.client) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
