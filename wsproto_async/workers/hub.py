"""The hub of the workers of one program: a process of its own, which the supervisor looks after.

Its listening socket is the supervisor's. So a hub that has died is missed no longer than it takes
to start another one: who connects meanwhile waits.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from ..aio.bind import bind_unix
from ..pubsub.hub import HubServer
from .fork import ignore
from .process import loop_factory
from .slot import Slot
from .worker import ALIVE, BEAT

__all__ = ["hub_slot"]


@contextmanager
def hub_slot() -> Iterator[tuple[str, Slot]]:
    """Make the path of a hub, where nobody else can connect, and the slot of its processes.

    Nothing is left of it afterwards. Raises OSError if there is no room for it.
    """
    folder = tempfile.mkdtemp(prefix="wsproto_async-")
    try:
        path = os.path.join(folder, "hub")
        with bind_unix(path) as sock:
            yield path, Slot("hub", partial(_work, folder), [sock])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _work(folder: str, socks: Sequence[socket.socket], channel: socket.socket) -> None:
    # It may be sent to all processes of a program at once; the hub ends after the workers.
    signal.signal(signal.SIGTERM, ignore)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_serve(socks[0], channel))
    shutil.rmtree(folder, ignore_errors=True)  # there may be no supervisor any more


async def _serve(sock: socket.socket, channel: socket.socket) -> None:
    """Serve until the supervisor says so or has gone, and then until no worker is connected."""
    loop = asyncio.get_running_loop()
    hub = HubServer(sock)

    def end() -> None:
        loop.remove_reader(channel)
        hub.close()

    channel.setblocking(False)
    loop.add_reader(channel, end)
    beating = loop.create_task(_beat(channel))
    await hub.serve()
    beating.cancel()


async def _beat(channel: socket.socket) -> None:
    while True:
        with suppress(OSError):  # the supervisor is busy, or gone, which reading tells
            channel.send(ALIVE)
        await asyncio.sleep(BEAT)
