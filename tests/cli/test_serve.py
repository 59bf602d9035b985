"""``wsproto-async serve``, as a program."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import trustme
from programs import GOING_AWAY, connect, eventually, is_alive, read_all

import wsproto_async
from wsproto_async.cli import serve


def options_of(*arguments: str) -> dict[str, object]:
    parser = argparse.ArgumentParser()
    serve.add_to(parser.add_subparsers())
    return serve.serve_options(parser.parse_args(["serve", "app:handler", *arguments]))


def test_only_what_is_given_is_passed_on() -> None:
    assert options_of("--port", "1") == {}


def test_what_is_passed_on() -> None:
    arguments = (
        "--host ::1 --host 127.0.0.1 --origin https://a.example --max-size 9 --max-connections 8 "
        "--ping-interval 7 --ping-timeout 6.5 --liveness /livez --readiness /readyz "
        "--broker redis://localhost"
    )
    assert options_of(*arguments.split()) == {
        "broker": "redis://localhost",
        "host": ["::1", "127.0.0.1"],
        "origins": ["https://a.example"],
        "max_size": 9,
        "max_connections": 8,
        "ping_interval": 7.0,
        "ping_timeout": 6.5,
        "liveness": "/livez",
        "readiness": "/readyz",
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_a_status(command: Callable, tmp_path: Path, workers: int) -> None:
    (tmp_path / "token").write_text("a-token-of-a-file\n")
    program = command(
        *("serve", "app:handler", "--port", "0", "--workers", str(workers)),
        *("--status", "/s", "--metrics", "/m", "--status-token", "token"),
    )
    program.wait_for(rf"status: http://127\.0\.0\.1:{program.port}/s\n", workers)
    headers = {"Authorization": "Bearer a-token-of-a-file"}
    with urlopen(Request(f"http://127.0.0.1:{program.port}/m", headers=headers)) as page:
        assert b"\nwebsocket_connections" in page.read()
    with urlopen(f"http://127.0.0.1:{program.port}/s") as page:
        assert b"<title>Status</title>" in page.read()
    program.send(signal.SIGINT)
    assert program.end() == 0
    assert not program.found("WARNING|ERROR|Traceback|a-token-of-a-file")


def test_a_status_for_others(command: Callable) -> None:
    program = command(
        *("serve", "app:handler", "--port", "0", "--metrics", "/m", "--status", "/s"),
        *("--status-allow", "192.0.2.0/24", "--status-allow", "::1"),
    )
    with pytest.raises(HTTPError, match="403"):
        urlopen(f"http://127.0.0.1:{program.port}/m")
    program.send(signal.SIGINT)
    assert program.end() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_it_serves_until_a_signal(command: Callable, workers: int) -> None:
    program = command("serve", "app:rooms.lobby", "--port", "0", "--workers", str(workers))
    with program.connect() as sock:
        sock.sendall(b"\x81\x82\0\0\0\0hi")
        assert sock.recv(4) == b"\x81\x02hi"
        program.send(signal.SIGINT)
        assert read_all(sock) == GOING_AWAY
    assert program.end() == 0
    assert not program.found(".*(?:WARNING|ERROR|Traceback).*")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("gap", [0, 0.0005, 0.002, 0.005, 0.02])
def test_signals_that_come_twice(command: Callable, number: signal.Signals, gap: float) -> None:
    """As from who signals a process and the group that it is in."""
    program = command("serve", "app:handler", "--port", "0")
    assert program.port
    for _ in range(3):
        program.send(number)
        time.sleep(gap)
    assert program.end() == 0
    assert not program.found("Traceback|Error")


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["not_here:handler", "--port", "0"], "no module named 'not_here'"),
        (["app:missing", "--port", "0"], "module 'app' has no 'missing'"),
        (["app:number", "--port", "0"], "'app:number' cannot be called"),
        (["app", "--port", "0"], "'app' is not of the form module:handler"),
        (["app:handler"], "--port or --uds is needed"),
        (
            ["app:handler", "--uds", "x", "--port", "1"],
            "--uds takes the place of --port and --host",
        ),
        (["app:handler", "--port", "0", "--keyfile", "x"], "--keyfile needs --certfile"),
        (
            ["app:handler", "--port", "0", "--liveness", "livez"],
            "liveness must be a path that begins with /, not 'livez'",
        ),
        (
            ["app:handler", "--port", "0", "--status-token", "app.py"],
            "--status-token and --status-allow need --status or --metrics",
        ),
        (
            ["app:handler", "--port", "0", "--status", "/s", "--status-token", "nowhere"],
            "no token in nowhere: No such file or directory",
        ),
        (
            ["app:handler", "--port", "0", "--origin", "a.example"],
            "'a.example' in origins is no origin: https://example.com, in lower case and without a "
            "path, is one",
        ),
        (
            ["app:handler", "--port", "0", "--metrics", "/m"],
            "--metrics needs --status-token, or --status, which tells the token",
        ),
        (
            ["app:handler", "--port", "0", "--status", "/s", "--status-token", "latin"],
            "the token in latin has to be ASCII",
        ),
        (
            ["app:handler", "--port", "0", "--host", ""],
            "--host is empty; 0.0.0.0 and :: are all addresses",
        ),
        (
            ["app:handler", "--port", "0", "--host", f"{'a' * 64}.example"],
            f"cannot listen on {'a' * 64}.example: that is no name of a host",
        ),
        (
            ["app:handler", "--port", "0", "--host", "::1", "--host", "no.invalid"],
            "cannot listen on ::1 and no.invalid: Name or service not known",
        ),
        (
            ["app:handler", "--port", "0", "--certfile", "x"],
            "no certificate and key in x: No such file or directory",
        ),
        (
            ["app:handler", "--port", "0", "--broker", "amqp://x"],
            "no broker for amqp:, only for redis:, rediss: and redis+unix:",
        ),
        (["app:handler", "--port", "0", "--options", "app:rooms"], "'app:rooms' is no dict"),
        (
            ["app:handler", "--port", "0", "--options", "app"],
            "'app' is not of the form module:options",
        ),
        (
            ["app:handler", "--port", "0", "--options", "wrong:place"],
            "'wrong:place' has 'backlog': where to listen and the broker are said on the command"
            " line",
        ),
        (
            ["app:handler", "--port", "0", "--status", "/here", "--options", "wrong:both"],
            "'wrong:both': liveness and readiness must differ from the paths of status",
        ),
        (
            ["app:handler", "--port", "0", "--options", "wrong:type"],
            "'wrong:type': topics must be Topics, not 'news'",
        ),
    ],
)
def test_what_is_not_there(
    command: Callable, tmp_path: Path, workers: str, arguments: list[str], why: str
) -> None:
    (tmp_path / "latin").write_bytes(b"t\xf6ken")
    (tmp_path / "wrong.py").write_text(
        "place = {'backlog': 1}\nboth = {'liveness': '/here'}\ntype = {'topics': ['news']}"
    )
    program = command("serve", *arguments, "--workers", workers)
    assert program.end() == 2
    assert program.lines[0] == f"wsproto-async: error: {why}\n"
    # The supervisor adds that it gives up.
    assert len(program.lines) == 1 or program.found("giving up")
    assert len(program.lines) <= 2


@pytest.mark.parametrize(
    ("code", "error"), [("1 / 0", "\nZeroDivisionError: "), ("open('x')", "\nFileNotFoundError: ")]
)
def test_a_module_that_raises(command: Callable, tmp_path: Path, code: str, error: str) -> None:
    (tmp_path / "app.py").write_text(code)
    for workers in "12":
        program = command("serve", "app:handler", "--port", "0", "--workers", workers)
        assert program.end() == 1
        assert "".join(program.lines).count(error) == 1
        assert program.found(r"most recent call last.*\n  File .*app\.py")
        assert not program.found("cannot listen")


def test_a_port_that_is_taken(command: Callable) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for workers in "12":
            program = command("serve", "app:handler", "--port", port, "--workers", workers)
            assert program.end() == 1
            (line,) = program.lines
            assert line.startswith(
                "wsproto-async: error: cannot listen on 127.0.0.1: Address already in use"
            )


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_broker_that_is_of_no_use(command: Callable, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as redis:

        def refuse() -> None:
            with redis.accept()[0] as sock:
                sock.recv(1000)
                sock.sendall(b"-NOAUTH Authentication required.\r\n")
                read_all(sock)

        Thread(target=refuse, daemon=True).start()
        url = f"redis://127.0.0.1:{redis.getsockname()[1]}"
        options = ("--port", "0", "--workers", workers, "--broker", url)
        program = command("serve", "app:handler", *options)
        assert program.end() == 1
        assert program.found("cannot use Redis at 127.0.0.1:[0-9]+: NOAUTH Authentication required")
        assert not program.found("Traceback")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_while_it_waits_for_its_broker(command: Callable, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        program = command(
            "serve", "app:handler", "--port", "0", "--workers", workers, "--broker", url
        )
        with silent.accept()[0]:
            program.send(signal.SIGINT)
            assert program.end() == 0
    assert not program.found("Traceback|cannot use")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_unix_socket(command: Callable, tmp_path: Path, workers: str) -> None:
    path = str(tmp_path / "sock")
    program = command("serve", "app:handler", "--uds", "sock", "--workers", workers)
    program.wait_for("listening on sock", int(workers))
    with connect(path) as sock:
        program.send(signal.SIGTERM)
        assert read_all(sock) == GOING_AWAY
    assert program.end() == 0
    assert not os.path.exists(path)


def test_a_unix_socket_of_a_successor_stays(command: Callable, tmp_path: Path) -> None:
    path = str(tmp_path / "sock")
    program = command("serve", "app:handler", "--uds", "sock")
    program.wait_for("listening on sock")
    os.remove(path)
    successor = command("serve", "app:handler", "--uds", "sock")
    successor.wait_for("listening on sock")
    program.send(signal.SIGTERM)
    assert program.end() == 0
    connect(path).close()
    successor.send(signal.SIGTERM)
    assert successor.end() == 0
    assert not os.path.exists(path)


def test_sighup_loads_the_new_code_and_certificate(command: Callable, tmp_path: Path) -> None:
    def certify(name: str) -> None:
        ca = trustme.CA(organization_name=name)
        ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")

    def certificate() -> bytes:
        address = ("127.0.0.1", program.port)
        return ssl.get_server_certificate(address, timeout=20).encode()

    certify("first")
    arguments = ["--port", "0", "--workers", "2", "--certfile", "pem"]
    program = command("serve", "app:handler", *arguments)
    old = program.workers(2)
    before = certificate()
    certify("second")
    (tmp_path / "app.py").write_text("print('new code')\nasync def handler(ws): ...\n")
    program.send(signal.SIGHUP)
    program.wait_for("new code", 2)
    eventually(lambda: not any(map(is_alive, old)))
    assert certificate() != before
    program.send(signal.SIGTERM)
    assert program.end() == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_options_in_the_module(command: Callable, tmp_path: Path, workers: str) -> None:
    """Loaded as the handler is; what the command line says counts."""
    code = """from wsproto_async import Response, Topic

async def handler(ws):
    subscription = await ws.subscribe("news")
    await ws.send(f"{subscription.position is not None} {ws.subprotocol}")
    await ws.wait_closed()

options = {
    "topics": [Topic("news", history=5)],
    "subprotocols": ["chat"],
    "liveness": "/wrong",
    "process_request": lambda ws, request: Response(418) if ws.path == "/tea" else None,
}
"""
    (tmp_path / "more.py").write_text(code)
    program = command(
        *("serve", "more:handler", "--options", "more:options", "--liveness", "/livez"),
        *("--port", "0", "--workers", workers),
    )
    address = f"127.0.0.1:{program.port}"
    with urlopen(f"http://{address}/livez") as response:
        assert response.status == 200
    with pytest.raises(HTTPError, match="418"):
        urlopen(f"http://{address}/tea")

    async def ask() -> str | bytes:
        async with wsproto_async.connect(f"ws://{address}/", subprotocols=["chat"]) as ws:
            return await ws.recv()

    assert asyncio.run(ask()) == "True chat"
    program.send(signal.SIGTERM)
    assert program.end() == 0


def test_certificates_that_do_not_fit(command: Callable, tmp_path: Path) -> None:
    for name in ("one", "other"):
        certificate = trustme.CA().issue_cert("localhost")
        certificate.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        certificate.private_key_pem.write_to_path(tmp_path / f"{name}.key")
    for more, why in (
        ((), "one.pem: one of them is missing there"),
        (
            ("--keyfile", "other.key"),
            "one.pem and other.key: the key is that of another certificate",
        ),
    ):
        program = command("serve", "app:handler", "--port", "0", "--certfile", "one.pem", *more)
        assert program.end() == 2
        assert program.lines == [f"wsproto-async: error: no certificate and key in {why}\n"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_reload(command: Callable, tmp_path: Path, workers: str) -> None:
    program = command("serve", "app:handler", "--port", "0", "--workers", workers, "--reload")
    old = program.workers(int(workers))
    good = (tmp_path / "app.py").read_text()
    number = 0

    def change(code: str, until: str) -> None:
        """It may not have begun to watch, so there is one change after another until it is seen."""

        def is_seen() -> bool:
            nonlocal number
            number += 1
            (tmp_path / "app.py").write_text(f"print('version {number}')\n{code}")
            time.sleep(0.2)
            return bool(program.found(until))

        eventually(is_seen)

    change("async def handler(ws: not", "SyntaxError")
    assert program.found(r"changed: app\.py")
    assert all(map(is_alive, old))
    change(good, rf"version \d+\n(?s:.*){workers} \(process \d+\) is ready(?s:.*)is ready")
    eventually(lambda: not any(map(is_alive, old)))
    with program.connect() as sock:
        sock.sendall(b"\x81\x82\0\0\0\0hi")
        assert sock.recv(4) == b"\x81\x02hi"
    program.send(signal.SIGINT)
    assert program.end() == 0
    assert not (tmp_path / "__pycache__").exists()


def test_reload_ends_with_its_supervisor(command: Callable) -> None:
    program = command("serve", "app:handler", "--port", "0", "--reload")
    program.workers(1)
    children = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children")
    processes = list(map(int, children.read_text().split()))
    assert len(processes) == 3  # the hub, and what watches
    program.send(signal.SIGKILL)
    eventually(lambda: not any(map(is_alive, processes)))
