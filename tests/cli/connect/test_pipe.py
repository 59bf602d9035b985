"""Talking to a server from a script: lines in, lines out."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper

import pytest
from programs import eventually

from wsproto_async import ConnectionClosed, WebSocket


def objects(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


@pytest.fixture
def url(echo_port: int) -> str:
    return f"ws://127.0.0.1:{echo_port}/"


@pytest.fixture
def echoing(server: Callable) -> Callable[[int], str]:
    """Start a server that returns so many messages, and then closes."""

    def echoing(count: int) -> str:
        async def handler(ws: WebSocket) -> None:
            for _ in range(count):
                await ws.send(await ws.recv())

        return f"ws://127.0.0.1:{server(handler)}/"

    return echoing


def test_lines_are_messages(run: Callable, echoing: Callable) -> None:
    outcome = run(
        "connect", echoing(4), "--linger", "inf", stdin=b"hello\r\n\nG\xc3\xbc\xc3\x9fe\nlast"
    )
    assert outcome == (0, "hello\n\nGüße\nlast\n", "")


def test_what_a_peer_sends_stays_in_its_line(run: Callable, server: Callable) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send("two\nlines \x1b[2J\x9b1m")
        await ws.send(b"\x00\xff")
        await ws.close(4000, "\x1b[31m")

    status, out, err = run("connect", f"ws://127.0.0.1:{server(handler)}/", "--linger", "inf")
    assert out == "two\\nlines \\x1b[2J\\x9b1m\n0x00ff\n"
    assert err == (
        "wsproto-async: error: the server closed the connection with 4000 (private use) \\x1b[31m\n"
    )
    assert status == 1


def test_events_are_objects(run: Callable, server: Callable) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send("two\nlines \x1b\x7f é")
        await ws.send(b"\x00\x01\xff")
        await ws.close(1001, "bye")

    port = server(handler, subprotocols=["chat"], compression=None)
    options = ("--json-lines", "--linger", "inf", "--subprotocol", "chat")
    status, out, err = run("connect", f"ws://127.0.0.1:{port}/", *options)
    assert (status, err) == (0, "")
    assert out.isascii() and out.replace("\n", "").isprintable()
    assert objects(out) == [
        {"type": "open", "subprotocol": "chat", "extensions": ""},
        {"type": "text", "data": "two\nlines \x1b\x7f é"},
        {"type": "binary", "data": "AAH/"},
        {"type": "close", "code": 1001, "reason": "bye"},
    ]


def test_lines_are_binary(run: Callable, echoing: Callable) -> None:
    options = ("--hex", "--json-lines", "--linger", "inf")
    status, out, _ = run("connect", echoing(2), *options, stdin=b"00 01FF\n\n")
    assert status == 0
    assert [each.get("data") for each in objects(out)[1:-1]] == ["AAH/", ""]


@pytest.mark.parametrize(
    ("stdin", "options", "why"),
    [
        (b"fine\n\xff\n", [], "line 2 of stdin is not UTF-8; --hex sends binary"),
        (b"xyz\n", ["--hex"], "line 1 of stdin is not hex digits"),
    ],
)
def test_lines_that_cannot_be_sent(
    run: Callable, url: str, stdin: bytes, options: list[str], why: str
) -> None:
    status, _, err = run("connect", url, *options, stdin=stdin)
    assert (status, err) == (2, f"wsproto-async: error: {why}\n")


def test_stdin_that_cannot_be_read(run: Callable, url: str, tmp_path: object) -> None:
    path = f"{tmp_path}/for-writing"
    status, _, err = run("connect", url, stdin=os.open(path, os.O_WRONLY | os.O_CREAT))
    assert (status, err) == (2, "wsproto-async: error: cannot read stdin: Bad file descriptor\n")


def test_a_connection_that_is_cut_off(run: Callable, server: Callable) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.recv()
        ws.abort()

    url = f"ws://127.0.0.1:{server(handler)}/"
    status, out, err = run("connect", url, "--json-lines", stdin=b"x\n")
    assert status == 1
    assert objects(out)[-1] == {"type": "close", "code": 1006, "reason": ""}
    assert err == "wsproto-async: error: the connection was cut off\n"


def test_a_message_that_is_too_large(run: Callable, url: str) -> None:
    status, _, err = run("connect", url, "--max-size", "3", stdin=b"abcd\n")
    assert status == 1
    assert "this side closed the connection with 1009 (message too big)" in err


def test_it_waits_for_answers(run: Callable, server: Callable) -> None:
    """As long as they come, each within the time."""

    async def handler(ws: WebSocket) -> None:
        await ws.recv()
        for number in range(4):
            await asyncio.sleep(0.2)
            await ws.send(str(number))
        await ws.wait_closed()

    url = f"ws://127.0.0.1:{server(handler)}/"
    assert run("connect", url, "--linger", "0.6", stdin=b"x\n").out == "0\n1\n2\n3\n"
    assert run("connect", url, "--linger", "0", stdin=b"x\n").out == ""


def test_the_server_ends_it_while_stdin_is_open(run: Callable, server: Callable) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send(await ws.recv())

    url = f"ws://127.0.0.1:{server(handler)}/"
    reading, writing = os.pipe()
    os.write(writing, b"x\n")
    try:
        assert run("connect", url, stdin=reading) == (0, "x\n", "")
    finally:
        os.close(writing)


def test_no_stdin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], run: Callable, url: str
) -> None:
    from wsproto_async.cli.main import main

    monkeypatch.setattr(sys, "stdin", None)
    assert main(["connect", url, "--linger", "0"]) == 0


def test_ctrl_c(run: Callable, server: Callable, interrupt: Callable) -> None:
    ends: list[int | None] = []

    async def handler(ws: WebSocket) -> None:
        await ws.recv()
        interrupt()
        await ws.wait_closed()
        ends.append(ws.close_code)

    url = f"ws://127.0.0.1:{server(handler)}/"
    reading, writing = os.pipe()
    os.write(writing, b"x\n")
    try:
        assert run("connect", url, stdin=reading) == (130, "", "")
    finally:
        os.close(writing)
    eventually(lambda: ends == [1001])


def test_ctrl_c_is_an_event(run: Callable, server: Callable, interrupt: Callable) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.recv()
        interrupt()
        with suppress(ConnectionClosed):
            while True:  # there may be messages that are not read any more
                await ws.send("x")

    url = f"ws://127.0.0.1:{server(handler)}/"
    reading, writing = os.pipe()
    os.write(writing, b"x\n")
    try:
        status, out, err = run("connect", url, "--json-lines", stdin=reading)
    finally:
        os.close(writing)
    assert (status, err) == (130, "")
    events = objects(out)
    assert events[0]["type"] == "open"
    assert events[-1] == {"type": "close", "code": 1001, "reason": ""}


def test_nobody_reads(
    monkeypatch: pytest.MonkeyPatch, run: Callable, url: str, beside: object
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        status, _, err = run("connect", url, stdin=b"x\n" * 100)
        assert (status, err) == (141, "")


def test_a_terminal_of_another_encoding(
    monkeypatch: pytest.MonkeyPatch, run: Callable, echoing: Callable, tmp_path: object
) -> None:
    with open(f"{tmp_path}/out", "w+", encoding="latin-1") as output:
        assert isinstance(output, TextIOWrapper)
        monkeypatch.setattr(sys, "stdout", output)
        url = echoing(1)
        assert run("connect", url, "--linger", "inf", stdin="ü世\n".encode()).status == 0
        output.seek(0)
        assert output.read() == "ü\\u4e16\n"
