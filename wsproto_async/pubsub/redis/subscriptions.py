"""The subscriptions of a process, and what comes on them, over a link."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from itertools import chain, islice
from typing import Any, Final

import hiredis

from ..futures import fail, finish
from .call import pack
from .connection import Connection

__all__ = ["Subscriptions"]

_AT_ONCE: Final = 1000  # channels in one command

_PING: Final = pack(("PING",))


class Subscriptions:
    """The owner of the link that publications come on."""

    def __init__(
        self,
        on_link: Callable[[str | None], None],
        on_message: Callable[[str, bytes], None],
    ) -> None:
        """``on_message`` is called with a topic and what was published.

        ``on_link`` is called with None when all topics are subscribed to, and why when the link is
        not there any more.
        """
        self._loop = asyncio.get_running_loop()
        self._on_link = on_link
        self._on_message = on_message
        self._connection: Connection | None = None
        self._topics: dict[bytes, str] = {}  # by channel
        # What Redis has still to confirm, in this order, and what was not when a connection ended.
        self._futures: deque[tuple[bytes, asyncio.Future[None]]] = deque()
        self._old_futures: defaultdict[bytes, list[asyncio.Future[None]]] = defaultdict(list)
        self._to_confirm = 0  # topics, before all are subscribed to again
        self._is_linked = False

    # What the link tells

    greeting = (("PING",),)

    def check(self, replies: list[Any]) -> None:
        pass

    def linked(self, connection: Connection, replies: list[Any]) -> None:
        self._connection = connection
        connection.on_reply = self._replied
        connection.on_silence = self._ping
        self._to_confirm = len(self._topics)
        channels = iter(self._topics)
        while some := tuple(islice(channels, _AT_ONCE)):
            connection.write(pack(("SUBSCRIBE", *some)))
        if not self._to_confirm:
            self._all_confirmed()

    def unlinked(self, why: str) -> None:
        self._connection = None
        for channel, future in self._futures:
            self._old_futures[channel].append(future)
        self._futures.clear()
        if self._is_linked:
            self._is_linked = False
            self._on_link(why)

    def _all_confirmed(self) -> None:
        self._is_linked = True
        self._on_link(None)

    def confirm(self) -> None:
        """All topics are subscribed to again, and who had subscribed before has been told."""
        for future in chain.from_iterable(self._old_futures.values()):
            finish(future, None)
        self._old_futures.clear()

    # Subscribing

    def subscribe(self, topic: str, channel: bytes) -> asyncio.Future[None]:
        """Subscribe; done when that is confirmed, which may be on another connection."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._topics[channel] = topic
        if self._connection is None:
            self._old_futures[channel].append(future)
        else:
            self._futures.append((channel, future))
            self._connection.write(pack(("SUBSCRIBE", channel)))
        return future

    def unsubscribe(self, channel: bytes) -> None:
        """Unsubscribe, if there is a subscription."""
        if self._topics.pop(channel, None) is not None and self._connection is not None:
            self._connection.write(pack(("UNSUBSCRIBE", channel)))
        for future in self._old_futures.pop(channel, ()):
            finish(future, None)

    def close(self, why: str) -> None:
        """Forget all topics, and let what is not confirmed fail."""
        self._is_linked = False
        self._topics.clear()
        for future in chain.from_iterable(self._old_futures.values()):
            fail(future, why)
        for _, future in self._futures:
            fail(future, why)
        self._old_futures.clear()
        self._futures.clear()

    # Replies

    def _replied(self, reply: Any) -> None:
        if type(reply) is list and len(reply) == 3:
            kind, channel, data = reply
            if kind == b"message":
                topic = self._topics.get(channel)
                if topic is not None:  # else it was on its way when this process unsubscribed
                    self._on_message(topic, data)
            elif kind == b"subscribe":
                self._subscribed()
        elif isinstance(reply, hiredis.ReplyError):
            self._refused(str(reply))

    def _subscribed(self) -> None:
        if self._to_confirm:
            self._to_confirm -= 1
            if not self._to_confirm:
                self._all_confirmed()
        elif self._futures:
            finish(self._futures.popleft()[1], None)

    def _refused(self, why: str) -> None:
        if self._is_linked and self._futures:
            fail(self._futures.popleft()[1], why)
        elif self._connection is not None:
            self._connection.abort(f"cannot subscribe: {why}")

    def _ping(self) -> None:
        if self._connection is not None:
            self._connection.write(_PING)
