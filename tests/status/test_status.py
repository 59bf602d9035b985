"""What a server shows of itself: at which paths, to whom, and that the application is not asked."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from pathlib import Path

import pytest
from asking import BEARER, TOKEN, echo, feed, get, numbers
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from raw_peer import UPGRADE, RawPeer, head, raw_peer, tcp_peer, until

from wsproto_async import (
    InvalidStatus,
    Request,
    Response,
    WebSocket,
    connect,
    serve,
    unix_connect,
    unix_serve,
)
from wsproto_async.status import Status
from wsproto_async.testing import serve_in_memory


def refuse(ws: WebSocket, request: Request) -> Response:
    return Response(418)


async def test_there_is_nothing_by_default() -> None:
    async with serve(echo, 0) as server:
        assert (await get(server, "/status")).status == 426
        async with connect(f"ws://127.0.0.1:{server.port}/status") as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"  # the application's


async def test_paths_are_its_own_and_the_others_the_applications() -> None:
    status = Status("/a", metrics="/b", token=TOKEN)
    async with serve(echo, 0, process_request=refuse, status=status) as server:
        page = await get(server, "/a?x=1")
        assert page.status == 200
        assert page.header("Content-Type") == "text/html; charset=utf-8"
        assert (await get(server, "/b", BEARER)).status == 200
        for path in ("/", "/a/", "/ab", "/status", "/metrics"):
            assert (await get(server, path)).status == 418
        assert (await get(server, "/a", method="HEAD")).body == b""
        async with feed(server, path="/a") as ws:
            assert (await numbers(ws))["connections"] == 1


async def test_one_of_both() -> None:
    async with serve(echo, 0, status=Status(token=TOKEN)) as server:
        assert (await get(server, "/metrics", BEARER)).status == 426
    async with serve(echo, 0, status=Status(None, metrics="/metrics", token=TOKEN)) as server:
        assert (await get(server, "/status")).status == 426
        assert (await get(server, "/metrics", BEARER)).status == 200
        with pytest.raises(InvalidStatus, match="401"):
            await connect(f"ws://127.0.0.1:{server.port}/metrics")


async def test_the_applications_rules_of_the_handshake_do_not_hold() -> None:
    """Its origins are those of its own pages, and its hooks know nothing of this one."""
    options = {
        "origins": ["https://example.com"],
        "process_response": lambda ws, request, response: Response(418),
        "select_subprotocol": lambda ws, offered: 1 / 0,
    }
    async with serve(echo, 0, status=Status(token=TOKEN), **options) as server:
        here = f"http://127.0.0.1:{server.port}"
        async with feed(server, origin=here) as ws:
            await numbers(ws)
        for origin in ("https://example.com", "http://127.0.0.2.example.com"):
            with pytest.raises(InvalidStatus, match="403"):
                async with feed(server, origin=origin):
                    pass


async def test_what_is_no_valid_handshake() -> None:
    async with serve(echo, 0, status=Status(token=TOKEN)) as server:
        answer = await get(server, "/status", "Upgrade: h2c")
        assert (answer.status, answer.header("Upgrade")) == (426, "websocket")


async def test_a_full_server_answers() -> None:
    status = Status(metrics="/metrics", token=TOKEN)
    async with (
        serve(echo, 0, status=status, max_connections=1) as server,
        connect(f"ws://127.0.0.1:{server.port}/"),
    ):
        assert (await get(server, "/")).status == 503
        assert (await get(server, "/status")).status == 200
        assert b"\nwebsocket_connections 1.0\n" in (await get(server, "/metrics", BEARER)).body
        async with feed(server) as ws:
            found = await numbers(ws)
            assert (found["connections"], found["shed"]) == (2, 1)


async def test_a_server_that_is_closing_does_not() -> None:
    async with (
        serve(echo, 0, status=Status(token=TOKEN), liveness="/livez") as server,
        tcp_peer(server.port) as peer,
        feed(server) as ws,
    ):
        await until(lambda: server.stats().handshakes == 1)
        server.close()
        await peer.send(head("GET /status HTTP/1.1", "Host: localhost"))
        assert (await peer.read_head())[9:12] == b"503"
        peer.sock.close()
        await ws.wait_closed()
        assert ws.close_code == 1001


@pytest.mark.parametrize("path", ["/status", "/metrics"])
async def test_only_from_where_it_is_allowed(path: str) -> None:
    status = Status(metrics="/metrics", token=TOKEN, allow=["192.0.2.0/24"])
    async with serve(echo, 0, status=status) as server:
        answer = await get(server, path, BEARER)
        assert answer.status == 403
        assert answer.body == b"127.0.0.1 is not in the parameter allow of Status\n"
        with pytest.raises(InvalidStatus, match="403"):
            async with feed(server):
                pass


async def test_behind_a_trusted_proxy_the_client_counts() -> None:
    status = Status(token=TOKEN, allow=["192.0.2.0/24"])
    async with serve(echo, 0, status=status, trusted_proxies=["127.0.0.1"]) as server:
        assert (await get(server, "/status", "X-Forwarded-For: 192.0.2.7")).status == 200
        assert (await get(server, "/status", "X-Forwarded-For: 198.51.100.7")).status == 403
        assert (await get(server, "/status")).status == 403
        both = ("X-Forwarded-For: 192.0.2.7", "Forwarded: for=192.0.2.8")
        assert (await get(server, "/status", *both)).status == 400


async def test_by_default_only_this_machine_may_ask() -> None:
    proxies = ["127.0.0.1"]
    async with serve(echo, 0, status=Status(token=TOKEN), trusted_proxies=proxies) as server:
        for client, expected in (("198.51.100.7", 403), ("10.0.0.7", 403), ("127.0.0.2", 200)):
            assert (await get(server, "/status", f"X-Forwarded-For: {client}")).status == expected


@pytest.mark.parametrize(
    "header",
    [
        "X-Forwarded-For: 127.0.0.1",
        "Forwarded: for=127.0.0.1",
        "X-Real-IP: 127.0.0.1",
        "X-Forwarded-Host: localhost",
        "X-Forwarded-Proto: http",
        "Via: 1.1 proxy",
        "CF-Connecting-IP: 127.0.0.1",
    ],
)
@pytest.mark.parametrize("proxies", [[], ["127.0.0.1"]])
async def test_what_another_proxy_passes_on_is_not_from_here(
    header: str, proxies: list[str]
) -> None:
    """All the world would be on this machine, as far as the addresses go.

    A proxy that is trusted has to name its client, and not itself.
    """
    status = Status(token=TOKEN)
    async with serve(echo, 0, status=status, trusted_proxies=proxies) as server:
        answer = await get(server, "/status", header)
        assert (answer.status, answer.body) == (
            403,
            b"this came by way of a proxy: see trusted_proxies\n",
        )


async def test_what_came_before_the_header_of_a_proxy_counts() -> None:
    """A PROXY header names a client as well; what that one has passed on is not its own."""
    options = {"trusted_proxies": ["127.0.0.1"], "proxy_protocol": True}
    async with serve(echo, 0, status=Status(token=TOKEN), **options) as server:
        for line, expected in (("", b"200"), ("Via: 1.1 proxy", b"403")):
            async with tcp_peer(server.port) as peer:
                await peer.send(b"PROXY TCP4 127.0.0.2 127.0.0.1 4711 80\r\n")
                lines = filter(None, ("GET /status HTTP/1.1", "Host: example.com", line))
                await peer.send(head(*lines))
                assert (await peer.read_head())[9:12] == expected


async def test_this_machine_is_not_that_of_a_proxy_elsewhere() -> None:
    """The address that a proxy has for its own machine."""
    try:
        here = own_address()
    except OSError:
        pytest.skip("this machine has no address but loopback")
    options = {"host": here, "trusted_proxies": [here]}
    async with serve(echo, 0, status=Status(token=TOKEN), **options) as server:
        with socket.create_connection((here, server.port)) as sock:
            sock.setblocking(False)
            peer = RawPeer(sock)
            lines = ("GET /status HTTP/1.1", "Host: localhost", "X-Forwarded-For: 127.0.0.1")
            await peer.send(head(*lines))
            assert (await peer.read_head())[9:12] == b"403"
            body = f"127.0.0.1 is not the same machine at {here} as here\n"
            assert await peer.read_eof() == body.encode()


def own_address() -> str:
    """An address of this machine that is not loopback; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))
        return sock.getsockname()[0]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:1", "a.localhost", "[::1]:80", "LOCALHOST"]
)
async def test_names_of_this_machine(host: str) -> None:
    async with serve(echo, 0, status=Status(token=TOKEN)) as server:
        assert (await get(server, "/status", host=host)).status == 200


@pytest.mark.parametrize("host", ["example.com", "127.0.0.1.example.com", "192.0.2.7", "[::2]"])
async def test_a_name_that_somebody_lets_point_here(host: str) -> None:
    """DNS rebinding: for the browser the page of ``host`` and this server are the same."""
    status = Status(metrics="/metrics", token=TOKEN)
    async with serve(echo, 0, status=status) as server:
        for path in ("/status", "/metrics"):
            answer = await get(server, path, BEARER, host=host)
            assert answer.status == 403
            assert answer.body == b"on this machine the status is at localhost\n"


async def test_a_unix_socket_has_to_be_allowed(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    for allow, expected in ((["127.0.0.0/8"], b"403"), (["unix"], b"200")):
        async with unix_serve(echo, path, status=Status(token=TOKEN, allow=allow)):
            with socket.socket(socket.AF_UNIX) as sock:
                sock.setblocking(False)
                peer = RawPeer(sock)
                sock.connect(path)
                await peer.send(head("GET /status HTTP/1.1", "Host: localhost"))
                assert (await peer.read_head())[9:12] == expected
    async with (
        unix_serve(echo, path, status=Status(token=TOKEN, allow=["unix"])),
        unix_connect(path, "ws://localhost/status") as ws,
    ):
        await ws.send(TOKEN)
        await numbers(ws)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("Authorization: Bearer wrong",),
        (f"Authorization: Basic {TOKEN}",),
        (f"Authorization: {TOKEN}",),
        (BEARER, BEARER),
        (f"Authorization: Bearer {TOKEN}\xe9",),
    ],
)
async def test_metrics_need_the_token(lines: tuple[str, ...]) -> None:
    async with serve(echo, 0, status=Status(metrics="/metrics", token=TOKEN)) as server:
        answer = await get(server, "/metrics", *lines)
        assert (answer.status, answer.header("WWW-Authenticate")) == (401, "Bearer")
        assert TOKEN.encode() not in answer.body


async def test_a_token_in_the_query_is_none() -> None:
    async with serve(echo, 0, status=Status(metrics="/metrics", token=TOKEN)) as server:
        assert (await get(server, f"/metrics?token={TOKEN}")).status == 401


@pytest.mark.logs_errors
async def test_a_collector_that_fails_takes_nothing_else_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        def collect(self) -> list[object]:
            return [1 / 0]

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Broken())
    status = Status(metrics="/metrics", token=TOKEN, registry=registry)
    async with serve(echo, 0, status=status) as server:
        answer = await get(server, "/metrics", BEARER)
        assert answer.status == 200
        assert b"\nwebsocket_connections 0.0\n" in answer.body
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.message.startswith("Status's registry failed: 127.0.0.1:")
    assert record.exc_info[0] is ZeroDivisionError


async def test_a_collector_that_takes_its_time_keeps_nobody_waiting() -> None:
    begun, may_end = threading.Event(), threading.Event()

    class Slow:
        def collect(self) -> list[GaugeMetricFamily]:
            begun.set()
            return [GaugeMetricFamily("waited", "Whether.", value=may_end.wait(5))]

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Slow())
    status = Status(metrics="/metrics", token=TOKEN, registry=registry)
    async with serve(echo, 0, status=status) as server, asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(get(server, "/metrics", BEARER))
        await until(begun.is_set)
        async with connect(f"ws://127.0.0.1:{server.port}/") as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
        may_end.set()
        assert b"\nwaited 1.0\n" in (await asking).body


async def test_a_token_that_nobody_has_chosen_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "wsproto_async.server")
    async with serve(echo, 0, status=Status()) as server:
        (line,) = [each for each in caplog.messages if each.startswith("status:")]
        start = f"status: http://127.0.0.1:{server.port}/status#token="
        assert line.startswith(start)
        token = line.removeprefix(start)
        assert len(token) >= 32
        async with feed(server, token) as ws:
            await numbers(ws)
        async with feed(server, "wrong") as ws:
            await ws.wait_closed()
    assert [each for each in caplog.messages if token in each] == [line]


async def test_a_token_that_was_chosen_is_told_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "wsproto_async.server")
    status = Status(metrics="/metrics", token=TOKEN)
    async with serve(echo, 0, status=status) as server:
        assert f"status: http://127.0.0.1:{server.port}/status" in caplog.messages
        await get(server, f"/status?token={TOKEN}")
        await get(server, "/metrics", BEARER)
        async with feed(server) as ws:
            await numbers(ws)
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(ws)


@pytest.mark.parametrize(
    ("host", "base"), [(None, "http://localhost:{}"), ("::1", "http://[::1]:{}")]
)
async def test_the_address_can_be_opened(
    host: str | None, base: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wsproto_async.server")
    async with serve(echo, 0, host=host, status=Status(token=TOKEN)) as server:
        assert f"status: {base.format(server.port)}/status" in caplog.messages


async def test_one_status_for_two_servers() -> None:
    status = Status(token=TOKEN)
    async with serve(echo, 0, status=status) as one, serve(echo, 0, status=status) as other:
        async with raw_peer(one.port), feed(one) as ws:
            assert (await numbers(ws))["connections"] == 2
        async with feed(other) as ws:
            assert (await numbers(ws))["connections"] == 1


async def test_an_upgrade_by_a_stranger_is_only_an_upgrade() -> None:
    """Before the token there is nothing that a connection gets."""
    async with (
        serve(echo, 0, status=Status(token=TOKEN)) as server,
        tcp_peer(server.port) as peer,
    ):
        await peer.send(head("GET /status HTTP/1.1", *UPGRADE[1:]))
        assert (await peer.read_head())[9:12] == b"101"
        peer.finish()
        assert len(await peer.read_eof()) <= 4  # a Close frame


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"path": None}, "Status needs a path or metrics"),
        ({"path": "/x", "metrics": "/x"}, "path and metrics must differ"),
        ({"path": "status"}, "path must be a path that begins with /, .*, not 'status'"),
        *(
            ({"metrics": path}, "metrics must be a path .* visible ASCII without . and #, not .*")
            for path in ("/m?x", "/m#x", "/a b", "/\xe9", "/m\n", "/\x7f", "")
        ),
        ({"registry": CollectorRegistry()}, "registry needs metrics"),
        ({"token": "too-short"}, "token must be 16 characters or more, .*"),
        ({"token": "with spaces in it"}, "token must be 16 characters or more, .*"),
        ({"allow": ["example.com"]}, ".* does not appear to be .*"),
    ],
)
def test_what_cannot_work(options: dict[str, object], error: str) -> None:
    with pytest.raises(ValueError, match=f"^{error}$"):
        Status(**options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"token": b"a-token-for-tests"}, "token must be a string"),
        ({"allow": "127.0.0.1"}, "allow must be a sequence of strings, not a string"),
    ],
)
def test_what_has_another_type(options: dict[str, object], error: str) -> None:
    with pytest.raises(TypeError, match=f"^{error}$"):
        Status(**options)


@pytest.mark.parametrize("probe", ["liveness", "readiness"])
@pytest.mark.parametrize("path", ["/status", '/m!~"$>@'])
def test_probes_have_paths_of_their_own(probe: str, path: str) -> None:
    status = Status(metrics='/m!~"$>@', token=TOKEN)
    with pytest.raises(ValueError, match=r"^liveness and readiness must differ from the paths"):
        serve(echo, 0, status=status, **{probe: path})


async def test_a_server_in_memory_has_no_address(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "wsproto_async.server")
    async with serve_in_memory(echo, status=Status(token=TOKEN)):
        assert "status: /status" in caplog.messages


def test_what_is_no_status() -> None:
    with pytest.raises(TypeError, match=r"^status must be a Status, not '/status'$"):
        serve(echo, 0, status="/status")
