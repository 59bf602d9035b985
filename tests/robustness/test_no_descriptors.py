"""No file descriptors left to accept with: in a process of its own, with few of them."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trustme
from crowded_server import ROOM
from raw_peer import BINARY, PATIENCE, Frame, RawPeer, frame, raw_peer, tcp_peer

from wsproto_async import WebSocketError, connect

pytestmark = pytest.mark.one_loop  # the server's is another

PROGRAM = Path(__file__).parent / "crowded_server.py"
LOOPS = ("asyncio", "uvloop")


@asynccontextmanager
async def crowded(*arguments: str) -> AsyncIterator[tuple[Process, int]]:
    """A server in a process of its own, and its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *(("-P",) if sys.flags.safe_path else ()), str(PROGRAM), *arguments,
        stdin=PIPE, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, int(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def end_of(process: Process) -> list[str]:
    """Let the server end; return what it has logged as worse than INFO, each line."""
    _, errors = await asyncio.wait_for(process.communicate(b""), PATIENCE)
    assert process.returncode == 0, errors.decode()
    return [line for line in errors.decode().splitlines() if not line.startswith("INFO ")]


async def cpu_seconds(process: Process) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    return float(await process.stdout.readline())


async def assert_echoes(peer: RawPeer, message: bytes) -> None:
    await peer.send(frame(BINARY, message))
    assert await peer.read_message() == Frame(BINARY, message)


@pytest.mark.parametrize("loop", LOOPS)
async def test_those_who_find_no_room_are_told_and_the_others_go_on(loop: str) -> None:
    start = time.monotonic()
    async with crowded(loop) as (process, port), AsyncExitStack() as stack:
        live = await stack.enter_async_context(raw_peer(port))
        idle = [await stack.enter_async_context(tcp_peer(port)) for _ in range(ROOM)]
        late = [await stack.enter_async_context(tcp_peer(port)) for _ in range(5)]
        for peer in late:
            answer = await peer.read_eof()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: " in answer
            assert b"\r\nConnection: close\r\n" in answer
        await assert_echoes(live, b"still there")
        # Nobody is let in while there is no room, and nothing spins for it.
        before = await cpu_seconds(process)
        waiting = await stack.enter_async_context(tcp_peer(port))
        then = time.monotonic()
        assert (await waiting.read_eof()).startswith(b"HTTP/1.1 503 ")
        await asyncio.sleep(max(0.0, 1 - (time.monotonic() - then)))
        assert await cpu_seconds(process) - before < (time.monotonic() - then) / 2
        for peer in idle:
            peer.sock.close()
        await assert_echoes(live, b"and again")
        await until_it_serves(port)
        elapsed = time.monotonic() - start
        lines = await end_of(process)
    assert 1 <= len(lines) <= elapsed + 1
    for line in lines:
        assert line.startswith("WARNING wsproto_async.server accepting pauses: Too many open files")


async def until_it_serves(port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                async with connect(f"ws://127.0.0.1:{port}") as ws:
                    await ws.send("in")
                    assert await ws.recv() == "in"
                    return
            except (OSError, WebSocketError) as error:
                assert "503" in str(error) or isinstance(error, OSError), repr(error)


@pytest.mark.parametrize("loop", LOOPS)
async def test_over_tls_they_are_just_closed(loop: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = tmp_path / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(context)
    async with crowded(loop, str(certificate)) as (process, port), AsyncExitStack() as stack:
        live = await connect(f"wss://127.0.0.1:{port}", ssl=context)
        for _ in range(ROOM):
            await stack.enter_async_context(tcp_peer(port))
        late = [await stack.enter_async_context(tcp_peer(port)) for _ in range(5)]
        for peer in late:
            assert await peer.read_eof() == b""
        await live.send("still there")
        assert await live.recv() == "still there"
        await live.close()
        lines = await end_of(process)
    assert lines
    assert all(line.startswith("WARNING ") for line in lines)


@pytest.mark.parametrize("loop", LOOPS)
async def test_those_who_do_not_stay_for_the_answer(loop: str) -> None:
    async with crowded(loop) as (process, port), AsyncExitStack() as stack:
        live = await stack.enter_async_context(raw_peer(port))
        idle = [await stack.enter_async_context(tcp_peer(port)) for _ in range(ROOM)]
        for _ in range(20):
            late = socket.create_connection(("127.0.0.1", port))
            RawPeer(late).reset()
        await assert_echoes(live, b"still there")
        for peer in idle:
            peer.sock.close()
        await until_it_serves(port)
        lines = await end_of(process)
    assert all(line.startswith("WARNING ") for line in lines)
