"""One connection: messages go out, their echoes come back, each one's time is taken.

In a closed loop it keeps so many messages on their way, and sends the next one when an echo comes:
a slow server is sent less. In an open loop messages are due at a rate, whatever the server does,
and their time begins when they are due: what a server makes others wait for counts.

What is due goes out when a timer of the event loop wakes the sender, a millisecond or two after:
waiting more exactly would take the core from the server, where both share a machine. So the time
of what became due while the sender slept begins when it woke, which no server can delay; of what
became due while the server took no more, when it was due.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from time import perf_counter
from typing import Final

from ...aio.websocket import WebSocket
from ...exceptions import ConnectionClosed
from ..ending import describe_close, end_of
from .load import Load

__all__ = ["NO_ECHO", "TICK", "Client"]

NO_ECHO: Final = "a message that is no echo"
TICK: Final = 0.001  # seconds: event loops round what is shorter, uvloop down to nothing


class Client:
    """One connection; of ``load.opened`` it is the one at ``position``."""

    def __init__(
        self, load: Load, ws: WebSocket, payload: bytes | str, start: float, position: int
    ) -> None:
        self._load = load
        self._ws = ws
        self._payload = payload
        self._sent: deque[float] = deque()  # when the time of those on their way began
        self._has_room = asyncio.Event()
        rate = load.plan.rate
        self._interval = load.opened / rate if rate else None
        self._due = start + position / rate if rate else start

    @property
    def on_their_way(self) -> int:
        """How many messages may still come back."""
        return len(self._sent)

    def count_unsent(self, now: float) -> int:
        """Return how many messages are due and have not been sent."""
        if self._interval is None or now < self._due:
            return 0
        return int((now - self._due) / self._interval) + 1

    async def run(self) -> None:
        """Send and receive until the connection is lost, or all has come back after ``stop``.

        Gives up what has not come back by then, or when this is cancelled.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                self._sending = tasks.create_task(self._send())
                self._receiving = tasks.create_task(self._receive())
        except* ConnectionClosed:
            self._give_up()
            self._load.errors[describe_close(await end_of(self._ws))] += 1
        finally:
            self._give_up()

    def stop(self) -> None:
        """Send no more, ``load.is_over``; what is on its way may still come back.

        Nothing will from who has never sent a message back, but other ones.
        """
        self._sending.cancel()
        if not self._load.returned and self._load.errors[NO_ECHO]:
            self._sent.clear()
        if not self._sent:
            self._receiving.cancel()

    async def _send(self) -> None:
        woke = 0.0
        with suppress(ConnectionClosed):  # who receives sees it too, after the last message
            while True:
                while (early := self._due - perf_counter()) > 0:
                    await asyncio.sleep(max(early, TICK))
                    woke = perf_counter()
                while len(self._sent) >= self._load.plan.in_flight:
                    self._has_room.clear()
                    await self._has_room.wait()
                began = perf_counter() if self._interval is None else max(self._due, woke)
                await self._ws.send(self._payload)  # from writing on, it does not wait
                self._sent.append(began)
                self._due += self._interval or 0.0

    async def _receive(self) -> None:
        while self._sent or not self._load.is_over:
            if await self._ws.recv() == self._payload and self._sent:
                self._load.take(perf_counter() - self._sent.popleft())
                self._has_room.set()
            else:
                self._load.errors[NO_ECHO] += 1

    def _give_up(self) -> None:
        now = perf_counter()
        while self._sent:
            self._load.give_up(now - self._sent.popleft())
