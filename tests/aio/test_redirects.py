"""connect() follows redirects, and takes no secrets along."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from raw_peer import open_sockets, until

from wsproto_async import (
    InvalidRedirect,
    InvalidStatus,
    Request,
    Response,
    WebSocket,
    connect,
    serve,
    unix_connect,
    unix_serve,
)


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


def redirecting(requests: list[Request], locations: dict[str, str], status: int = 302) -> Callable:
    """A hook that answers with a redirect for some paths."""

    def process_request(ws: WebSocket, request: Request) -> Response | None:
        requests.append(request)
        if request.path in locations:
            return Response(status, headers={"Location": locations[request.path]})
        return None

    return process_request


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect(status: int) -> None:
    requests: list[Request] = []
    hook = redirecting(requests, {"/old": "new?a=b"}, status)
    async with (
        serve(echo, 0, process_request=hook) as server,
        connect(f"ws://me:pw@127.0.0.1:{server.port}/old") as ws,
    ):
        await ws.send("hello")
        assert await ws.recv() == "hello"
        assert ws.path == "/new?a=b"
    keys = {request.headers["Sec-WebSocket-Key"] for request in requests}
    assert len(keys) == len(requests) == 2
    assert {request.headers["Authorization"] for request in requests} == {"Basic bWU6cHc="}


async def test_to_another_origin() -> None:
    """Secrets stay behind, what else was asked for does not."""
    requests: list[Request] = []
    elsewhere: list[Request] = []
    async with serve(echo, 0, process_request=redirecting(elsewhere, {})) as other:
        away = f"http://127.0.0.1:{other.port}/there"
        hook = redirecting(requests, {"/": away})
        async with (
            serve(echo, 0, process_request=hook) as server,
            connect(
                f"ws://me:pw@127.0.0.1:{server.port}/",
                additional_headers={"Cookie": "a=b", "X-Kept": "1", "Host": "virtual"},
                subprotocols=["one"],
            ) as ws,
        ):
            assert ws.remote_address[1] == other.port
    assert requests[0].headers["Authorization"] == "Basic bWU6cHc="
    assert (requests[0].headers["Cookie"], requests[0].headers["Host"]) == ("a=b", "virtual")
    headers = elsewhere[0].headers
    assert "Authorization" not in headers
    assert "Cookie" not in headers
    assert headers["Host"] == f"127.0.0.1:{other.port}"
    assert (headers["X-Kept"], headers["Sec-WebSocket-Protocol"]) == ("1", "one")


@pytest.mark.parametrize("count", [5, 6, 300])
async def test_a_chain_of_redirects(count: int) -> None:
    before = open_sockets()
    requests: list[Request] = []
    hook = redirecting(requests, {f"/{n}": f"/{n + 1}" for n in range(count)})
    async with serve(echo, 0, process_request=hook) as server:
        uri = f"ws://127.0.0.1:{server.port}/0"
        if count <= 5:
            async with connect(uri) as ws:
                assert ws.path == f"/{count}"
        else:
            with pytest.raises(InvalidRedirect) as caught:
                await connect(uri)
            assert str(caught.value) == "server answered 302 and redirects more than 5 times"
            assert caught.value.response.headers["Location"] == "/6"
            assert len(requests) == 6
    await until(lambda: open_sockets() == before)


async def test_a_loop() -> None:
    hook = redirecting([], {"/": "/"})
    async with serve(echo, 0, process_request=hook) as server:
        with pytest.raises(InvalidRedirect):
            await connect(f"ws://127.0.0.1:{server.port}/")


async def test_into_tls_and_never_out_of_it(tls: Any) -> None:
    async with serve(echo, 0) as plain:
        out = redirecting([], {"/out": f"ws://127.0.0.1:{plain.port}/"})
        async with serve(echo, 0, ssl=tls.server, process_request=out) as secure:
            uri = f"wss://127.0.0.1:{secure.port}"
            with pytest.raises(InvalidRedirect, match="from wss: to ws:"):
                await connect(f"{uri}/out", ssl=tls.client)


async def test_from_plain_to_tls(tls: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(tls.authority)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    async with serve(echo, 0, ssl=tls.server) as secure:
        into = redirecting([], {"/": f"https://127.0.0.1:{secure.port}/in"})
        async with (
            serve(echo, 0, process_request=into) as plain,
            connect(f"ws://127.0.0.1:{plain.port}/") as ws,
        ):
            assert ws.transport.get_extra_info("ssl_object") is not None


async def test_everything_is_in_one_timeout(raw_server: Callable) -> None:
    async def talk(peer: Any) -> None:
        await peer.read_head()
        await asyncio.sleep(0.15)
        await peer.send(b"HTTP/1.1 302 x\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")

    async with raw_server(talk) as server:
        with pytest.raises(TimeoutError, match=r"^opening handshake took over 0\.4 s$"):
            await connect(server.uri, open_timeout=0.4)


async def test_a_given_socket_goes_nowhere_else() -> None:
    async with serve(echo, 0, process_request=redirecting([], {"/": "/b"})) as server:
        sock = socket.create_connection(("127.0.0.1", server.port))
        with pytest.raises(InvalidStatus) as caught:
            await connect("ws://localhost/", sock=sock)
        assert caught.value.response.status == 302


async def test_nor_does_a_unix_socket(tmp_path: Path) -> None:
    hook = redirecting([], {"/": "/b"})
    async with unix_serve(echo, tmp_path / "s", process_request=hook):
        with pytest.raises(InvalidStatus) as caught:
            await unix_connect(tmp_path / "s")
        assert caught.value.response.status == 302
