"""Every row against our server and our client, whole and byte by byte."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import socket
import ssl
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme
from client_rows import CLIENT_ROWS, ClientRow
from held import ABSENT, HELD
from subject import options

import wsproto_async
from wsproto_async import ConnectionClosed, connect, serve
from wsproto_async.testing.conformance.row import Row
from wsproto_async.testing.conformance.rows import ROWS
from wsproto_async.testing.conformance.runner import Outcome, Target, play_server, run
from wsproto_async.testing.conformance.wire import DEFLATE, TEXT, Wire, accept_token

HERE = Path(__file__).parent

PATIENCE = 20.0  # seconds; nothing takes so long when all is well
# Set-ups that serve() does not know yet.
NOT_YET: set[str] = set()
# Whose peak is too high, until that is mended.
FAULTS: dict[str, str] = {}
# What the application does wrong there is logged, once each time.
APPLICATIONS_FAULTS = {"H41", "N18", "N19"}
# What every server of ours has.
BY_NATURE = frozenset({"echo", "deflate", "origins", "close_timeout"})
SMALL = Wire(host="localhost", max_size=1000, max_fragments=8)

IDS = re.findall(
    r"\w+",
    """
    H01 H02 H03 H04 H05 H06 H07 H08 H09 H10 H11 H13 H14 H16 H17 H19 H20 H22 H23 H24 H25 H26 H28
    H29 H31 H32 H33 H35 H36 H37 H38 H40 H41 H42 H44 H45 H46 H48 H49 H50 H51 H52 H53 H54 H55
    C01 C03 C04 C05 C06 C08 C09 C10 C11 C12 C13 C14 C15
    F01 F03 F04 F05 F06 F07 F08 F09 F10 F12 F14 F15 F16 F17 F18 F19 F20 F21 F23 F24 F26 F28 F29
    F30 F31 F32 F33 F34
    T01 T02 T03 T04 T06 D01 D02 D04 D06 D07 D08 D10 D13 D14 D15 D16 D17
    N01 N02 N03 N04 N05 N06 N08 N09 N10 N11 N12 N13 N15 N17 N18 N19 N20 N21 N22 N23 N24 N25 N26
    N27 N28 N29 N30
""",
)


def by_id(rows: Iterable[Any]) -> dict[str, list[Any]]:
    found = defaultdict(list)
    for row in rows:
        found[row.id].append(row)
    return found


def ids(rows: Iterable[Any]) -> list[Any]:
    marks = {id: pytest.mark.logs_errors for id in APPLICATIONS_FAULTS}
    return [pytest.param(each, id=id, marks=marks.get(id, ())) for id, each in by_id(rows).items()]


def check(outcomes: list[Outcome]) -> None:
    wrong = [
        f"{outcome.row.title}\n  expected: {outcome.row.expect}\n  got: {outcome.got}"
        for outcome in outcomes
        if outcome.state != "ok"
    ]
    assert not wrong, "\n".join(wrong)


# The table


def test_no_id_is_missing() -> None:
    listed = {row.id for row in (*ROWS, *CLIENT_ROWS, *HELD)} | set(ABSENT)
    assert set(IDS) <= listed


def test_the_threat_model_names_what_is_there() -> None:
    page = (HERE.parent.parent / "docs" / "threat-model.md").read_text(encoding="utf-8")
    listed = {row.id for row in (*ROWS, *CLIENT_ROWS, *HELD)}
    named = set(re.findall(r"\b[HCFTDNX][0-9]{2}\b", page))
    assert named - listed == set()
    for name in re.findall(r"`(test_\w+\.py)`", page):
        assert list(HERE.parent.rglob(name)), name


def test_no_row_stands_there_twice() -> None:
    names = [(row.id, row.title) for row in (*ROWS, *CLIENT_ROWS, *HELD)]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("held", [pytest.param(held, id=held.id) for held in HELD])
def test_what_holds_it_is_there(held: Any) -> None:
    file, _, function = held.test.partition("::")
    assert f"def {function}(" in (HERE.parent / file).read_text(encoding="utf-8")


# Against our server


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    return context


def target(needs: frozenset[str], port: int, client_tls: ssl.SSLContext, **more: Any) -> Target:
    is_tls = "tls" in needs
    limits = {"close_timeout": 0.2, "open_timeout": 0.3, "ping_timeout": 0.4}
    return Target(
        "127.0.0.1",
        port,
        more.pop("wire", SMALL),
        client_tls if is_tls else None,
        needs | BY_NATURE | ({"tls"} if is_tls else {"plain"}),
        limits | {"frame_timeout": 0.3, "send_timeout": 0.3},
        patience=PATIENCE,
        **more,
    )


def is_runnable(row: Row) -> bool:
    return not row.needs & (NOT_YET | {"client"})


@pytest.mark.parametrize(
    "rows", ids(row for row in ROWS if (row.memory is None or row.play is None) and row.id != "N06")
)
async def test_server(
    rows: list[Row],
    server_tls: ssl.SSLContext,
    client_tls: ssl.SSLContext,
    caplog: pytest.LogCaptureFixture,
) -> None:
    runnable = list(filter(is_runnable, rows))
    if not runnable:
        pytest.skip("nothing of it can be set up")
    outcomes = []
    for needs in dict.fromkeys(row.needs for row in runnable):
        async with serve(**options(needs, server_tls)) as server:
            it = target(needs, server.port, client_tls)
            waiting = []  # which takes them the same time
            for row in runnable:
                if row.needs == needs:
                    waiting.append(run(row, it))
                    if row.cuts and row.play is None:
                        waiting.append(run(row, it, split=True))
                    if row.lasts is None:
                        outcomes += [await each for each in waiting]
                        waiting.clear()
            outcomes += await asyncio.gather(*waiting)
    check(outcomes)
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    if rows[0].id in APPLICATIONS_FAULTS:
        assert len(errors) <= len(outcomes)


# Against our client


@contextlib.contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client's socket and, not blocking, a server's."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        with listener.accept()[0] as server:
            server.setblocking(False)
            server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield client, server


async def echoing_client(sock: socket.socket, needs: frozenset[str]) -> None:
    limits = {"max_size": SMALL.max_size, "max_fragments": SMALL.max_fragments}
    given = {name: value for name, value in limits.items() if name in needs}
    with contextlib.suppress(ConnectionClosed):
        async with connect("ws://localhost/", sock=sock, close_timeout=0.2, **given) as ws:
            while True:
                await ws.send(await ws.recv())


@pytest.mark.parametrize(
    "rows", ids(row for row in ROWS if row.opened and row.mirrors and row.play is None)
)
async def test_client(rows: list[Row]) -> None:
    """The rows that are about frames, with a server for an attacker."""
    outcomes = []
    wire = replace(SMALL, masked=False)
    for row in rows:
        for split in (False, True) if row.cuts else (False,):
            with pair() as (client, server):
                victim = asyncio.create_task(echoing_client(client, row.needs))
                outcomes.append(
                    await play_server(row, server, wire, patience=PATIENCE, split=split)
                )
                server.close()
                await victim
    check(outcomes)


async def answer(row: ClientRow, sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    request = b""
    while b"\r\n\r\n" not in request:
        request += await loop.sock_recv(sock, 2**16)
    key = request.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0].decode()
    data = row.answer(accept_token(key))
    with contextlib.suppress(ConnectionError):
        size = 100 if row.drips else len(data) or 1
        for start in range(0, len(data), size):
            await loop.sock_sendall(sock, data[start : start + size])
            await asyncio.sleep(0.01 if row.drips else 0)
        if row.ends:
            sock.shutdown(socket.SHUT_WR)
        while await loop.sock_recv(sock, 2**16):
            pass


@pytest.mark.parametrize("rows", ids(CLIENT_ROWS))
async def test_clients_handshake(rows: list[ClientRow]) -> None:
    wrong = []
    for row in rows:
        with pair() as (client, server):
            answering = asyncio.create_task(answer(row, server))
            got: Any
            try:
                async with asyncio.timeout(20):
                    ws = await connect("ws://localhost/", sock=client, **row.options)
                    got = await ws.recv()
                    ws.abort()
                    await ws.wait_closed()
            except Exception as exc:
                got = type(exc).__name__
            if got != (row.raises or row.message):
                wrong.append(f"{row.title}: {got!r:.100}")
            server.close()
            answering.cancel()
            with contextlib.suppress(asyncio.CancelledError, OSError):
                await answering
    assert not wrong, "\n".join(wrong)


# What it costs


LARGE = Wire(host="localhost", max_size=2**18, max_fragments=2**12)
LIMITS = {
    "max_size": 2**18,
    "max_fragments": 2**12,
    "read_limit": 2**16,
    "write_limit": 2**16,
    "open_timeout": 0.3,
    "close_timeout": 0.2,
    "ping_interval": None,
}
# What a connection costs at rest, with what measuring costs, and 64 objects more.
BYTES, OBJECTS = 2**15, 32 + 64
# One read, and the copies that parsing makes of it; all connections of a loop take turns at that.
READ = 4 * 2**18


class Subject:
    """A server in a process of its own."""

    def __init__(self, kind: str, **limits: Any) -> None:
        root = str(Path(wsproto_async.__file__).parent.parent)
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(HERE / "subject.py"), kind, json.dumps(limits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": root},
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        # What all connections of a loop share stays while there is one.
        self._bystander = socket.create_connection(("127.0.0.1", self.port))
        self._bystander.sendall(SMALL.request("", DEFLATE) + SMALL.frame(TEXT, b"hello"))
        while b"hello" not in self._bystander.recv(2**16) and not limits.get("pushes"):
            pass

    def ask(self, command: str) -> dict[str, int]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(command, file=self._process.stdin, flush=True)
        answer: dict[str, int] = json.loads(self._process.stdout.readline())
        return answer

    def stop(self) -> None:
        self._bystander.close()
        self._process.kill()
        self._process.communicate()


def kind_of_loop() -> str:
    return "uvloop" if "uvloop" in type(asyncio.get_running_loop()).__module__ else "asyncio"


@pytest.fixture(scope="module")
def subjects() -> Iterator[dict[str, Subject]]:
    found: dict[str, Subject] = {}
    yield found
    for subject in found.values():
        subject.stop()


@pytest.mark.parametrize("rows", ids(row for row in ROWS if row.memory is not None))
async def test_memory(
    rows: list[Row], subjects: dict[str, Subject], client_tls: ssl.SSLContext
) -> None:
    """What the server holds for one connection, whatever is sent to it."""
    runnable = [row for row in rows if is_runnable(row) and "tls" not in row.needs]
    if not runnable:
        pytest.skip("nothing of it can be set up")
    kind = kind_of_loop()
    pushes = "pushing" in runnable[0].needs
    name = f"{kind} {pushes}"
    if name not in subjects:
        send_timeout = 0.3 if pushes else None  # the others end in other ways
        subjects[name] = Subject(kind, pushes=pushes, send_timeout=send_timeout, **LIMITS)
    subject = subjects[name]
    it = target(runnable[0].needs, subject.port, client_tls, wire=LARGE)
    outcomes, held = [], []
    for row in runnable:
        reports = []

        async def measure(reports: list[dict[str, int]] = reports) -> None:
            reports.append(subject.ask("report"))

        subject.ask("begin")
        outcomes.append(await run(row, it, on_sent=measure))
        [report] = reports
        assert row.memory is not None
        bound = BYTES + row.memory(LARGE)
        is_peak_wrong = report["peak"] > bound + READ and row.id not in FAULTS
        is_more_kept = report["kept"] > bound or report["objects"] > OBJECTS
        if is_peak_wrong or is_more_kept or report["errors"]:
            held.append(f"{row.title}: {report}, bound {bound}")
    check(outcomes)
    assert not held, "\n".join(held)


@pytest.mark.skipif("few_files" in NOT_YET, reason="it cannot be set up")
async def test_few_files(client_tls: ssl.SSLContext) -> None:
    """N06: it is no error, those who are connected do not notice, and later others get in."""
    [row] = [row for row in ROWS if row.id == "N06"]
    subject = Subject(kind_of_loop(), files=40)
    try:
        it = target(row.needs, subject.port, client_tls)
        subject.ask("begin")
        check([await run(row, it)])
        while (later := await run(replace(row, play=None), it)).got.startswith("no opening"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)  # it has not noticed yet that there is room again
        check([later])
        assert subject.ask("report")["errors"] == 0
    finally:
        subject.stop()
