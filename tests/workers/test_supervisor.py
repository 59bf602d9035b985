"""Workers under a supervisor, as a program that signals and accidents come to."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from programs import (
    GOING_AWAY,
    PATIENCE,
    REQUEST,
    Program,
    Start,
    connect,
    eventually,
    is_alive,
    read_all,
)

PROGRAM = """
import asyncio, os, sys, time
from wsproto_async import run

async def handler(ws):
    kind = ws.path
    await ws.send(str(os.getpid()))
    async for message in ws:
        if message == "block":
            print("blocked", flush=True)
            time.sleep(600)
        if message == "tidy":
            await ws.wait_closed()
            await asyncio.sleep(3)
            print("tidied", flush=True)
        if message == "exit":
            os._exit(3)
        while message == "stubborn":
            print("stubborn", flush=True)
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                pass

run(handler, int(sys.argv[1]), workers=2, **eval(sys.argv[2]))
print("returned", flush=True)
"""


@pytest.fixture
def serving(start: Start) -> Callable[..., Program]:
    def serving(port: int = 0, **options: object) -> Program:
        program = start(PROGRAM, str(port), repr(options), flags=("-W", "error"))
        program.workers(2)
        return program

    return serving


def say(sock: socket.socket, message: str) -> None:
    sock.sendall(bytes([0x81, 0x80 | len(message), 0, 0, 0, 0]) + message.encode())


def pid_of(sock: socket.socket) -> int:
    """The process that serves this connection; it says so first."""
    header = sock.recv(2)
    return int(sock.recv(header[1]))


def connect_to(program: Program, pid: int) -> socket.socket:
    """Connect until it is this worker's turn."""
    while True:
        sock = program.connect()
        if pid_of(sock) == pid:
            return sock
        sock.close()


def children(pid: int) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


HUB = 1  # child of the supervisor beside the workers


LAZY = 2  # descriptors that an event loop opens when it has its first connection


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


class Callers:
    """Connect again and again, in a thread; each must get through its handshake."""

    def __init__(self, port: int) -> None:
        self.failures: list[str] = []
        self.count = 0
        self._port = port
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._call)

    def _call(self) -> None:
        while not self._is_over.is_set():
            try:
                connect(("127.0.0.1", self._port)).close()
                self.count += 1
            except (OSError, AssertionError) as exc:
                self.failures.append(repr(exc))

    def __enter__(self) -> Callers:
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._is_over.set()
        self._thread.join()


def test_each_worker_has_its_turn_on_one_port(serving: Callable) -> None:
    program = serving()
    for pid in program.workers(2):
        connect_to(program, pid).close()
    assert len(set(program.found(r"listening on (.*)"))) == 1
    program.send(signal.SIGTERM)
    assert program.end() == 0
    assert program.lines[-1] == "returned\n"
    assert program.lines.count("returned\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_of_it(serving: Callable, number: signal.Signals) -> None:
    program = serving()
    socks = [connect_to(program, pid) for pid in program.workers(2)]
    program.send(number)
    for sock in socks:
        with sock:
            assert read_all(sock) == GOING_AWAY
    assert program.end() == 0
    assert not program.found(".*(?:WARNING|ERROR|Traceback).*")


def test_ctrl_c_reaches_all_processes_and_counts_once(serving: Callable) -> None:
    program = serving()
    with connect_to(program, program.workers(2)[0]) as sock:
        os.killpg(program.process.pid, signal.SIGINT)
        # A worker that takes it for the second signal would not wait for the answer.
        assert read_all(sock) == GOING_AWAY
    assert program.end() == 0
    assert not program.found(".*(?:WARNING|ERROR|Traceback).*")


@pytest.mark.parametrize("what", ["block", "stubborn"])
def test_a_second_signal_waits_for_nobody(serving: Callable, what: str) -> None:
    program = serving(grace=600)
    with connect_to(program, program.workers(2)[0]) as sock:
        say(sock, what)
        program.wait_for({"block": "blocked", "stubborn": "stubborn"}[what])
        program.send(signal.SIGTERM)
        until_one_has_ended(program)
        program.send(signal.SIGHUP)  # which makes no worker any more
        program.send(signal.SIGTERM)
        assert program.end() == 1
    assert program.found("WARNING .*(ended: .*)") == ["ended: killed, it did not stop in time"]
    assert len(program.workers(2)) == 2


def test_more_signals_change_nothing(serving: Callable) -> None:
    program = serving(grace=600)
    with connect_to(program, program.workers(2)[0]) as sock:
        say(sock, "stubborn")
        program.wait_for("stubborn")
        for _ in range(5):
            program.send(signal.SIGTERM)
            time.sleep(0.05)  # else some of them might be one
        assert program.end() == 1
    assert program.found("WARNING .*(ended: .*)") == ["ended: killed, it did not stop in time"]


def until_one_has_ended(program: Program) -> None:
    """Wait until the first signal has come to the workers: one of them has nobody to wait for."""
    eventually(lambda: len(children(program.process.pid)) == 1 + HUB)


def test_the_grace_is_bounded(serving: Callable) -> None:
    program = serving(grace=0.1)
    with connect_to(program, program.workers(2)[0]) as sock:
        say(sock, "block")
        program.wait_for("blocked")
        program.send(signal.SIGTERM)
        assert program.end() == 1
    assert program.found("WARNING .*(ended: .*)") == ["ended: exit status 1"]
    assert program.found("in handler")  # it shows where
    assert not any(map(is_alive, program.workers(2)))


def test_no_connection_is_refused_by_a_rolling_restart(serving: Callable) -> None:
    program = serving()
    supervisor = program.process.pid
    before = descriptors(supervisor)
    of_a_worker = descriptors(program.workers(2)[0])
    with Callers(program.port) as callers:
        for turn in range(1, 4):
            program.send(signal.SIGHUP)
            program.workers(2 + 2 * turn)
            old = program.workers(0)[2 * turn - 2 : 2 * turn]
            eventually(lambda old=old: not any(map(is_alive, old)))
    assert callers.failures == []
    assert callers.count > 0
    eventually(lambda: len(children(supervisor)) == 2 + HUB)  # nor a zombie
    eventually(lambda: descriptors(supervisor) == before)
    for pid in program.workers(8)[-2:]:
        eventually(lambda pid=pid: descriptors(pid) <= of_a_worker + LAZY)
    program.send(signal.SIGTERM)
    assert program.end() == 0
    assert not program.found(".*(?:WARNING|ERROR|Traceback).*")


def test_handshakes_under_way_are_completed_before_a_worker_retires(serving: Callable) -> None:
    program = serving()
    workers = program.workers(2)
    eventually(lambda: descriptors(workers[0]) == descriptors(workers[1]))  # nothing is lent
    at_rest = sum(map(descriptors, workers))
    socks = [socket.create_connection(("127.0.0.1", program.port)) for _ in range(16)]
    for sock in socks:
        sock.sendall(REQUEST[:20])
    eventually(lambda: sum(map(descriptors, workers)) >= at_rest + len(socks))
    held = descriptors(workers[0])
    program.send(signal.SIGHUP)
    eventually(lambda: descriptors(workers[0]) < held)  # it listens no more
    threading.Event().wait(1)  # longer than it waits for what it cannot see
    for sock in socks:
        with sock:
            sock.sendall(REQUEST[20:])
            assert sock.recv(13) == b"HTTP/1.1 101 "


def test_a_worker_that_retires_has_all_of_its_grace(serving: Callable) -> None:
    """Those that never send their request take nothing of it."""
    program = serving(grace=4)
    with ExitStack() as silent:
        for _ in range(16):
            silent.enter_context(socket.create_connection(("127.0.0.1", program.port)))
        with connect_to(program, program.workers(2)[0]) as sock:
            say(sock, "tidy")
            program.send(signal.SIGHUP)
            assert read_all(sock) == GOING_AWAY
        program.wait_for("tidied")
    assert not program.found("WARNING")


def test_a_second_sighup_is_one_more_restart(serving: Callable) -> None:
    program = serving()
    program.send(signal.SIGHUP)
    program.workers(3)
    for _ in range(3):
        program.send(signal.SIGHUP)
    program.wait_for(
        r"SIGHUP: worker \d \(process \d+\) is (?:starting|ending); the restart follows"
    )
    program.workers(6)
    eventually(lambda: len(children(program.process.pid)) == 2 + HUB)
    program.send(signal.SIGTERM)
    assert program.end() == 0
    assert len(program.found("restarting the workers")) == 2
    assert len(program.workers(6)) == 6


def test_connections_are_closed_by_a_restart(serving: Callable) -> None:
    program = serving()
    with connect_to(program, program.workers(2)[0]) as sock:
        program.send(signal.SIGHUP)
        assert read_all(sock) == GOING_AWAY


def test_a_worker_that_is_killed_is_replaced(serving: Callable) -> None:
    program = serving()
    first, _ = program.workers(2)
    os.kill(first, signal.SIGKILL)
    third = program.workers(3)[2]
    connect_to(program, third).close()
    assert program.found(rf"WARNING worker 1 \(process {first}\) (.*)") == [
        "ended: SIGKILL; another one starts now"
    ]
    with connect_to(program, third) as sock:
        say(sock, "exit")
        assert program.wait_for(rf"WARNING worker 1 \(process {third}\) (.*)") == [
            "ended: exit status 3; another one starts in 1 s"
        ]
        program.workers(4)


def test_what_waits_for_a_dead_worker_is_served_by_the_next(serving: Callable) -> None:
    program = serving()
    for _ in range(2):  # so that there is a pause before the next
        os.kill(program.workers(2)[-1], signal.SIGKILL)
        program.workers(3)
    with Callers(program.port) as callers:
        program.workers(4)
    assert callers.failures == []


def test_a_worker_whose_loop_stands_still_is_replaced(serving: Callable) -> None:
    program = serving(heartbeat_timeout=2)
    first, second = program.workers(2)
    os.kill(first, signal.SIGSTOP)
    with connect_to(program, second) as sock:
        say(sock, "block")
        program.workers(4)
    assert sorted(program.found(r"WARNING worker (\d) .*?(ended: .*)")) == [
        (number, "ended: killed, its event loop stood still for 2 s; another one starts now")
        for number in "12"
    ]
    assert not any(map(is_alive, (first, second)))


def test_a_worker_that_stands_still_while_it_retires_is_killed(serving: Callable) -> None:
    """Although there is no end to its grace."""
    program = serving(grace=None, heartbeat_timeout=2)
    old = program.workers(2)[0]
    retire_with_a_handler_that_stays(program, old)
    os.kill(old, signal.SIGSTOP)
    assert program.wait_for(rf"WARNING worker 1 \(process {old}\) (.*)") == [
        "ended: killed, its event loop stood still for 2 s"
    ]
    program.workers(4)  # the restart goes on


def test_a_worker_that_crashes_while_it_retires_is_told(serving: Callable) -> None:
    program = serving(grace=None)
    old = program.workers(2)[0]
    retire_with_a_handler_that_stays(program, old)
    os.kill(old, signal.SIGKILL)
    assert program.wait_for(rf"WARNING worker 1 \(process {old}\) (.*)") == ["ended: SIGKILL"]
    program.workers(4)


def retire_with_a_handler_that_stays(program: Program, pid: int) -> None:
    with connect_to(program, pid) as sock:
        say(sock, "stubborn")
        program.wait_for("stubborn")
        program.send(signal.SIGHUP)
        assert sock.recv(100) == GOING_AWAY


def test_nobody_is_blamed_when_all_stood_still(serving: Callable) -> None:
    """As after Ctrl-Z and fg."""
    program = serving(heartbeat_timeout=2)
    os.killpg(program.process.pid, signal.SIGSTOP)
    threading.Event().wait(3.5)
    os.kill(program.process.pid, signal.SIGCONT)
    threading.Event().wait(0.3)
    os.killpg(program.process.pid, signal.SIGCONT)
    threading.Event().wait(2.5)
    assert len(program.workers(2)) == 2
    assert not program.found("WARNING")


def test_workers_end_when_the_supervisor_is_killed(serving: Callable) -> None:
    program = serving()
    workers = program.workers(2)
    processes = children(program.process.pid)
    with connect_to(program, workers[0]) as sock:
        os.kill(workers[1], signal.SIGSTOP)  # nor do they depend on each other
        program.send(signal.SIGKILL)
        assert read_all(sock) == GOING_AWAY
    os.kill(workers[1], signal.SIGCONT)
    eventually(lambda: not any(map(is_alive, processes)))
    with pytest.raises(ConnectionRefusedError):
        program.connect()


def test_a_port_that_is_taken_is_an_error(serving: Callable, start: Start) -> None:
    """Although both could share it."""
    port = serving().port
    program = start(PROGRAM, str(port), "{}")
    assert program.end() == 1
    assert program.found("OSError: .*in use")


HASTY = """
import os, signal
from wsproto_async import run

set_handler = signal.signal

def set_handler_and_send(number, handler):
    previous = set_handler(number, handler)
    if number == signal.SIGTERM and os.getpid() == supervisor:
        signal.signal = set_handler
        os.kill(supervisor, signal.SIGTERM)
    return previous

async def handler(ws): ...

supervisor = os.getpid()
signal.signal = set_handler_and_send
run(handler, 0, workers=2)
"""


def test_a_signal_may_come_as_soon_as_it_is_handled(start: Start) -> None:
    assert start(HASTY).end() == 0


UNREADY = """
import os, sys, time
from wsproto_async.workers import supervisor
from wsproto_async.workers.run import run_loaded

async def handler(ws):
    await ws.send(str(os.getpid()))

def load():
    {}
    return handler, {{}}

run_loaded(load, 0, workers=2, grace=10, heartbeat_timeout=2)
"""


@pytest.mark.parametrize(
    ("what", "status", "how"),
    [
        ("raise RuntimeError('sorry')", 1, "exit status 1"),
        ("os._exit(7)", 7, "exit status 7"),
        ("sys.exit(0)", 0, "exit status 0"),
        ("os.kill(os.getpid(), 9)", 1, "SIGKILL"),
        ("sys.exit(2)", 2, "exit status 2"),
    ],
)
def test_what_cannot_start_is_given_up(start: Start, what: str, status: int, how: str) -> None:
    program = start(UNREADY.format(what))
    assert program.end() == status, program.lines
    (line,) = program.found(r"ERROR worker 1 \(process \d+\) (.*)")
    assert line == f"ended before it was ready: {how}; giving up"
    assert program.lines.count("RuntimeError: sorry\n") == ("sorry" in what)


def test_a_worker_may_take_its_time_to_start(start: Start) -> None:
    program = start(UNREADY.format("time.sleep(3)"))
    program.workers(2)
    assert not program.found("WARNING")


HANGS = UNREADY.format("os.path.exists('bad') and time.sleep(600)")
SOON = "supervisor._STARTING = 1\n"  # 2 seconds


def test_it_may_not_take_for_ever(start: Start, tmp_path: Path) -> None:
    (tmp_path / "bad").touch()
    program = start(HANGS.replace("run_loaded(load", f"{SOON}run_loaded(load"))
    assert program.end() == 1
    assert program.found("ERROR .*(ended .*)") == [
        "ended before it was ready: killed, it was not ready in 2 s; giving up"
    ]


def test_a_restart_that_hangs_is_over_in_time(start: Start, tmp_path: Path) -> None:
    program = start(HANGS.replace("run_loaded(load", f"{SOON}run_loaded(load"))
    workers = program.workers(2)
    (tmp_path / "bad").touch()
    program.send(signal.SIGHUP)
    eventually(lambda: len(children(program.process.pid)) == 3 + HUB)
    program.send(signal.SIGHUP)
    program.wait_for(r"SIGHUP: worker 1 \(process \d+\) is starting; the restart follows")
    (tmp_path / "bad").unlink()
    program.wait_for("it was not ready in 2 s; the old ones go on")
    assert all(map(is_alive, workers)) or len(program.workers(2)) > 2
    program.workers(4)


def test_a_sighup_that_comes_too_early_says_so(start: Start) -> None:
    program = start(UNREADY.format("time.sleep(1)"))
    eventually(lambda: children(program.process.pid))
    program.send(signal.SIGHUP)
    program.wait_for("SIGHUP: not all workers are ready yet; the restart follows")
    program.workers(4)


def test_others_serve_the_share_of_a_worker_that_is_not_there(start: Start, tmp_path: Path) -> None:
    program = start(HANGS)
    first, second = program.workers(2)
    eventually(lambda: descriptors(first) == descriptors(second))  # nothing is lent
    at_rest = descriptors(second)
    before = set(children(program.process.pid))
    (tmp_path / "bad").touch()
    os.kill(first, signal.SIGSTOP)
    address = ("127.0.0.1", program.port)
    with ExitStack() as stack:
        waiting = [
            stack.enter_context(socket.create_connection(address, PATIENCE)) for _ in range(16)
        ]
        os.kill(first, signal.SIGKILL)
        for sock in waiting:
            sock.sendall(REQUEST)
            assert sock.recv(13) == b"HTTP/1.1 101 "
    for _ in range(16):
        with program.connect() as sock:
            assert pid_of(sock) == second
    (tmp_path / "bad").unlink()
    (hanging,) = set(children(program.process.pid)) - before
    os.kill(hanging, signal.SIGKILL)
    connect_to(program, program.workers(3)[2]).close()
    eventually(lambda: descriptors(second) <= at_rest + LAZY)  # it has given them back


def test_a_restart_that_fails_leaves_the_old_workers(start: Start, tmp_path: Path) -> None:
    program = start(UNREADY.format("if os.path.exists('bad'): os._exit(5)"))
    workers = program.workers(2)
    (tmp_path / "bad").touch()
    program.send(signal.SIGHUP)
    program.wait_for(
        r"ERROR worker 1 .* ended before it was ready: exit status 5; the old ones go on"
    )
    assert all(map(is_alive, workers))
    (tmp_path / "bad").unlink()
    program.send(signal.SIGHUP)
    program.workers(4)


def test_a_worker_that_ends_by_itself_leaves_its_connections_to_the_others(
    serving: Callable,
) -> None:
    program = serving(grace=600)
    one, other = program.workers(2)
    with connect_to(program, one) as sock:
        say(sock, "stubborn")
        program.wait_for("stubborn")
        os.kill(one, signal.SIGTERM)
        assert sock.recv(100) == GOING_AWAY
        for _ in range(20):
            with program.connect() as another:
                assert pid_of(another) == other


def test_who_connects_while_it_stops_is_refused(serving: Callable) -> None:
    program = serving(grace=600)
    with connect_to(program, program.workers(2)[0]) as sock:
        say(sock, "stubborn")
        program.wait_for("stubborn")
        program.send(signal.SIGTERM)
        until_one_has_ended(program)
        with pytest.raises(ConnectionRefusedError):
            program.connect()
