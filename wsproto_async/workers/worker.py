"""A worker's side of what it has in common with its supervisor: one socket.

The worker writes a byte each second, the first one when it listens. The supervisor writes one to
retire it. The end of the stream is the end of the supervisor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import socket
from typing import Final

from ..aio.server import Server
from .process import LAST_GRACE, last_resort

__all__ = ["BEAT", "RETIRE", "in_touch"]

BEAT: Final = 1.0
"""Seconds between two signs of life."""

RETIRE: Final = b"r"
"""Another worker has taken over: end, but refuse nobody."""

# Seconds for handshakes under way when the worker retires. Those of TLS are not seen, but short.
_LAST_HANDSHAKES: Final = 5.0
_TLS_HANDSHAKES: Final = 0.5
_GLANCE: Final = 0.02


@contextmanager
def in_touch(server: Server, channel: socket, grace: float | None) -> Iterator[None]:
    """Be in touch with the supervisor over ``channel`` while the running event loop serves."""
    contact = _Contact(server, channel, grace)
    contact.beat()
    try:
        yield
    finally:
        contact.end()


class _Contact:
    def __init__(self, server: Server, channel: socket, grace: float | None) -> None:
        self._server = server
        self._channel = channel
        self._grace = grace
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._retiring: asyncio.Task[None] | None = None
        channel.setblocking(False)
        self._loop.add_reader(channel, self._read)

    def beat(self) -> None:
        with suppress(OSError):  # the supervisor is busy, or gone, which reading tells
            self._channel.send(b".")
        self._timer = self._loop.call_later(BEAT, self.beat)

    def end(self) -> None:
        self._loop.remove_reader(self._channel)
        if self._timer is not None:
            self._timer.cancel()

    def _read(self) -> None:
        try:
            told = self._channel.recv(1)
        except BlockingIOError:
            return
        except ConnectionError:
            told = b""
        if told == RETIRE and self._server.is_serving():
            self._retiring = self._loop.create_task(self._retire())
        elif not told:
            self._loop.remove_reader(self._channel)
            self._close()

    def _close(self) -> None:
        last_resort(None if self._grace is None else self._grace + LAST_GRACE)
        self._server.close(grace=self._grace)

    async def _retire(self) -> None:
        # asyncio's servers forget what they have accepted in the turn in which they are closed.
        for sock in self._server.sockets:
            self._loop.remove_reader(sock)
        await asyncio.sleep(_GLANCE)
        self._server.stop_listening()
        await asyncio.sleep(_TLS_HANDSHAKES)
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_HANDSHAKES):
                while self._server.stats().handshakes:  # noqa: ASYNC110 - nobody announces the last
                    await asyncio.sleep(_GLANCE)
        self._close()
