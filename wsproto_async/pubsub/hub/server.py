"""The hub as a server: its connections, on a listening Unix socket.

What is written in one turn of the loop leaves in one write. A process that does not read what it
has asked for is not heard until it does; one that does not read what others publish is cut off.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from socket import socket
from typing import Final, cast

from .hub import Hub, done_frame
from .protocol import MAX_COMMAND, FrameReader

__all__ = ["HubServer"]

_MAX_WAITING: Final = 2**26  # bytes for one process: 64 MiB
_HIGH_WATER: Final = 2**20
_PAUSE: Final = 1.0  # seconds, when the system has no room for a connection

_log = logging.getLogger("wsproto_async.pubsub")


class HubServer:
    """A hub for the processes that connect to ``sock``, which stays open.

    They are trusted: who can connect can publish and read on all topics.
    """

    def __init__(self, sock: socket) -> None:
        self._sock = sock
        self._hub = Hub()
        self._loop = asyncio.get_running_loop()
        self._connected: set[_Connection] = set()
        self._to_flush: list[_Connection] = []
        self._is_closing = False
        self._changed = asyncio.Event()

    async def serve(self) -> None:
        """Serve until ``close`` has been called, and after that until nobody is connected."""
        self._sock.setblocking(False)
        accepting = self._loop.create_task(self._accept())
        try:
            while self._connected or not self._is_closing:
                self._changed.clear()
                await self._changed.wait()
        finally:
            accepting.cancel()

    def close(self) -> None:
        """End when the last process is gone."""
        self._is_closing = True
        self._changed.set()

    async def _accept(self) -> None:
        while True:
            try:
                sock, _ = await self._loop.sock_accept(self._sock)
                await self._loop.connect_accepted_socket(lambda: _Connection(self), sock)
            except OSError as exc:
                _log.warning("the hub cannot accept a process: %s", exc)
                await asyncio.sleep(_PAUSE)

    # What connections tell

    def made(self, connection: _Connection) -> None:
        self._connected.add(connection)

    def received(self, connection: _Connection, frame: bytes) -> None:
        self._hub.receive(connection, frame)

    def lost(self, connection: _Connection) -> None:
        self._connected.discard(connection)
        self._hub.forget(connection)
        self._changed.set()

    def flush_soon(self, connection: _Connection) -> None:
        if not self._to_flush:
            self._loop.call_soon(self._flush)
        self._to_flush.append(connection)

    def _flush(self) -> None:
        connections, self._to_flush = self._to_flush, []
        for connection in connections:
            connection.flush()


class _Connection(asyncio.Protocol):
    """A connection of a process: ``hub.Process``."""

    def __init__(self, server: HubServer) -> None:
        self.name = b""
        self.number = 0
        self.topics: set[bytes] = set()
        self.entered: set[tuple[bytes, str]] = set()
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader(MAX_COMMAND)
        self._frames: deque[bytes] = deque()
        self._output: list[bytes] = []
        self._answered = 0  # bytes of answers in the output
        self._done = 0  # commands to be answered by the next DONE
        self._is_paused = False

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(_HIGH_WATER)
        self._server.made(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._frames += self._reader.feed(data)
        except ValueError as exc:
            self._refuse(exc)
        else:
            self._handle()

    def pause_writing(self) -> None:
        self._is_paused = True
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._is_paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._handle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.end()
        self._server.lost(self)

    def _handle(self) -> None:
        frames = self._frames
        received = self._server.received
        try:
            while frames and not self._is_paused:
                received(self, frames.popleft())
        except ValueError as exc:
            self._refuse(exc)

    def _refuse(self, exc: ValueError) -> None:
        _log.warning("process %d has sent the hub what it cannot take: %s", self.number, exc)
        self.end()

    # What the hub does

    def write(self, frame: bytes) -> None:
        if not (self._output or self._done):
            self._server.flush_soon(self)
        self._output.append(frame)

    def answer(self, frame: bytes) -> None:
        if self._done:
            self._output.append(done_frame(self._done))
            self._done = 0
        self.write(frame)
        self._answered += len(frame)
        if self._answered >= _HIGH_WATER:
            self.flush()  # which may pause

    def done(self) -> None:
        if not (self._output or self._done):
            self._server.flush_soon(self)
        self._done += 1

    def end(self) -> None:
        self._frames.clear()
        self._output.clear()
        self._done = 0
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def flush(self) -> None:
        """Write what has come together."""
        if self._done:
            self._output.append(done_frame(self._done))
            self._done = 0
        output = b"".join(self._output)
        self._output.clear()
        self._answered = 0
        if self._transport is None or not output:
            return
        self._transport.write(output)
        waiting = self._transport.get_write_buffer_size()
        if waiting > _MAX_WAITING:
            why = "%d bytes wait for process %d, which does not read: it is cut off"
            _log.warning(why, waiting, self.number)
            self.end()
