"""Runs that end before their time, and servers that do not let go."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial

import pytest
from programs import PATIENCE

from wsproto_async import WebSocket, connect
from wsproto_async.cli.bench import run as run_module
from wsproto_async.cli.bench.load import Load, Plan
from wsproto_async.handshake.server import accept_response


def test_ctrl_c_ends_it_with_a_report(
    bench: Callable, server: Callable, interrupt: Callable
) -> None:
    async def handler(ws: WebSocket) -> None:
        for _ in range(5):
            await ws.send(await ws.recv())
        interrupt()
        async for message in ws:
            await ws.send(message)

    status, found = bench(server(handler), "--duration", "60", "--connections", "1")
    assert (status, found["interrupted"], found["errors"]) == (130, True, {})
    assert found["messages"] + found["late"] >= 5


def test_ctrl_c_while_it_connects(run: Callable, raw_server: Callable, interrupt: Callable) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        interrupt()
        await reader.read()

    port = raw_server(talk)
    assert run("bench", f"ws://127.0.0.1:{port}/", "--connections", "1") == (130, "", "")


def test_a_second_time_it_ends_the_wait(server: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_module, "GRACE", 2 * PATIENCE)

    received = threading.Event()

    async def handler(ws: WebSocket) -> None:
        await ws.recv()
        received.set()
        await ws.wait_closed()

    port = server(handler)

    async def measure() -> Load:
        plan = Plan(connections=1, size=1, text=False, in_flight=1, rate=None, duration=60)
        run = run_module.Run(Load(plan))
        await run.open(partial(connect, f"ws://127.0.0.1:{port}/", proxy=None), str)
        measuring = asyncio.create_task(run.measure())
        assert await asyncio.to_thread(received.wait, PATIENCE)
        run.stop()
        run.stop()
        async with asyncio.timeout(PATIENCE):
            await measuring
        await run.close()
        return run.load

    load = asyncio.run(measure())
    assert (load.returned, load.late, load.unanswered) == (0, 0, 1)


def test_sigterm_ends_it_as_ctrl_c_does(command: Callable, server: Callable) -> None:
    came_back = threading.Event()

    async def handler(ws: WebSocket) -> None:
        await ws.send(await ws.recv())
        async for message in ws:
            came_back.set()
            await ws.send(message)

    url = f"ws://127.0.0.1:{server(handler)}/"
    program = command("bench", url, "--duration", "60", "--no-proxy")
    assert came_back.wait(PATIENCE)
    program.send(signal.SIGTERM)
    assert program.end() == 143
    assert program.found("^messages/s|errors       0")


def test_sigterm_while_it_connects(command: Callable, raw_server: Callable) -> None:
    asked = threading.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await reader.read()

    program = command("bench", f"ws://127.0.0.1:{raw_server(talk)}/", "--no-proxy")
    assert asked.wait(PATIENCE)
    program.send(signal.SIGTERM)
    assert (program.end(), program.lines) == (143, [])


def test_a_server_that_does_not_answer_close(
    bench: Callable, raw_server: Callable, interrupt: Callable
) -> None:
    """Ctrl-C ends the wait for it; the run was complete."""
    port = raw_server(without_an_end(interrupt))
    status, found = bench(port, "--duration", "0.2", "--connections", "1")
    assert (status, found["interrupted"], found["errors"]) == (0, False, {})
    assert found["messages"] > 0


def test_progress_is_gone_before_connections_are_closed(
    run: Callable,
    raw_server: Callable,
    interrupt: Callable,
    terminal: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    shown: list[str] = []

    def closing() -> None:
        shown.append(screen.getvalue())
        interrupt()

    port = raw_server(without_an_end(closing))
    screen = terminal()
    run("bench", f"ws://127.0.0.1:{port}/", "--duration", "0.2", "--connections", "1")
    assert "of 0.2 s: 0 messages/s, 0 errors" in shown[0]
    assert shown[0].endswith(" \r")


def without_an_end(closing: Callable[[], None]) -> Callable:
    """Echo short messages, and answer no Close, but call ``closing``."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = request.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
        writer.write(accept_response(key, None).serialize())
        while True:
            first, second = await reader.readexactly(2)
            mask = await reader.readexactly(4)
            payload = await reader.readexactly(second & 0x7F)
            if first == 0x88:
                closing()
                await reader.read()
                return
            data = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
            writer.write(bytes([first, len(data)]) + data)

    return talk
