"""What systemd passes and hears, with a socket in its place."""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from programs import GOING_AWAY, PATIENCE, Start, connect, read_all

from wsproto_async.workers import systemd

SERVE = """
import sys
from wsproto_async import run

async def handler(ws):
    async for message in ws:
        pass

run(handler, workers=int(sys.argv[1]))
"""

# What systemd does: the sockets are 3 and what follows, and the process is named.
ACTIVATED = (
    """
import os, socket
socks = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
kept = [os.dup(sock.detach()) for sock in socks]
os.closerange(3, min(kept))
for number, descriptor in enumerate(kept, 3):
    os.dup2(descriptor, number)
for descriptor in kept:
    if descriptor > 4: os.close(descriptor)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"}
"""
    + SERVE
)


class Manager:
    """In systemd's place: hears what services say."""

    def __init__(self, address: str) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(address)
        self.sock.settimeout(PATIENCE)

    def hear(self) -> str:
        return self.sock.recv(4096).decode()

    def hear_until(self, state: str) -> None:
        while self.hear() != state:
            pass


@pytest.fixture(params=["file", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Manager]:
    path = str(tmp_path / "notify")
    is_file = request.param == "file"
    manager = Manager(path if is_file else f"\0{path}")
    monkeypatch.setenv("NOTIFY_SOCKET", path if is_file else f"@{path}")
    with manager.sock:
        yield manager


def test_notify(manager: Manager) -> None:
    systemd.notify("READY=1", "STATUS=fine")
    assert manager.hear() == "READY=1\nSTATUS=fine"
    before = time.monotonic_ns() // 1000
    systemd.notify_reloading()
    state, moment = manager.hear().splitlines()
    assert state == "RELOADING=1"
    assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_a_manager_that_does_not_read_stops_nobody(manager: Manager) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                sock.sendto(b"full", manager.sock.getsockname())
    thread = threading.Thread(target=systemd.notify, args=["WATCHDOG=1"], daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.parametrize("address", ["", "relative", "/nowhere/at/all", "@nobody-is-there"])
def test_where_nobody_listens_nothing_happens(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    systemd.notify("READY=1")


@pytest.mark.parametrize(
    ("microseconds", "pid", "seconds"),
    [
        ("3000000", None, 1.5),
        ("3000000", "ours", 1.5),
        ("3000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
        (None, None, None),
    ],
)
def test_watchdog_interval(
    monkeypatch: pytest.MonkeyPatch,
    microseconds: str | None,
    pid: str | None,
    seconds: float | None,
) -> None:
    pid = str(os.getpid()) if pid == "ours" else pid
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert systemd.watchdog_interval() == seconds


@pytest.mark.parametrize(
    ("pid", "count"), [("1", "1"), (None, "1"), ("ours", "many"), ("ours", "0")]
)
def test_sockets_of_another_process_are_not_ours(
    monkeypatch: pytest.MonkeyPatch, pid: str | None, count: str
) -> None:
    monkeypatch.delenv("LISTEN_PID", raising=False)
    if pid is not None:
        monkeypatch.setenv("LISTEN_PID", str(os.getpid()) if pid == "ours" else pid)
    monkeypatch.setenv("LISTEN_FDS", count)
    with pytest.raises(OSError, match=f"passes no sockets to process {os.getpid()}"):
        systemd.listening_sockets()
    assert "LISTEN_FDS" not in os.environ


def test_without_systemd_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LISTEN_FDS", raising=False)
    assert systemd.listening_sockets() == []


OF_NO_USE = """
import os, socket, sys
from wsproto_async.workers.systemd import listening_sockets

sock = {}
descriptor = sock.detach()
os.dup2(descriptor, 3)
if descriptor != 3: os.close(descriptor)
os.environ |= {{"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}}
try:
    listening_sockets()
except OSError as exc:
    print(exc.strerror)
"""


@pytest.mark.parametrize(
    "sock",
    [
        "socket.socket()",
        "socket.socket(type=socket.SOCK_DGRAM)",
        "socket.socketpair()[0]",
        "open('/dev/null', 'rb', 0)",
    ],
)
def test_a_socket_that_does_not_listen_is_an_error(start: Start, sock: str) -> None:
    source = OF_NO_USE.format(sock)
    if sock.startswith("open"):
        source = source.replace("sock.detach()", "os.dup(sock.fileno())")
    program = start(source)
    assert program.end() == 0
    assert program.lines == ["descriptor 3, passed by LISTEN_FDS, is no listening stream socket\n"]


@pytest.mark.parametrize("workers", [1, 2])
def test_it_serves_on_the_sockets_that_are_passed(start: Start, workers: int) -> None:
    program = start(ACTIVATED, str(workers), flags=("-W", "error"))
    ports = program.wait_for(r"listening on 127\.0\.0\.1:(\d+)", 2 * workers)
    assert len(set(ports)) == 2
    socks = [connect(("127.0.0.1", int(port))) for port in set(ports)]
    program.send(signal.SIGTERM)
    for sock in socks:
        with sock:
            assert read_all(sock) == GOING_AWAY
    assert program.end() == 0
    assert not program.found(".*(?:Warning|WARNING|ERROR|Traceback).*")


PORT_0 = SERVE.replace("run(handler,", "run(handler, 0,")


@pytest.mark.parametrize("workers", [1, 2])
def test_it_says_how_it_is(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, start: Start, workers: int
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    program = start(PORT_0, str(workers))
    manager.hear_until("READY=1")
    for _ in range(3):
        assert manager.hear() == "WATCHDOG=1"
    if workers > 1:
        program.send(signal.SIGHUP)
        while (heard := manager.hear()) == "WATCHDOG=1":
            pass
        assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", heard)
        manager.hear_until("READY=1")
    program.send(signal.SIGTERM)
    manager.hear_until("STOPPING=1")
    assert program.end() == 0
