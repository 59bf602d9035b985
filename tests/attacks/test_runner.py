"""The command line, against servers that are right, wrong, and not there."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import wsproto_async
from wsproto_async import WebSocket, serve
from wsproto_async.testing.conformance.rows import ROWS
from wsproto_async.testing.conformance.runner import NEEDS, SET_UPS

FOLDER = Path(wsproto_async.__file__).parent / "testing"


async def run(port: int, *arguments: str) -> tuple[int, str]:
    """What it exits with and what it prints; it has nothing but the standard library."""
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-ES", "-m", "conformance", "--port", str(port)),
        *("--patience", "0.3", *arguments),
        cwd=FOLDER,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await program.communicate()
    assert program.returncode is not None
    return program.returncode, output.decode()


@asynccontextmanager
async def blind_server() -> AsyncIterator[int]:
    """It opens a connection whatever it is asked, and never says anything more."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(1000)
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            while await reader.read(1000):
                pass
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_a_server_that_is_right() -> None:
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    async with serve(echo, 0) as server:
        status, output = await run(server.port, "--only", "H20,H36,F01,F16,D06")
    assert status == 0
    assert "  WRONG  " not in output
    assert "H36  ok       a message in the request's segment\n" in output  # it echoes
    assert "D06  ok       ones\n" in output  # it compresses
    assert "got: needs the largest message in bytes (--max-size)" in output
    assert re.search(r"^\d+ ok, 0 late, 0 WRONG, 2 skipped$", output, re.MULTILINE)


async def test_a_server_that_is_wrong() -> None:
    async with blind_server() as port:
        status, output = await run(port, "--only", "H20,H36")
    assert status == 1
    assert "H20  WRONG    HTTP/1.0\n" in output
    assert "expected: 505\n" in output
    assert "got: 101, still connected\n" in output
    assert "H36  skipped  a message in the request's segment\n" in output


async def test_no_server() -> None:
    async with blind_server() as port:
        pass
    status, output = await run(port)
    assert status == 2
    assert output.startswith(f"127.0.0.1:{port}: ")


def test_needs_are_explained() -> None:
    assert {need for row in ROWS for need in row.needs} <= {*NEEDS, *SET_UPS}
