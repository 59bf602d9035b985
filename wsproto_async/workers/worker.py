"""A worker's side of what it has in common with its supervisor: one socket.

The worker writes a byte each second, the first one when it listens. The supervisor writes one to
retire it, and one with the listening sockets of others that it is to accept on as well. The end of
the stream is the end of the supervisor.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from ..aio.server import Server
from .process import close

__all__ = ["ALIVE", "BEAT", "ENDING", "LEND", "MOST_LENT", "RETIRE", "UNTIL_GRACE", "in_touch"]

BEAT: Final = 1.0
"""Seconds between two signs of life."""

ALIVE: Final = b"."
"""A sign of life."""

ENDING: Final = b"e"
"""The same of one that accepts no more connections."""

RETIRE: Final = b"r"
"""Another worker has taken over: end, but refuse nobody."""

LEND: Final = b"l"
"""Accept on the sockets that come with it as well, in place of those that came before."""

MOST_LENT: Final = 253
"""As many as the system passes at once."""

# Seconds for handshakes under way when the worker retires. Those of TLS are not seen, but short.
_HANDSHAKES: Final = 5.0
_TLS_HANDSHAKES: Final = 0.5

UNTIL_GRACE: Final = _TLS_HANDSHAKES + _HANDSHAKES
"""Seconds that a worker which retires may take until the grace for its handlers begins."""

_logger = logging.getLogger("wsproto_async.workers")


@contextmanager
def in_touch(server: Server, channel: socket.socket, grace: float | None) -> Iterator[None]:
    """Be in touch with the supervisor over ``channel`` while the running event loop serves."""
    contact = _Contact(server, channel, grace)
    contact.beat()
    try:
        yield
    finally:
        contact.end()


class _Contact:
    def __init__(self, server: Server, channel: socket.socket, grace: float | None) -> None:
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
            self._channel.send(ALIVE if self._server.is_serving() else ENDING)
        self._timer = self._loop.call_later(BEAT, self.beat)

    def end(self) -> None:
        self._loop.remove_reader(self._channel)
        if self._timer is not None:
            self._timer.cancel()
        if self._retiring is not None:
            self._retiring.cancel()

    def _read(self) -> None:
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)  # where sockets are lent, it is there
        try:
            told, descriptors, came, _ = socket.recv_fds(self._channel, 1, MOST_LENT, flags)
        except BlockingIOError:
            return
        except ConnectionError:
            told, descriptors, came = b"", [], 0
        lent = [socket.socket(fileno=each) for each in descriptors]
        if not told:
            self._loop.remove_reader(self._channel)
            self._close()
        elif not self._server.is_serving():
            for sock in lent:
                sock.close()
        elif told == RETIRE:
            self._retiring = self._loop.create_task(self._retire())
        elif told == LEND and came & socket.MSG_CTRUNC:
            # With no descriptor left for a socket there is none for its connections either.
            _logger.warning("lent sockets are not accepted on: there is no room for all of them")
            for sock in lent:
                sock.close()
            self._server.listen_beside(())
        elif told == LEND:
            self._server.listen_beside(lent)

    def _close(self) -> None:
        if self._server.is_serving():  # else a signal was first, and counts
            close(self._server, self._grace)

    async def _retire(self) -> None:
        self._server.stop_listening()
        await asyncio.sleep(_TLS_HANDSHAKES)
        with suppress(TimeoutError):
            async with asyncio.timeout(_HANDSHAKES):
                await self._server.wait_for_handshakes()
        self._close()
