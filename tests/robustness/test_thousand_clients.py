"""A thousand clients at once, each with a hundred messages: all come back, and nothing stays."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from raw_peer import (
    BINARY,
    CLOSE,
    TEXT,
    Frame,
    RawPeer,
    close_frame,
    frame_header,
    masked,
    raw_peer,
)

import wsproto_async

CLIENTS = 1000
MESSAGES = 100
PIECE = 16_000
ROOT = str(Path(wsproto_async.__file__).parent.parent)
SERVER = Path(__file__).with_name("echo_server.py")

# Sizes and how often they come: 1.4 kB on average, with every form of the length field.
SIZES = {
    **{0: 50, 1: 50, 20: 300, 125: 50, 126: 50, 127: 50},
    **{1000: 300, 4000: 100, 65_535: 2, 65_536: 2, 100_000: 3},
}


@contextmanager
def echo_server(loop_name: str) -> Iterator[tuple[int, Callable[[], dict], Callable[[], dict]]]:
    """The port of a server in another process; what it holds now; what it holds when closed."""
    process = subprocess.Popen(
        [sys.executable, SERVER, loop_name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        env=os.environ | {"PYTHONPATH": ROOT},
    )

    def ask() -> dict:
        process.stdin.write("\n")
        return json.loads(process.stdout.readline())

    def stop() -> dict:
        process.stdin.close()
        report = json.loads(process.stdout.readline())
        assert process.wait(timeout=10) == 0
        return report

    with process:
        try:
            yield int(process.stdout.readline()), ask, stop
        finally:
            process.kill()


def messages_of(client: int) -> Iterator[Frame]:
    """What a client sends: each message tells whose it is and which, unless it is too short."""
    random = Random(client)
    sizes = random.choices(list(SIZES), list(SIZES.values()), k=MESSAGES)
    kinds = random.choices([TEXT, BINARY], k=MESSAGES)
    for number, (kind, size) in enumerate(zip(kinds, sizes, strict=True)):
        yield Frame(kind, (f"{client}:{number} ".encode() * (size // 4 + 1))[:size])


async def send_all(peer: RawPeer, client: int) -> None:
    """In pieces of about 16 KiB, which end anywhere in a frame."""
    key = client.to_bytes(4, "big")
    data = bytearray()
    for opcode, payload, _ in messages_of(client):
        data += frame_header(opcode, len(payload)) + masked(payload, key)
        while len(data) > PIECE:
            await peer.send(data[:PIECE])
            await asyncio.sleep(0)  # a send that need not wait does not let the others work
            del data[:PIECE]
    await peer.send(data)


async def talk(client: int, port: int, everybody_is_here: asyncio.Barrier) -> None:
    async with raw_peer(port) as peer:
        await everybody_is_here.wait()
        async with asyncio.TaskGroup() as group:
            group.create_task(send_all(peer, client))
            for message in messages_of(client):
                assert await peer.read_frame() == message
        await everybody_is_here.wait()
        await peer.send(close_frame(1000))
        closing = await peer.read_frame()
        assert (closing.opcode, closing.close_code) == (CLOSE, 1000)
        assert await peer.read_eof() == b""


async def test_every_message_comes_back_and_nothing_stays(many_files: None) -> None:
    loop_name = "uvloop" if "uvloop" in type(asyncio.get_running_loop()).__module__ else "asyncio"
    with echo_server(loop_name) as (port, ask, stop):
        before = await asyncio.to_thread(ask)
        assert (before["tasks"], before["connections"], before["websockets"]) == (0, 0, 0)

        barrier = asyncio.Barrier(CLIENTS + 1)
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            for client in range(CLIENTS):
                group.create_task(talk(client, port, barrier))
            await barrier.wait()
            assert (await asyncio.to_thread(ask))["connections"] == CLIENTS
            await barrier.wait()

        async with asyncio.timeout(10):
            # The clients have seen the end; the server's own callbacks may follow a little later.
            while await asyncio.to_thread(ask) != before:  # noqa: ASYNC110 - no event reaches us
                await asyncio.sleep(0.05)
        closed = await asyncio.to_thread(stop)
        assert closed == {"tasks": 0, "connections": 0, "websockets": 0, "sockets": 0, "timers": 0}
