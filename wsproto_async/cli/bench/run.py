"""The course of a run: connections are opened, measured with, and closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import Final

from ...aio.client import connect
from ...aio.websocket import WebSocket
from ..failure import CONNECT_ERRORS
from .client import Client
from .load import Load

__all__ = ["GRACE", "Run"]

GRACE: Final = 5.0  # seconds that messages have to come back after the last one was sent

_OPENING: Final = 100  # handshakes at a time: a listening socket's queue may be no longer


class Run:
    """Fills ``load``: ``open``, ``measure`` and ``close`` are called in this order."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self._payload = load.plan.payload()
        self._opened: list[WebSocket] = []
        self._clients: list[Client] = []
        self._stops = asyncio.Semaphore(0)

    @property
    def on_their_way(self) -> int:
        """How many messages may still come back."""
        return sum(client.on_their_way for client in self._clients)

    async def open(
        self, opening: Callable[[], connect], explain: Callable[[Exception], str]
    ) -> None:
        """Open the connections. Raises one of CONNECT_ERRORS if there is none."""
        slots = asyncio.Semaphore(_OPENING)
        failures: list[Exception] = []

        async def open_one() -> None:
            async with slots:
                try:
                    self._opened.append(await opening())
                except CONNECT_ERRORS as exc:
                    failures.append(exc)

        # Ends all of them if it is cancelled.
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.load.plan.connections):
                tasks.create_task(open_one())
        if not self._opened:
            raise failures[0]
        self.load.opened = len(self._opened)
        self.load.errors.update(map(explain, failures))

    async def measure(self) -> None:
        """Send for the time of the plan, then wait for what is on its way, for GRACE seconds."""
        load = self.load
        start = perf_counter()
        self._clients = [
            Client(load, ws, self._payload, start, position)
            for position, ws in enumerate(self._opened)
        ]
        running = asyncio.create_task(self._run_clients())
        try:
            await self._wait(running, load.plan.duration)
            load.is_over = True
            load.elapsed = perf_counter() - start
            load.unsent = sum(client.count_unsent(start + load.elapsed) for client in self._clients)
            for client in self._clients:
                client.stop()
            await self._wait(running, GRACE)
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    def stop(self) -> None:
        """End the sending before its time; called again, the waiting for what is on its way."""
        self._stops.release()

    def abort(self) -> None:
        """Drop the connections: ``close`` has nothing to wait for then."""
        for ws in self._opened:
            ws.abort()

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(ws.close() for ws in self._opened))

    async def _run_clients(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for client in self._clients:
                tasks.create_task(client.run())

    async def _wait(self, running: asyncio.Task[None], seconds: float) -> None:
        """Wait until it has ended, for a ``stop``, and for no more than so many seconds."""
        stopped = asyncio.create_task(self._stops.acquire())
        await asyncio.wait([running, stopped], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
