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
from .run import ELSEWHERE, INFO, NO_RUN, REPLICA, Run

__all__ = ["Subscriptions"]

_AT_ONCE: Final = 1000  # channels in one command

_MARK: Final = b"answered"
_MARKED: Final = pack(("PING", _MARK))  # what is answered with the mark

Futures = list[asyncio.Future[None]]


class Subscriptions:
    """The owner of the link that publications come on."""

    def __init__(
        self,
        on_link: Callable[[str | None], None],
        on_elsewhere: Callable[[str], None],
        on_message: Callable[[str, bytes], None],
        on_restored: Callable[[str], None],
    ) -> None:
        """``on_message`` is called with a topic and what was published.

        ``on_restored`` is called with a topic that is subscribed to again.
        ``on_link`` is called with None when all topics are subscribed to, and why when the link is
        not there any more; ``on_elsewhere`` when a topic cannot be subscribed to at this server,
        with what it says of that.
        """
        self._loop = asyncio.get_running_loop()
        self._on_link = on_link
        self._on_elsewhere = on_elsewhere
        self._on_message = on_message
        self._on_restored = on_restored
        self._connection: Connection | None = None
        self.run = NO_RUN
        """That there is a connection to, or was last."""
        self._topics: dict[bytes, str] = {}  # by channel
        self._lost: set[bytes] = set()  # of those, which this server has given up or refused
        self._asked: deque[_Asked] = deque()  # what is not answered yet, in this order
        self._futures: defaultdict[bytes, Futures] = defaultdict(list)  # who waits for a connection
        self._to_confirm = 0  # topics, before all are subscribed to again
        self._is_linked = False

    # What the link tells

    greeting = (INFO,)

    def check(self, replies: list[Any]) -> None:
        if Run.parse(replies[0]).is_replica:  # which gets what is published late, or not at all
            raise ConnectionError(REPLICA)

    def linked(self, connection: Connection, replies: list[Any]) -> None:
        self._connection = connection
        self.run = Run.parse(replies[0])
        connection.on_replies = self._replied
        connection.on_silence = self._ping
        self._lost.clear()
        self._to_confirm = len(self._topics)
        # Channels of different slots cannot stand in one command to a server that looks at them.
        at_once = 1 if self.run.is_sharded else _AT_ONCE
        channels = iter(self._topics)
        while some := tuple(islice(channels, at_once)):
            connection.write(pack((self.run.subscribe, *some)))
            self._asked.extend(_Asked(channel, [], is_again=True) for channel in some)
        if not self._to_confirm:
            self._all_confirmed()

    def unlinked(self, why: str) -> None:
        self._connection = None
        for asked in self._asked:
            if asked.futures:
                self._futures[asked.channel] += asked.futures
        self._asked.clear()
        if self._is_linked:
            self._is_linked = False
            self._on_link(why)

    def abort(self, why: str) -> None:
        """End the connection: all topics will be subscribed to again on another."""
        if self._connection is not None:
            self._connection.abort(why)

    def _all_confirmed(self) -> None:
        self._is_linked = True
        self._on_link(None)

    def confirm(self) -> None:
        """All topics are subscribed to again, and who had subscribed before has been told."""
        for channel in self._futures.keys() - self._lost:
            for future in self._futures.pop(channel):
                finish(future, None)

    # Subscribing

    def subscribe(
        self, topic: str, channel: bytes, futures: Futures, *, is_again: bool = False
    ) -> None:
        """Subscribe; ``futures`` are done when that is confirmed, on whatever connection.

        With ``is_again`` they do not fail: it is tried until it is.
        """
        self._topics[channel] = topic
        self._lost.discard(channel)
        if self._connection is None:
            self._futures[channel] += futures
        else:
            self._asked.append(_Asked(channel, futures, is_again))
            self._connection.write(pack((self.run.subscribe, channel)))

    def unsubscribe(self, channel: bytes) -> None:
        """Unsubscribe, if there is a subscription; who waits for it does so no longer."""
        if channel in self._topics:
            self._unsubscribe(channel)
        for future in self._take_futures(channel):
            finish(future, None)

    def give_up(self, channel: bytes) -> Futures:
        """Leave a subscription to another server; return who waits for it."""
        if self.run.is_sharded:  # then Redis does it
            del self._topics[channel]
            self._lost.discard(channel)
        else:
            self._unsubscribe(channel)
        return self._take_futures(channel)

    def _unsubscribe(self, channel: bytes) -> None:
        del self._topics[channel]
        self._lost.discard(channel)
        if self._connection is None:
            return
        self._connection.write(pack((self.run.unsubscribe, channel)))
        if self.run.is_sharded:
            # It may be refused, as can be what stands before and behind it.
            self._mark(self._connection, channel)

    def _mark(self, connection: Connection, channel: bytes) -> None:
        connection.write(_MARKED)
        self._asked.append(_Asked(channel, None, is_again=False))

    def _take_futures(self, channel: bytes) -> Futures:
        futures = self._futures.pop(channel, [])
        for asked in self._asked:
            if asked.channel == channel and asked.futures:
                futures += asked.futures
                asked.futures = []
        return futures

    def has_lost(self, channel: bytes) -> bool:
        """Tell if this server has given up a subscription, or refused it."""
        return channel in self._lost

    def close(self, why: str) -> None:
        """Forget all topics, and let what is not confirmed fail."""
        self._is_linked = False
        self._topics.clear()
        waiting = chain(self._futures.values(), (asked.futures or [] for asked in self._asked))
        for future in chain.from_iterable(waiting):
            fail(future, why)
        self._futures.clear()
        self._asked.clear()

    # Replies

    def _replied(self, replies: list[Any]) -> None:
        for reply in replies:
            self._take(reply)

    def _take(self, reply: Any) -> None:
        if type(reply) is list and len(reply) == 3 and type(reply[1]) is bytes:
            kind, channel, data = reply
            if kind == b"message" or kind == b"smessage":
                topic = self._topics.get(channel)
                if topic is not None:  # else it was on its way when this process unsubscribed
                    self._on_message(topic, data)
            elif kind == b"subscribe" or kind == b"ssubscribe":
                self._subscribed()
            elif kind == b"sunsubscribe":
                self._unsubscribed(channel)
        elif reply == [b"pong", _MARK] or reply == _MARK:
            if self._asked and self._asked[0].futures is None:
                self._asked.popleft()
        elif isinstance(reply, hiredis.ReplyError):
            self._refused(str(reply))

    def _subscribed(self) -> None:
        if self._asked and self._asked[0].futures is not None:
            asked = self._asked.popleft()
            if asked.is_again and asked.channel in self._topics:
                self._on_restored(self._topics[asked.channel])
            for future in asked.futures or ():
                finish(future, None)
            self._count()

    def _count(self) -> None:
        if self._to_confirm:
            self._to_confirm -= 1
            if not self._to_confirm:
                self._all_confirmed()

    def _unsubscribed(self, channel: bytes) -> None:
        """A channel is unsubscribed from: this process has asked for it, or its slot is gone."""
        if channel in self._topics and all(asked.channel != channel for asked in self._asked):
            self._lose(channel, "it was on a slot that is another's")

    def _refused(self, why: str) -> None:
        asked = self._asked[0] if self._asked else None
        if asked is not None and asked.futures is None:
            # There is nothing to unsubscribe from any more; or not even a ping is answered, as by
            # a server that cannot save.
            if not why.startswith(ELSEWHERE):
                self._asked.popleft()
        elif asked is not None and why.startswith(ELSEWHERE):
            self._asked.popleft()
            if asked.channel in self._topics:
                self._futures[asked.channel] += asked.futures or []
                self._lose(asked.channel, why)
            self._count()
        elif asked is not None and not asked.is_again:
            self._asked.popleft()
            for future in asked.futures or ():
                fail(future, why)
        elif self._connection is not None:
            self._connection.abort(f"cannot subscribe: {why}")

    def _lose(self, channel: bytes, why: str) -> None:
        self._lost.add(channel)
        self._on_elsewhere(why)

    def _ping(self) -> None:
        if self._connection is not None:
            self._mark(self._connection, b"")


class _Asked:
    """A channel, and who waits for the subscription; None for a mark.

    A mark stands behind what unsubscribes from the channel, or is a ping, of none.
    """

    __slots__ = ("channel", "futures", "is_again")

    def __init__(self, channel: bytes, futures: Futures | None, is_again: bool) -> None:
        self.channel = channel
        self.futures = futures
        self.is_again = is_again
