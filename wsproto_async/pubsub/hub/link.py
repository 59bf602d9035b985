"""A connection to the hub that comes back by itself, and is dead when nothing comes any more.

What is written in one turn of the loop leaves in one write.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
from typing import Final, Protocol, cast

from .protocol import (
    GREETING,
    HELLO,
    VERSION,
    WELCOME,
    WELCOMED,
    Fields,
    FrameError,
    FrameReader,
    frame_of,
)

__all__ = ["Connection", "Link", "Owner"]

_TICK: Final = 1.0  # seconds
_SILENT_TICKS: Final = 4  # after as many without a byte it is dead: in 4 to 5 seconds

# Seconds to wait before the next attempt, and at most: up to them, at random.
_FIRST_CEILING: Final = 0.05
_LAST_CEILING: Final = 0.5
_STABLE: Final = 1.0  # seconds after which a connection counts as a success


class Owner(Protocol):
    """Who uses a link."""

    def linked(self, connection: Connection, run: bytes) -> None:
        """There is a connection; ``run`` is the name of the hub's run, 8 bytes."""

    def received(self, frame: bytes) -> None:
        """A frame has come. Raises FrameError if it makes no sense of what follows."""

    def ping(self) -> None:
        """Nothing has come for a while: write something that is answered."""

    def unlinked(self, why: str) -> None:
        """The connection is over, after ``linked`` each time."""


class Link:
    """Keeps ``owner`` connected to the hub at ``path`` while ``run`` runs."""

    def __init__(self, path: str, owner: Owner) -> None:
        self._path = path
        self._owner = owner
        self._hello = frame_of(HELLO, GREETING.pack(VERSION, os.getpid(), secrets.token_bytes(16)))
        self.error = "silent"
        """Why there is no connection."""

    async def run(self) -> None:
        """Connect again and again until cancelled; then the connection is closed.

        Who listens and does not answer is waited for: it may be about to start.
        """
        loop = asyncio.get_running_loop()
        ceiling = _FIRST_CEILING
        while True:
            begun = loop.time()
            try:
                _, connection = await loop.create_unix_connection(
                    lambda: Connection(self._owner, self._hello), self._path
                )
            except OSError as exc:
                self.error = str(exc)
            else:
                try:
                    self.error = await asyncio.shield(connection.ended)
                finally:
                    connection.close()
            if loop.time() >= begun + _STABLE:
                ceiling = _FIRST_CEILING
            await asyncio.sleep(random.random() * ceiling)
            ceiling = min(ceiling * 2, _LAST_CEILING)


class Connection(asyncio.Protocol):
    """A connection, of which ``ended`` tells when it is over, and why."""

    def __init__(self, owner: Owner, hello: bytes) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self._owner = owner
        self._hello = hello
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._output: list[bytes] = []
        self._is_linked = False
        self._why = "closed by the hub"
        self._has_heard = False
        self._silent = 0
        self._timer: asyncio.TimerHandle | None = None

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        self._has_heard = True
        try:
            frames = self._reader.feed(data)
            if not self._is_linked and frames:
                self._welcomed(frames.pop(0))
            received = self._owner.received
            for each in frames:
                received(each)
        except FrameError as exc:
            self.abort(f"no hub: {exc}")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None
        why = self._why if exc is None else str(exc) or type(exc).__name__
        self.ended.set_result(why)
        if self._is_linked:
            self._owner.unlinked(why)

    def _welcomed(self, frame: bytes) -> None:
        fields = Fields(frame)
        version, run = fields.take(WELCOMED)
        if frame[4] != WELCOME or version != VERSION:
            raise FrameError(f"version {version}")
        fields.end()
        self._is_linked = True
        self._timer = self._loop.call_later(_TICK, self._tick)
        self._owner.linked(self, run)

    # What owners do

    def write(self, data: bytes) -> None:
        """Write at the end of this turn."""
        if not self._output:
            self._loop.call_soon(self._flush)
        self._output.append(data)

    def _flush(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"".join(self._output))
        self._output.clear()

    def close(self) -> None:
        """Close when all is written."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self, why: str) -> None:
        """End at once."""
        self._why = why
        if self._transport is not None:
            self._transport.abort()

    # Ticks are counted, not time: while our own loop stands still there are none.
    def _tick(self) -> None:
        self._silent = 0 if self._has_heard else self._silent + 1
        self._has_heard = False
        if self._silent == _SILENT_TICKS:
            self.abort(f"silent for {_TICK * _SILENT_TICKS:g} s")
            return
        if self._silent:
            self._owner.ping()
        self._timer = self._loop.call_later(_TICK, self._tick)
