"""A connection to the hub that comes back by itself."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
from typing import Final, Protocol

from ..connection import BrokerConnection
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

# Seconds before the next attempt, at most. It does not grow: the hub is on this machine.
_MAX_PAUSE: Final = 0.1


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
        while True:
            try:
                _, connection = await loop.create_unix_connection(
                    lambda: Connection(self._owner), self._path
                )
            except OSError as exc:
                self.error = str(exc)
            else:
                connection.write(self._hello)  # not earlier: uvloop does not tell if it gives up
                try:
                    self.error = await asyncio.shield(connection.ended)
                finally:
                    connection.close()
            await asyncio.sleep(random.random() * _MAX_PAUSE)


class Connection(BrokerConnection):
    """A connection to the hub; before its welcome it does not count."""

    def __init__(self, owner: Owner) -> None:
        super().__init__("the hub")
        self._owner = owner
        self._reader = FrameReader()
        self._is_linked = False

    def data_received(self, data: bytes) -> None:
        self.heard()
        try:
            frames = self._reader.feed(data)
            if not self._is_linked and frames:
                self._welcomed(frames.pop(0))
            received = self._owner.received
            for each in frames:
                received(each)
        except FrameError as exc:
            self.abort(f"no hub: {exc}")

    def _welcomed(self, frame: bytes) -> None:
        fields = Fields(frame)
        version, run = fields.take(WELCOMED)
        if frame[4] != WELCOME or version != VERSION:
            raise FrameError(f"version {version}")
        fields.end()
        self._is_linked = True
        self.watch()
        self._owner.linked(self, run)

    def ping(self) -> None:
        self._owner.ping()

    def lost(self, why: str) -> None:
        if self._is_linked:
            self._owner.unlinked(why)
