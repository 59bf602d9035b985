"""The topics that a process has subscribed to, on one connection after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ..futures import fail, finish
from .command import Again
from .commands import Commands
from .protocol import DONE, SUBSCRIBE, UNSUBSCRIBE, Fields, frame_of, short

__all__ = ["Subscriptions"]


class Subscriptions:
    """Subscribes over ``commands``; calls ``on_restored`` with a topic subscribed to again.

    ``topics`` has their names by the bytes of them, ``lost`` those that are not restored yet: what
    comes on them may lack what came before.
    """

    def __init__(self, commands: Commands, on_restored: Callable[[str], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._commands = commands
        self._on_restored = on_restored
        self._closed: str | None = None
        self.topics: dict[bytes, str] = {}
        self.lost: set[bytes] = set()
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
        self.lost.discard(name)
        if self._commands.is_linked:
            self._commands.ask_now(frame_of(UNSUBSCRIBE, short(name)))
        _done(self._futures.pop(name, []))

    def restore(self) -> None:
        """Subscribe to all topics on a new connection."""
        self.lost.update(self.topics)
        for name in self.topics:
            self._subscribe(name, self._futures.pop(name, []))

    def close(self, why: str) -> None:
        """Forget all topics, and let what is not confirmed fail."""
        self._closed = why
        self.topics.clear()
        self.lost.clear()
        for futures in self._futures.values():
            for future in futures:
                fail(future, why)
        self._futures.clear()

    def _subscribe(self, name: bytes, futures: list[asyncio.Future[None]]) -> None:
        if self._closed is not None:
            for future in futures:
                fail(future, self._closed)
        elif self._commands.is_linked:
            self._commands.send_now(_Subscribe(self, name, futures))
        else:
            self._futures.setdefault(name, []).extend(futures)

    def confirmed(self, name: bytes, futures: list[asyncio.Future[None]]) -> None:
        """A topic is subscribed to."""
        if name in self.lost:
            self.lost.discard(name)
            self._on_restored(self.topics[name])
        _done(futures)

    def failed(self, name: bytes, futures: list[asyncio.Future[None]]) -> None:
        """It may not be: the connection is over."""
        if name not in self.topics and self._closed is None:
            _done(futures)
        else:
            self._subscribe(name, futures)


class _Subscribe:
    """A :class:`Command`, whose end is told at once, before anything that comes after it."""

    __slots__ = ("_futures", "_name", "_owner", "run")

    again = Again.NEVER
    answer = DONE

    def __init__(
        self, owner: Subscriptions, name: bytes, futures: list[asyncio.Future[None]]
    ) -> None:
        self._owner = owner
        self._name = name
        self._futures = futures
        self.run = b""

    def pack(self) -> bytes:
        return frame_of(SUBSCRIBE, short(self._name))

    def convert(self, fields: Fields, /) -> None:
        return None

    def finish(self, result: None, /) -> None:
        self._owner.confirmed(self._name, self._futures)

    def fail(self, why: str, /) -> None:
        self._owner.failed(self._name, self._futures)


def _done(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        finish(future, None)
