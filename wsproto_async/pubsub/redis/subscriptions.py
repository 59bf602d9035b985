"""The subscriptions of a process at a server, and what comes on them, over a link."""

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
from .run import ELSEWHERE, INFO, Run

__all__ = ["Subscriptions"]

_AT_ONCE: Final = 1000  # channels in one command

_PING: Final = pack(("PING",))

Futures = list[asyncio.Future[None]]


class Subscriptions:
    """The owner of the link that publications come on."""

    def __init__(
        self,
        on_link: Callable[[str | None], None],
        on_elsewhere: Callable[[], None],
        on_message: Callable[[str, bytes], None],
    ) -> None:
        """``on_message`` is called with a topic and what was published.

        ``on_link`` is called with None when all topics are subscribed to, and why when the link is
        not there any more; ``on_elsewhere`` when a topic cannot be subscribed to at this server.
        """
        self._loop = asyncio.get_running_loop()
        self._on_link = on_link
        self._on_elsewhere = on_elsewhere
        self._on_message = on_message
        self._connection: Connection | None = None
        self._topics: dict[bytes, str] = {}  # by channel
        self._lost: set[bytes] = set()  # of those, which this server has given up or refused
        # What Redis has still to confirm, in this order, and who waits for that.
        self._asked: deque[tuple[bytes, Futures]] = deque()
        self._futures: defaultdict[bytes, Futures] = defaultdict(list)  # who waits for a connection
        self._to_confirm = 0  # topics, before all are subscribed to again
        self._is_linked = False

    # What the link tells

    greeting = (INFO,)

    def check(self, replies: list[Any]) -> None:
        Run.parse(replies[0])

    def linked(self, connection: Connection, replies: list[Any]) -> None:
        self._connection = connection
        self._run = Run.parse(replies[0])
        connection.on_reply = self._replied
        connection.on_silence = self._ping
        self._lost.clear()
        self._to_confirm = len(self._topics)
        # Channels of different slots cannot stand in one command to a server that looks at them.
        at_once = 1 if self._run.is_sharded else _AT_ONCE
        channels = iter(self._topics)
        while some := tuple(islice(channels, at_once)):
            connection.write(pack((self._run.subscribe, *some)))
            self._asked.extend((channel, []) for channel in some)
        if not self._to_confirm:
            self._all_confirmed()

    def unlinked(self, why: str) -> None:
        self._connection = None
        for channel, futures in self._asked:
            self._futures[channel] += futures
        self._asked.clear()
        if self._is_linked:
            self._is_linked = False
            self._on_link(why)

    def _all_confirmed(self) -> None:
        self._is_linked = True
        self._on_link(None)

    def confirm(self) -> None:
        """All topics are subscribed to again, and who had subscribed before has been told."""
        for channel in self._futures.keys() - self._lost:
            for future in self._futures.pop(channel):
                finish(future, None)

    # Subscribing

    def subscribe(self, topic: str, channel: bytes, futures: Futures) -> None:
        """Subscribe; ``futures`` are done when that is confirmed, on whatever connection."""
        self._topics[channel] = topic
        self._lost.discard(channel)
        if self._connection is None:
            self._futures[channel] += futures
        else:
            self._asked.append((channel, futures))
            self._connection.write(pack((self._run.subscribe, channel)))

    def unsubscribe(self, channel: bytes) -> None:
        """Unsubscribe, if there is a subscription."""
        self._lost.discard(channel)
        if self._topics.pop(channel, None) is not None:
            self._unsubscribe(channel)
        for future in self._futures.pop(channel, ()):
            finish(future, None)

    def give_up(self, channel: bytes) -> Futures:
        """Leave a subscription to another server; return who waits for it."""
        self._lost.discard(channel)
        del self._topics[channel]
        if self._connection is not None and not self._run.is_sharded:  # else Redis does it
            self._unsubscribe(channel)
        waiting = self._futures.pop(channel, [])
        for asked, futures in self._asked:
            if asked == channel:
                waiting += futures
                futures.clear()
        return waiting

    def _unsubscribe(self, channel: bytes) -> None:
        if self._connection is not None:
            self._connection.write(pack((self._run.unsubscribe, channel)))

    def has_lost(self, channel: bytes) -> bool:
        """Tell if this server has given up a subscription, or refused it."""
        return channel in self._lost

    def close(self, why: str) -> None:
        """Forget all topics, and let what is not confirmed fail."""
        self._is_linked = False
        self._topics.clear()
        for future in chain.from_iterable((*self._futures.values(), *(f for _, f in self._asked))):
            fail(future, why)
        self._futures.clear()
        self._asked.clear()

    # Replies

    def _replied(self, reply: Any) -> None:
        if type(reply) is list and len(reply) == 3:
            kind, channel, data = reply
            if kind == b"message" or kind == b"smessage":
                topic = self._topics.get(channel)
                if topic is not None:  # else it was on its way when this process unsubscribed
                    self._on_message(topic, data)
            elif kind == b"subscribe" or kind == b"ssubscribe":
                self._subscribed()
            elif kind == b"sunsubscribe" and channel in self._topics:
                self._lose(channel)
        elif isinstance(reply, hiredis.ReplyError):
            self._refused(str(reply))

    def _subscribed(self) -> None:
        if not self._asked:
            return
        _, futures = self._asked.popleft()
        for future in futures:
            finish(future, None)
        self._count()

    def _count(self) -> None:
        if self._to_confirm:
            self._to_confirm -= 1
            if not self._to_confirm:
                self._all_confirmed()

    def _refused(self, why: str) -> None:
        if why.startswith(ELSEWHERE):
            if not self._asked:
                return  # it is to be unsubscribed from, and is already
            channel, futures = self._asked.popleft()
            self._futures[channel] += futures
            self._lose(channel)
            self._count()
        elif self._asked and self._is_linked:
            for future in self._asked.popleft()[1]:
                fail(future, why)
        elif self._connection is not None:
            self._connection.abort(f"cannot subscribe: {why}")

    def _lose(self, channel: bytes) -> None:
        self._lost.add(channel)
        self._on_elsewhere()

    def _ping(self) -> None:
        if self._connection is not None:
            self._connection.write(_PING)
