"""The topics that a process has subscribed to, on one connection after another."""

from __future__ import annotations

import asyncio
from functools import partial

from ..futures import fail, finish
from .commands import Commands
from .protocol import SUBSCRIBE, UNSUBSCRIBE, frame_of, short

__all__ = ["Subscriptions"]


class Subscriptions:
    """Subscribes over ``commands``; ``topics`` has their names by the bytes of them."""

    def __init__(self, commands: Commands) -> None:
        self._loop = asyncio.get_running_loop()
        self._commands = commands
        self._closed: str | None = None
        self.topics: dict[bytes, str] = {}
        # Those that are not under way on a connection.
        self._futures: dict[bytes, list[asyncio.Future[None]]] = {}

    def subscribe(self, topic: str) -> asyncio.Future[None]:
        """See ``Broker``."""
        future: asyncio.Future[None] = self._loop.create_future()
        name = topic.encode()
        self.topics[name] = topic
        self._subscribe(name, [future])
        return future

    def unsubscribe(self, topic: str) -> None:
        """See ``Broker``."""
        name = topic.encode()
        if self.topics.pop(name, None) is None:
            return
        if self._commands.is_linked:
            self._commands.ask_now(frame_of(UNSUBSCRIBE, short(name)))
        _done(self._futures.pop(name, []))

    def restore(self) -> None:
        """Subscribe to all topics on a new connection."""
        for name in self.topics:
            self._subscribe(name, self._futures.pop(name, []))

    def close(self, why: str) -> None:
        """Forget all topics, and let what is not confirmed fail."""
        self._closed = why
        self.topics.clear()
        for futures in self._futures.values():
            for future in futures:
                fail(future, why)
        self._futures.clear()

    def _subscribe(self, name: bytes, futures: list[asyncio.Future[None]]) -> None:
        if self._closed is not None:
            for future in futures:
                fail(future, self._closed)
        elif self._commands.is_linked:
            confirmed = self._commands.ask_now(frame_of(SUBSCRIBE, short(name)))
            confirmed.add_done_callback(partial(self._confirmed, name, futures))
        else:
            self._futures.setdefault(name, []).extend(futures)

    def _confirmed(
        self, name: bytes, futures: list[asyncio.Future[None]], confirmed: asyncio.Future[None]
    ) -> None:
        if confirmed.exception() is None or (name not in self.topics and self._closed is None):
            _done(futures)
        else:
            self._subscribe(name, futures)


def _done(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        finish(future, None)
