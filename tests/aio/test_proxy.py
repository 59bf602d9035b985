"""Through proxies of every kind, on plain TCP and TLS, and what goes wrong with them."""

from __future__ import annotations

import asyncio
import base64
import ssl
from pathlib import Path
from typing import Any

import proxies
import pytest
from raw_peer import open_sockets, until

from wsproto_async import (
    HandshakeError,
    InvalidStatus,
    ProxyError,
    Request,
    Response,
    WebSocket,
    connect,
    serve,
)
from wsproto_async.aio.reconnect import is_transient


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@pytest.fixture(autouse=True)
def trusted(tls: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The test's certificates are the system's; no proxy in the environment."""
    path = tmp_path / "trusted.pem"
    path.write_bytes(tls.authority)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    for scheme in ("ws", "wss", "http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme}_proxy".upper(), raising=False)


@pytest.mark.parametrize("over_tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("scheme", ["http", "https", "socks4", "socks4a", "socks5", "socks5h"])
async def test_a_connection_through_a_proxy(tls: Any, scheme: str, over_tls: bool) -> None:
    before = open_sockets()
    requests: list[Request] = []

    def remember(ws: WebSocket, request: Request) -> None:
        requests.append(request)

    kind = proxies.http if scheme.startswith("http") else proxies.socks
    async with (
        serve(echo, 0, ssl=tls.server if over_tls else None, process_request=remember) as server,
        proxies.running(kind, tls.server if scheme == "https" else None) as proxy,
    ):
        host = "127.0.0.1" if scheme == "socks4" else "localhost"
        target = f"{'wss' if over_tls else 'ws'}://me:pw@{host}:{server.port}/path"
        async with connect(target, proxy=f"{scheme}://127.0.0.1:{proxy.port}") as ws:
            for message in ("hello", bytes(100_000)):
                await ws.send(message)
                assert await ws.recv() == message
            assert (ws.transport.get_extra_info("ssl_object") is None) is (
                not over_tls and scheme != "https"
            )
        resolved = "localhost" if scheme in ("http", "https", "socks4a", "socks5h") else "127.0.0.1"
        assert proxy.targets == [f"{resolved}:{server.port}"]
        # The server's secrets are not for the proxy.
        assert not any("authorization" in head.lower() for head in proxy.heads)
        assert requests[0].headers["Authorization"].startswith("Basic ")
        assert "Proxy-Authorization" not in requests[0].headers
    await until(lambda: open_sockets() == before)


async def test_the_proxys_credentials(tls: Any) -> None:
    async with serve(echo, 0) as server:
        target = f"ws://127.0.0.1:{server.port}/"
        async with proxies.running(proxies.http) as proxy:
            uri = f"http://me:s%C3%A9cret@127.0.0.1:{proxy.port}"
            async with connect(target, proxy=uri) as ws:
                assert "Authorization" not in ws.headers
            token = base64.b64encode("me:sécret".encode()).decode()
            assert f"\r\nProxy-Authorization: Basic {token}\r\n" in proxy.heads[0]
        async with proxies.running(proxies.socks) as proxy:
            async with connect(target, proxy=f"socks5://me:secret@127.0.0.1:{proxy.port}"):
                pass
            with pytest.raises(ProxyError):
                await connect(target, proxy=f"socks5://me:wrong@127.0.0.1:{proxy.port}")


async def test_the_environments_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(echo, 0) as server, proxies.running(proxies.http) as proxy:
        proxy.real_target = "127.0.0.1", server.port
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        async with connect("ws://somewhere.example/"):
            assert proxy.targets == ["somewhere.example:80"]
        async with connect(f"ws://127.0.0.1:{server.port}/", proxy=None):
            assert len(proxy.targets) == 1
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with connect(f"ws://127.0.0.1:{server.port}/"):
            assert len(proxy.targets) == 1


async def test_a_redirect_asks_for_another_tunnel() -> None:
    def redirect(ws: WebSocket, request: Request) -> Response | None:
        if request.path == "/":
            return Response(307, headers={"Location": "ws://other.example/there"})
        return None

    async with (
        serve(echo, 0, process_request=redirect) as server,
        proxies.running(proxies.http) as proxy,
    ):
        proxy.real_target = "127.0.0.1", server.port
        async with connect("ws://one.example/", proxy=f"http://127.0.0.1:{proxy.port}") as ws:
            assert ws.path == "/there"
        assert proxy.targets == ["one.example:80", "other.example:80"]


async def test_what_comes_with_the_answer_belongs_to_the_tunnel() -> None:
    """Nobody may speak before the request, but what is there is read as its answer."""
    answer = b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno"
    async with proxies.running(proxies.answering(answer)) as proxy:
        with pytest.raises(Exception, match="server answered 400 Bad Request") as caught:
            await connect("ws://h.example/", proxy=f"http://127.0.0.1:{proxy.port}")
        assert caught.value.response.body == b"no"
        with pytest.raises(ProxyError, match="more than its answer"):
            await connect("wss://h.example/", proxy=f"http://127.0.0.1:{proxy.port}")


async def test_what_comes_with_the_end_of_the_tls_handshake_belongs_to_the_tunnel(tls: Any) -> None:
    """In TLS 1.2 it is the server that ends it, and may go on in the same breath."""

    async def proxy_and_server(
        proxy: proxies.Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = tls.server.wrap_bio(incoming, outgoing, server_side=True)
        while True:
            try:
                server.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                incoming.write(await reader.read(65536))
        server.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno")
        writer.write(outgoing.read())
        await reader.read()

    client = ssl.create_default_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    async with proxies.running(proxy_and_server) as proxy:
        with pytest.raises(InvalidStatus) as caught:
            await connect("wss://localhost/", ssl=client, proxy=f"http://127.0.0.1:{proxy.port}")
        assert caught.value.response.body == b"no"


async def test_interim_answers_come_before_the_one_that_counts() -> None:
    async def opening(
        proxy: proxies.Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        await proxies.http(proxy, reader, writer)

    async with serve(echo, 0) as server, proxies.running(opening) as proxy:
        target = f"ws://127.0.0.1:{server.port}/"
        async with connect(target, proxy=f"http://127.0.0.1:{proxy.port}") as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"


@pytest.mark.parametrize(
    ("answer", "error", "status"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n",
            "proxy answered 407 Proxy Authentication Required to CONNECT",
            407,
        ),
        (b"HTTP/1.0 502 Bad\r\n\r\n<html>", "proxy answered 502 Bad to CONNECT", 502),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n", "proxy answered 302 Found to CONNECT", 302),
        (b"HTTP/1.1 101 Hm\r\n\r\n", "proxy answered 101 Hm to CONNECT", None),
        (b"HTTP/1.1 102 Hm\r\n\r\n" * 9, "proxy: over 8 interim responses", None),
        (b"SSH-2.0-OpenSSH\r\n", "proxy: malformed status line", None),
        (b"\x16\x03\x01", "proxy: not an HTTP message", None),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 10_000, "proxy: header line over 8192 bytes", None),
    ],
)
async def test_a_proxy_that_opens_no_tunnel(answer: bytes, error: str, status: int | None) -> None:
    before = open_sockets()
    async with proxies.running(proxies.answering(answer)) as proxy:
        with pytest.raises(ProxyError) as caught:
            await connect("ws://h.example/", proxy=f"http://127.0.0.1:{proxy.port}")
        assert str(caught.value) == error
        response = caught.value.response
        assert (None if response is None else response.status) == status
    await until(lambda: open_sockets() == before)


@pytest.mark.parametrize("scheme", ["http", "socks4", "socks5h"])
async def test_a_proxy_that_hangs_up(scheme: str) -> None:
    async with proxies.running(proxies.hanging_up) as proxy:
        with pytest.raises((ProxyError, OSError)):
            await connect("ws://127.0.0.1/", proxy=f"{scheme}://127.0.0.1:{proxy.port}")


@pytest.mark.parametrize("over_tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_tunnel_that_ends_at_once(tls: Any, scheme: str, over_tls: bool) -> None:
    before = open_sockets()
    kind = proxies.answering_and_hanging_up(b"HTTP/1.1 200 OK\r\n\r\n")
    async with proxies.running(kind, tls.server if scheme == "https" else None) as proxy:
        # Whether the proxy's end comes before our first bytes or after, it is no timeout.
        with pytest.raises((HandshakeError, ConnectionError)) as caught:
            await connect(
                f"{'wss' if over_tls else 'ws'}://h.example/",
                proxy=f"{scheme}://127.0.0.1:{proxy.port}",
                open_timeout=5,
            )
        assert is_transient(caught.value) is None
    await until(lambda: open_sockets() == before)


async def test_a_socks_proxy_that_refuses() -> None:
    async with proxies.running(proxies.socks) as proxy:
        with pytest.raises(ProxyError, match=r"^SOCKS proxy: "):
            await connect("ws://refused.example/", proxy=f"socks5h://127.0.0.1:{proxy.port}")


@pytest.mark.parametrize("scheme", ["http", "https", "socks4", "socks5h"])
async def test_a_proxy_that_stalls(scheme: str) -> None:
    before = open_sockets()
    async with proxies.running(proxies.silent) as proxy:
        with pytest.raises(TimeoutError, match=r"^opening handshake took over 0\.2 s$"):
            await connect(
                "ws://127.0.0.1/", proxy=f"{scheme}://127.0.0.1:{proxy.port}", open_timeout=0.2
            )
        assert len(asyncio.all_tasks()) <= 2  # this one and the proxy's
    await until(lambda: open_sockets() == before)


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
async def test_a_proxy_that_is_not_there(scheme: str, unused_tcp_port: int) -> None:
    with pytest.raises(ConnectionRefusedError if scheme != "socks5" else OSError):
        await connect("ws://127.0.0.1/", proxy=f"{scheme}://127.0.0.1:{unused_tcp_port}")


@pytest.mark.parametrize("over_tls", [False, True], ids=["ws", "wss"])
@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
async def test_cancelling_at_any_moment(tls: Any, scheme: str, over_tls: bool) -> None:
    before = open_sockets()
    kind = proxies.http if scheme.startswith("http") else proxies.socks
    async with (
        serve(echo, 0, ssl=tls.server if over_tls else None) as server,
        proxies.running(kind, tls.server if scheme == "https" else None) as proxy,
    ):
        target = f"{'wss' if over_tls else 'ws'}://127.0.0.1:{server.port}/"
        for turns in range(0, 40, 2):
            opening = asyncio.ensure_future(_open(target, f"{scheme}://127.0.0.1:{proxy.port}"))
            for _ in range(turns):
                await asyncio.sleep(0)
            opening.cancel()
            outcome = await asyncio.gather(opening, return_exceptions=True)
            assert isinstance(outcome[0], asyncio.CancelledError | WebSocket)
            if isinstance(outcome[0], WebSocket):
                outcome[0].abort()
    await until(lambda: open_sockets() == before)
    await until(lambda: len(asyncio.all_tasks()) == 1)


async def _open(uri: str, proxy: str) -> WebSocket:
    return await connect(uri, proxy=proxy)


@pytest.mark.parametrize("proxy", ["", "p:3128", "ftp://p", "http://"])
def test_what_is_no_proxy(proxy: str) -> None:
    with pytest.raises(ValueError, match="proxy"):
        connect("ws://h/", proxy=proxy)


async def test_socks_needs_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "python_socks", None)
    with pytest.raises(ImportError, match=r"wsproto_async\[socks\]"):
        await connect("ws://h/", proxy="socks5://127.0.0.1:1")
