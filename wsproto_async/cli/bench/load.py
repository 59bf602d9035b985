"""Load on an echo server: messages go out, their echoes come back, each one's time is taken.

In a closed loop every connection keeps so many messages on their way, and sends the next one when
an echo comes: a slow server is sent less. In an open loop messages are due at a rate, whatever the
server does, and their time begins when they are due: what a server makes others wait for counts.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from ...aio.client import connect
from ...aio.websocket import WebSocket
from ...exceptions import ConnectionClosed
from ..ending import describe_close, end_of
from ..failure import CONNECT_ERRORS
from .histogram import Histogram

__all__ = ["Load", "Plan"]

_OPENING: Final = 100  # handshakes at a time: a listening socket's queue may be no longer
_SHORT: Final = 0.0015  # seconds: what timers of event loops are too coarse for


@dataclass(frozen=True)
class Plan:
    """What is asked for: ``rate`` in messages a second, None for a closed loop."""

    connections: int
    size: int
    text: bool
    in_flight: int
    rate: float | None
    duration: float

    def payload(self) -> bytes | str:
        """Return a message's content, which compression does not shrink by much."""
        if not self.text:
            return os.urandom(self.size)
        return os.urandom(self.size // 2 + 1).hex()[: self.size]


@dataclass
class Load:
    """What has come of it: in ``elapsed`` seconds ``latencies.count`` messages came back.

    ``opened`` is how many connections there were, ``errors`` what went wrong, and how often,
    ``unanswered`` how many messages were on their way at the end, and ``unsent`` how many were
    due and could not be sent, since as many as may be were on their way.
    """

    plan: Plan
    latencies: Histogram = field(default_factory=Histogram)
    errors: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    elapsed: float = 0.0
    unanswered: int = 0
    unsent: int = 0
    is_over: bool = False

    async def run(
        self,
        opening: Callable[[], connect],
        explain: Callable[[Exception], str],
        stop: asyncio.Event,
        started: Callable[[], None],
    ) -> None:
        """Open the connections, call ``started``, and send for the time of the plan.

        ``stop`` ends it before that. Raises one of CONNECT_ERRORS if there is no connection.
        """
        opened: list[WebSocket] = []
        try:
            await self._open(opening, explain, opened)
            self.opened = len(opened)
            started()
            await self._send(opened, stop)
        except BaseException:
            for ws in opened:
                ws.abort()
            raise
        finally:
            await asyncio.gather(*(ws.close() for ws in opened))

    async def _open(
        self,
        opening: Callable[[], connect],
        explain: Callable[[Exception], str],
        opened: list[WebSocket],
    ) -> None:
        slots = asyncio.Semaphore(_OPENING)
        failures: list[Exception] = []

        async def open_one() -> None:
            async with slots:
                try:
                    opened.append(await opening())
                except CONNECT_ERRORS as exc:
                    failures.append(exc)

        # Ends all of them if it is cancelled.
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self.plan.connections):
                tasks.create_task(open_one())
        if not opened:
            raise failures[0]
        self.errors.update(map(explain, failures))

    async def _send(self, opened: list[WebSocket], stop: asyncio.Event) -> None:
        start = perf_counter()
        payload = self.plan.payload()
        clients = [
            _Client(self, ws, payload, start, position) for position, ws in enumerate(opened)
        ]
        sending = asyncio.create_task(self._send_on_all(clients))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait(
                [sending, stopped],
                timeout=self.plan.duration,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            self.is_over = True
            self.elapsed = perf_counter() - start
            self.unanswered = sum(client.unanswered for client in clients)
            self.unsent = sum(client.count_unsent(start + self.elapsed) for client in clients)
            stopped.cancel()
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending

    async def _send_on_all(self, clients: list[_Client]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for client in clients:
                tasks.create_task(client.run())


class _Client:
    """One connection; of ``load.opened`` it is the one at ``position``."""

    def __init__(
        self, load: Load, ws: WebSocket, payload: bytes | str, start: float, position: int
    ) -> None:
        self._load = load
        self._ws = ws
        self._payload = payload
        self._most = load.plan.in_flight
        self._sent: deque[float] = deque()  # when those on their way were due
        self._has_room = asyncio.Event()
        self._interval: float | None = None
        if load.plan.rate is not None:
            self._interval = load.opened / load.plan.rate
            self._due = start + position / load.plan.rate

    @property
    def unanswered(self) -> int:
        """How many messages are on their way."""
        return len(self._sent)

    def count_unsent(self, now: float) -> int:
        """Return how many messages are due and have not been sent."""
        if self._interval is None or now < self._due:
            return 0
        return int((now - self._due) / self._interval) + 1

    async def run(self) -> None:
        """Send and receive until the connection is lost, or this is cancelled."""
        try:
            if self._interval is None:
                await self._send_on_answer()
                return
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._send_when_due(self._interval))
                await self._receive()
        except* ConnectionClosed:
            self._load.errors[describe_close(await end_of(self._ws))] += 1

    async def _send_on_answer(self) -> None:
        ws, payload = self._ws, self._payload
        for _ in range(self._most):
            self._sent.append(perf_counter())
            await ws.send(payload)
        while True:
            if self._take(await ws.recv()):
                self._sent.append(perf_counter())
                await ws.send(payload)

    async def _send_when_due(self, interval: float) -> None:
        while True:
            await _sleep_until(self._due)
            if len(self._sent) >= self._most:
                self._has_room.clear()
                await self._has_room.wait()
            self._sent.append(self._due)
            self._due += interval
            await self._ws.send(self._payload)

    async def _receive(self) -> None:
        while True:
            if self._take(await self._ws.recv()):
                self._has_room.set()

    def _take(self, message: str | bytes) -> bool:
        """Note what has come; tell if it is an echo."""
        if message == self._payload and self._sent:
            self._load.latencies.add(perf_counter() - self._sent.popleft())
            return True
        self._load.errors["a message that is no echo"] += 1
        return False


async def _sleep_until(due: float) -> None:
    if (rest := due - perf_counter()) > _SHORT:
        await asyncio.sleep(rest - _SHORT)
    while perf_counter() < due:  # noqa: ASYNC110 - the loop's own timers come too late
        await asyncio.sleep(0)
