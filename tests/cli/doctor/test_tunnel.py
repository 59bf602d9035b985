"""Through a proxy."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import proxies
import pytest
import trustme


@pytest.fixture
def proxy(beside: Any) -> Iterator[Callable[..., proxies.Proxy]]:
    """Start a proxy."""
    stack = AsyncExitStack()

    def proxy(serve: proxies.Serve, tls: ssl.SSLContext | None = None) -> proxies.Proxy:
        return beside.do(stack.enter_async_context(proxies.running(serve, tls)))

    yield proxy
    beside.do(stack.aclose())


def test_of_the_environment(
    run: Callable,
    proxy: Callable,
    echo_port: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there = proxy(proxies.http)
    there.real_target = ("127.0.0.1", echo_port)
    monkeypatch.setenv("http_proxy", f"http://user:secret@127.0.0.1:{there.port}")
    status, out, _ = run("doctor", "ws://far.example/")
    assert status == 0
    assert f"proxy         http://127.0.0.1:{there.port} (the environment's)\n" in out
    assert "proxy         opened a tunnel to far.example:80 (" in out
    assert "secret" not in out
    assert there.targets == ["far.example:80"]


def test_tls_in_a_tunnel_over_tls(
    doctor: Callable,
    proxy: Callable,
    server: Callable,
    authority: trustme.CA,
    tls: ssl.SSLContext,
    ca_file: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def handler(ws: Any) -> None:
        await ws.wait_closed()

    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    there = proxy(proxies.http, tls)
    url = f"wss://127.0.0.1:{server(handler, ssl=tls)}/"
    found = doctor(url, "--proxy", f"https://127.0.0.1:{there.port}")
    assert found.status == 0
    assert found.names().count("TLS") == 2


@pytest.mark.parametrize("scheme", ["socks4a", "socks5h"])
def test_socks(doctor: Callable, proxy: Callable, echo_port: int, scheme: str) -> None:
    there = proxy(proxies.socks)
    there.real_target = ("127.0.0.1", echo_port)
    found = doctor("ws://far.example/", "--proxy", f"{scheme}://127.0.0.1:{there.port}")
    assert found.status == 0
    assert there.targets == ["far.example:80"]


@pytest.mark.parametrize(
    ("serve", "user", "side", "text", "why"),
    [
        (
            proxies.answering(b"HTTP/1.1 407 Who\r\n\r\n"),
            "",
            "client",
            "proxy answered 407 Who to CONNECT",
            "wants to know who asks",
        ),
        (
            proxies.answering(b"HTTP/1.1 407 Who\r\n\r\n"),
            "me:wrong@",
            "client",
            "proxy answered 407 Who to CONNECT",
            "does not accept the user and the password",
        ),
        (
            proxies.answering(b"HTTP/1.1 403 \x9b\r\n\r\n"),
            "",
            "proxy",
            r"proxy answered 403 \x9b to CONNECT",
            "does not allow tunnels",
        ),
        (
            proxies.answering(b"HTTP/1.1 502 Bad\r\n\r\n"),
            "",
            "network",
            "proxy answered 502 Bad to CONNECT",
            "cannot reach the server",
        ),
        (
            proxies.answering(b"SSH-2.0\r\n"),
            "",
            "proxy",
            "proxy: malformed status line",
            "does not behave as an HTTP proxy",
        ),
        (
            proxies.hanging_up,
            "",
            "proxy",
            "connection closed by the proxy",
            "does not behave as an HTTP proxy",
        ),
        (
            proxies.silent,
            "",
            "proxy",
            "no answer to CONNECT",
            "does not behave as an HTTP proxy",
        ),
    ],
)
def test_no_tunnel(
    doctor: Callable,
    proxy: Callable,
    serve: proxies.Serve,
    user: str,
    side: str,
    text: str,
    why: str,
) -> None:
    there = proxy(serve)
    url = f"http://{user}127.0.0.1:{there.port}"
    found = doctor("ws://far.example/", "--proxy", url, "--timeout", "0.3")
    assert (found.status, found.last["step"], found.side) == (3, "proxy", side)
    assert found.last["text"] == text
    assert why in found.last["problem"]["why"]


def test_socks_refuses(doctor: Callable, proxy: Callable) -> None:
    there = proxy(proxies.socks)
    found = doctor("ws://refused.example/", "--proxy", f"socks5h://127.0.0.1:{there.port}")
    assert (found.status, found.last["step"], found.side) == (3, "proxy", "proxy")
    assert found.last["text"].startswith("SOCKS proxy: ")


def test_socks_is_not_installed(doctor: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_socks", None)
    # Nobody accepts: asyncio's servers lose a connection that comes as they are closed.
    with socket.create_server(("127.0.0.1", 0)) as there:
        port = there.getsockname()[1]
        found = doctor("ws://far.example/", "--proxy", f"socks5://127.0.0.1:{port}")
    assert (found.status, found.side) == (2, "client")
    assert found.last["text"] == "SOCKS proxies need the extra wsproto_async[socks]"


def test_no_proxy_listens(doctor: Callable, closed_port: int) -> None:
    found = doctor("ws://far.example/", "--proxy", f"http://127.0.0.1:{closed_port}")
    assert (found.status, found.last["step"], found.side) == (3, "TCP", "proxy")


def test_the_environment_names_none(run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "ftp://a")
    status, out, _ = run("doctor", "ws://far.example/")
    assert status == 2
    assert "The environment names a proxy that is none." in out
