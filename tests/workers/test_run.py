"""run(): a server as a whole program, in this process and in one of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from programs import Start

import wsproto_async
from wsproto_async import ConnectionClosedOK, WebSocket, connect, run

ROOT = str(Path(wsproto_async.__file__).parent.parent)
PATIENCE = 20


@pytest.fixture(autouse=True)
def the_root_logger_is_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def listener() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def talk_to(port: int, ends: list[Any]) -> threading.Thread:
    """A client in a thread: it says hello, waits for the end and notes it."""

    async def client() -> None:
        async with connect(f"ws://127.0.0.1:{port}/") as ws:
            await ws.send("hello")
            try:
                await ws.recv()
            except ConnectionClosedOK as exc:
                ends.append(exc.received.code)

    thread = threading.Thread(target=lambda: asyncio.run(client()))
    thread.start()
    return thread


EARLY = """
import logging, os, signal
from wsproto_async import run

class TellAtOnce(logging.Handler):
    def emit(self, record):
        if record.getMessage().startswith("listening"):
            os.kill(os.getpid(), signal.SIGTERM)

logging.basicConfig(level="INFO", handlers=[TellAtOnce()])

async def handler(ws): ...

run(handler, 0)
"""


def test_a_signal_may_come_as_soon_as_it_listens() -> None:
    program = [sys.executable, "-P", "-c", EARLY]
    environment = {**os.environ, "PYTHONPATH": ROOT}
    assert subprocess.run(program, env=environment, timeout=PATIENCE, check=False).returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("with_uvloop", [True, False])
def test_a_signal_ends_it(
    number: signal.Signals, with_uvloop: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    loops: list[str] = []
    ends: list[int] = []

    async def handler(ws: WebSocket) -> None:
        loops.append(type(asyncio.get_running_loop()).__module__)
        await ws.recv()
        os.kill(os.getpid(), number)
        await ws.wait_closed()

    if not with_uvloop:
        monkeypatch.setitem(sys.modules, "uvloop", None)
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    sock = listener()
    sock.listen()  # so that the client may come before the server does
    client = talk_to(sock.getsockname()[1], ends)
    run(handler, sock=sock)
    client.join(PATIENCE)
    assert ends == [1001]
    assert loops[0].startswith("uvloop") is with_uvloop
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


def test_ctrl_c_before_it_has_started_ends_it_too() -> None:
    class Interrupter(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            records.append(record.getMessage())
            signal.raise_signal(signal.SIGINT)

    records: list[str] = []
    logger = logging.Logger("interrupted", logging.INFO)
    logger.addHandler(Interrupter())
    run(lambda ws: None, 0, logger=logger)
    assert len(records) == 1
    assert records[0].startswith("listening on ")


def test_it_raises_what_serve_raises() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError):
        run(lambda ws: None, taken.getsockname()[1])
    with pytest.raises(TypeError, match="needs a port or a sock"):
        run(lambda ws: None)


PROGRAM = """
import asyncio, logging, re, signal, sys, time
from wsproto_async import run

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup

async def handler(ws):
    print("open", flush=True)
    if sys.argv[1] == "stubborn":
        await asyncio.Event().wait()
    async for message in ws:
        await ws.send(message)

async def swallower(ws):
    print("open", flush=True)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass

async def blocker(ws):
    print("open", flush=True)
    await ws.recv()
    print("blocked", flush=True)
    time.sleep(600)

async def holder(ws):
    print("open", flush=True)
    await ws.recv()
    print("blocked", flush=True)
    re.match("(a+)+$", "a" * 99 + "b")  # which lets no other thread run

handler = {"swallower": swallower, "blocker": blocker, "holder": holder}.get(sys.argv[1], handler)
if sys.argv[1] == "configured":
    logging.basicConfig(level=logging.WARNING, format="mine %(message)s")
run(handler, int(sys.argv[2]), grace=float(sys.argv[3]))
print("returned", flush=True)
"""


class Program:
    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port

    def connect(self) -> socket.socket:
        """Open a WebSocket with a bare socket."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                sock = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
                break
            except ConnectionRefusedError:
                assert time.monotonic() < deadline, "it does not listen"
                time.sleep(0.02)
        sock.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert self.process.stdout.readline() == "open\n"
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(1)
        assert answer.startswith(b"HTTP/1.1 101 ")
        return sock

    def end(self) -> tuple[int, str, str]:
        output, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output, errors


@pytest.fixture
def program() -> Callable:
    @contextmanager
    def start(kind: str, grace: float = 10) -> Iterator[Program]:
        with listener() as sock:
            port = sock.getsockname()[1]
        process = subprocess.Popen(
            [
                sys.executable,
                "-X",
                "dev",
                "-W",
                "error",
                "-c",
                PROGRAM,
                kind,
                str(port),
                str(grace),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": ROOT},
        )
        with process:
            try:
                yield Program(process, port)
            finally:
                process.kill()

    return start


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_program_ends_with_status_0(program: Callable, number: signal.Signals) -> None:
    with program("plain") as running:
        with running.connect() as sock:
            running.process.send_signal(number)
            assert sock.recv(100) == b"\x88\x02\x03\xe9"
            sock.sendall(b"\x88\x82\0\0\0\0\x03\xe9")
            assert sock.recv(100) == b""
        status, output, errors = running.end()
        assert (status, output) == (0, "returned\n")
        # Where nothing is configured, INFO goes to stderr.
        first, *others = errors.splitlines()
        assert first.endswith(f"INFO listening on 127.0.0.1:{running.port}")
        assert all(" INFO open: " in line or " INFO closed: " in line for line in others)


def test_a_program_that_configures_logging_keeps_it(program: Callable) -> None:
    with program("configured") as running:
        running.connect().close()
        running.process.send_signal(signal.SIGTERM)
        assert running.end() == (0, "returned\n", "")


@pytest.mark.parametrize("then", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_waits_for_nobody(program: Callable, then: signal.Signals) -> None:
    """Neither for a handler that does not listen nor for a client that does not answer."""
    with program("stubborn") as running, running.connect() as sock:
        running.process.send_signal(signal.SIGINT)
        assert sock.recv(100) == b"\x88\x02\x03\xe9"
        start = time.monotonic()
        running.process.send_signal(then)
        assert running.end()[:2] == (0, "returned\n")
        assert time.monotonic() - start < 5


def test_a_second_signal_ends_a_handler_that_will_not_be_cancelled(program: Callable) -> None:
    with program("swallower", 600) as running, running.connect() as sock:
        running.process.send_signal(signal.SIGTERM)
        assert sock.recv(100) == b"\x88\x02\x03\xe9"
        running.process.send_signal(signal.SIGTERM)
        status, output, errors = running.end()
        assert (status, output) == (1, "")
        assert "swallower" not in errors.partition("does not stop by itself")[0]


@pytest.mark.parametrize("kind", ["blocker", "holder"])
def test_a_second_signal_ends_a_handler_that_blocks_the_event_loop(
    program: Callable, kind: str
) -> None:
    with program(kind, 600) as running, running.connect() as sock:
        sock.sendall(b"\x81\x80\0\0\0\0")
        assert running.process.stdout.readline() == "blocked\n"
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)  # else the two might be one
        running.process.send_signal(signal.SIGTERM)
        status, output, errors = running.end()
        assert (status, output) == (1, "")
        assert f"in {kind}" in errors  # it shows where


def test_a_pipe_that_nobody_reads_holds_up_no_end(program: Callable) -> None:
    with program("blocker", 600) as running, running.connect() as sock:
        sock.sendall(b"\x81\x80\0\0\0\0")
        assert running.process.stdout.readline() == "blocked\n"
        fill_stderr_of(running.process.pid)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)  # else the two might be one
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(PATIENCE) == 1


def fill_stderr_of(pid: int) -> None:
    """Write to the pipe that is a process's stderr until it takes no more."""
    pipe = os.open(f"/proc/{pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
    try:
        with suppress(BlockingIOError):
            while True:
                os.write(pipe, b"x")
    finally:
        os.close(pipe)


def test_more_signals_change_nothing(program: Callable) -> None:
    with program("blocker", 600) as running, running.connect() as sock:
        sock.sendall(b"\x81\x80\0\0\0\0")
        assert running.process.stdout.readline() == "blocked\n"
        for _ in range(6):
            running.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)  # else some of them might be one
        assert running.end()[:2] == (1, "")


LOADING = """
import signal, sys, time
from wsproto_async.workers.run import run_loaded

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup

def load():
    print("loading", flush=True)
    time.sleep(600)

run_loaded(load, 0, workers=int(sys.argv[1]), grace=10, heartbeat_timeout=30)
print("returned", flush=True)
"""


@pytest.mark.parametrize(
    ("workers", "number"),
    [
        ("1", signal.SIGINT),
        ("1", signal.SIGTERM),
        ("1", signal.SIGHUP),
        ("2", signal.SIGINT),
        ("2", signal.SIGTERM),
    ],
)
def test_a_signal_ends_it_while_it_loads(
    start: Start, workers: str, number: signal.Signals
) -> None:
    """That there is a handler is what counts: process 1 of a container has no default action."""
    program = start(LOADING, workers)
    program.wait_for("loading")
    program.send(number)
    assert program.end() == 0
    assert program.lines == ["loading\n", "returned\n"]


def test_the_grace_ends_it_as_well(program: Callable) -> None:
    with program("blocker", 0.1) as running, running.connect() as sock:
        sock.sendall(b"\x81\x80\0\0\0\0")
        assert running.process.stdout.readline() == "blocked\n"
        running.process.send_signal(signal.SIGTERM)
        assert running.end()[:2] == (1, "")


def test_what_workers_cannot_be_made_of() -> None:
    with pytest.raises(ValueError, match="must be a worker"):
        run(lambda ws: None, 0, workers=0)
    with pytest.raises(ValueError, match="heartbeat_timeout must be at least 2 s"):
        run(lambda ws: None, 0, workers=2, heartbeat_timeout=1)
    for seconds in (float("inf"), float("nan"), -1, 1e12):
        with pytest.raises(ValueError, match="grace must be"):
            run(lambda ws: None, 0, grace=seconds)
        with pytest.raises(ValueError, match="heartbeat_timeout must be"):
            run(lambda ws: None, 0, workers=2, heartbeat_timeout=seconds)
    with pytest.raises(TypeError, match="unexpected keyword argument 'prot'"):
        run(lambda ws: None, 0, workers=2, prot=1)
    with pytest.raises(RuntimeError, match="no other threads"):
        in_a_thread(lambda: run(lambda ws: None, 0, workers=2))


def in_a_thread(call: Callable[[], object]) -> None:
    with ThreadPoolExecutor(1) as executor:
        executor.submit(call).result()
