"""Programs that are stopped by a signal: status 0, clients see 1001, and nobody complains."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from raw_peer import TEXT, Frame, RawPeer, close_frame, frame, raw_peer

import wsproto_async

pytestmark = pytest.mark.one_loop  # the programs have theirs

PROGRAM = Path(__file__).with_name("program.py")
ROOT = str(Path(wsproto_async.__file__).parent.parent)
PATIENCE = 15


@contextmanager
def program(kind: str, *flags: str) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        [sys.executable, *flags, PROGRAM, kind],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": ROOT},
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


async def line_of(process: subprocess.Popen) -> str:
    return (await asyncio.to_thread(process.stdout.readline)).strip()


async def connected(process: subprocess.Popen, peer: RawPeer) -> None:
    assert await line_of(process) == "ready"
    await peer.send(frame(TEXT, b"hello"))
    assert await peer.read_message() == Frame(TEXT, b"hello")


async def end_of(process: subprocess.Popen) -> tuple[int, str, str]:
    output, errors = await asyncio.to_thread(process.communicate, timeout=PATIENCE)
    return process.returncode, output, errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("kind", ["run", "asyncio", "uvloop"])
async def test_stops_cleanly(kind: str, number: signal.Signals) -> None:
    with program(kind, "-X", "dev", "-W", "error") as process:
        port = int(await line_of(process))
        async with raw_peer(port) as polite, raw_peer(port) as other:
            await connected(process, polite)
            await connected(process, other)
            process.send_signal(number)
            for peer in (polite, other):
                assert (await peer.read_message()).close_code == 1001
                await peer.send(close_frame(1001))
                assert await peer.read_eof() == b""
                peer.finish()
            status, output, errors = await end_of(process)
            assert (status, output) == (0, "stopped\n")
            # run() tells where it listens; there is nothing else to tell.
            assert all(" INFO " in line for line in errors.splitlines())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_does_not_wait(number: signal.Signals) -> None:
    """A silent client holds the program up for close_timeout; who signals twice is in a hurry."""
    with program("run", "-X", "dev", "-W", "error") as process:
        port = int(await line_of(process))
        async with raw_peer(port) as peer:
            await connected(process, peer)
            process.send_signal(number)
            assert (await peer.read_message()).close_code == 1001
            start = time.monotonic()
            process.send_signal(number)
            status, output, errors = await end_of(process)
            assert (status, output) == (0, "stopped\n")
            assert all(" INFO " in line for line in errors.splitlines())
            assert time.monotonic() - start < 5
