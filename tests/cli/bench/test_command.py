"""``wsproto-async bench`` against servers that echo, and others."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from wsproto_async import WebSocket
from wsproto_async.cli.bench import run as run_module

QUICK = ("--duration", "0.3", "--connections", "3")


def test_the_report(run: Callable, echo_port: int) -> None:
    status, out, err = run("bench", f"ws://127.0.0.1:{echo_port}/", *QUICK)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == (
        f"ws://127.0.0.1:{echo_port}/: 3 connections, 64 bytes of binary, up to 1 in flight, 0.3 s"
    )
    assert re.fullmatch(r"messages/s   [1-9][\d,]*", lines[2])
    assert lines[4] == "errors       0"
    assert out.isprintable() or out.replace("\n", "").isprintable()


@pytest.mark.parametrize("is_text", [False, True])
def test_messages_are_what_was_asked_for(bench: Callable, server: Callable, is_text: bool) -> None:
    received: set[tuple[type, int]] = set()

    async def handler(ws: WebSocket) -> None:
        async for message in ws:
            received.add((type(message), len(message)))
            await ws.send(message)

    arguments = ("--size", "77", *(["--text"] if is_text else []))
    status, found = bench(server(handler), *QUICK, *arguments)
    assert (status, found["errors"]) == (0, {})
    assert received == {(str if is_text else bytes, 77)}
    assert found["messages"] > 0
    assert (found["connections"], found["size"], found["text"]) == (3, 77, is_text)
    assert (found["late"], found["unanswered"]) == (3, 0)  # those on their way at the end
    assert found["bytes_per_second"] == found["messages_per_second"] * 77


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("size", [0, 2_000_000])
def test_sizes(bench: Callable, server: Callable, interrupt: Callable, size: int) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send(await ws.recv())
        await ws.recv()  # the next one, for which there was an echo
        interrupt()
        await ws.wait_closed()

    port = server(handler, max_size=None)
    options = ("--size", str(size), "--connections", "1", "--duration", "60")
    status, found = bench(port, *options)
    assert (status, found["messages"], found["errors"]) == (130, 1, {})


@pytest.mark.usefixtures("impatient")
def test_so_many_are_in_flight(bench: Callable, server: Callable) -> None:
    counts: Counter[WebSocket] = Counter()

    async def handler(ws: WebSocket) -> None:
        async for _ in ws:
            counts[ws] += 1

    status, found = bench(server(handler), *QUICK, "--in-flight", "7")
    assert list(counts.values()) == [7, 7, 7]
    assert (status, found["messages"], found["unanswered"]) == (1, 0, 21)


def test_a_rate(bench: Callable, echo_port: int) -> None:
    """So many are due, over all connections together, and none is sent before that."""
    status, found = bench(echo_port, *QUICK, "--rate", "100")
    assert (status, found["rate"], found["in_flight"]) == (0, 100, 1000)
    due = found["messages"] + found["late"] + found["unsent"]
    assert abs(due - found["duration"] * 100) <= 1


def test_answers_that_are_none(bench: Callable, server: Callable) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send("welcome")
        async for message in ws:
            await ws.send(message)

    status, found = bench(server(handler), *QUICK)
    assert (status, found["errors"]) == (1, {"a message that is no echo": 3})
    assert found["messages"] > 0


def test_no_echo_server(bench: Callable, server: Callable) -> None:
    async def handler(ws: WebSocket) -> None:
        async for _ in ws:
            await ws.send("something else")

    status, found = bench(server(handler), *QUICK)
    assert (status, found["errors"]) == (1, {"a message that is no echo": 3})
    assert (found["messages"], found["late"], found["unanswered"]) == (0, 0, 0)


@pytest.mark.parametrize("rate", [[], ["--rate", "1000"]])
def test_connections_that_are_lost(bench: Callable, server: Callable, rate: list[str]) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send(await ws.recv())
        await ws.recv()
        await ws.close(1011, "\x1b[2J")

    status, found = bench(server(handler), "--connections", "3", "--duration", "60", *rate)
    text = r"the server closed the connection with 1011 (internal error) \x1b[2J"
    assert (status, found["errors"]) == (1, {text: 3})
    assert found["duration"] < 60


def test_some_connections_are_refused(
    bench: Callable, server: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "_OPENING", 1)

    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    status, found = bench(server(echo, max_connections=2), *QUICK)
    ((text, count),) = found["errors"].items()
    assert (status, count, found["connections"]) == (1, 1, 2)
    assert text.startswith("the server answered 503 Service Unavailable instead of 101")


def test_no_server(run: Callable, closed_port: int) -> None:
    status, out, err = run("bench", f"ws://127.0.0.1:{closed_port}/", *QUICK)
    assert (status, out) == (3, "")
    assert err.count("\n") == 1 and "connection refused" in err


@pytest.mark.parametrize(
    ("option", "value", "most"),
    [
        ("--size", "99999999999999", "0 to 100000000"),
        ("--size", "9" * 25, "0 to 100000000"),
        ("--connections", "9" * 25, "1 to 1000000"),
        ("--in-flight", "9" * 25, "1 to 1000000"),
    ],
)
def test_numbers_beyond_reason(
    run: Callable, closed_port: int, option: str, value: str, most: str
) -> None:
    status, out, err = run("bench", f"ws://127.0.0.1:{closed_port}/", option, value)
    assert (status, out) == (2, "")
    assert f"argument {option}: must be from {most} (" in err


def test_a_password_is_not_told(run: Callable, echo_port: int) -> None:
    for option in ([], ["--json"]):
        out = run("bench", f"ws://ada:secret@127.0.0.1:{echo_port}/x?y", *QUICK, *option).out
        assert f"ws://127.0.0.1:{echo_port}/x?y" in out
        assert "ada" not in out and "secret" not in out


def test_a_picture(run: Callable, echo_port: int, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "picture.png"
    url = f"ws://127.0.0.1:{echo_port}/"
    assert run("bench", url, *QUICK, "--png", str(path)).status == 0
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    assert run("bench", url, *QUICK, "--png", str(tmp_path)) == (
        2,
        "",
        f"wsproto-async: error: cannot write {tmp_path}: Is a directory\n",
    )


def test_no_matplotlib(run: Callable, closed_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert run("bench", f"ws://127.0.0.1:{closed_port}/", "--png", "x.png") == (
        2,
        "",
        "wsproto-async: error: --png needs matplotlib: pip install matplotlib\n",
    )
