"""Who has subscribed to what: between a server's connections and its broker.

Law: when a connection is gone, nothing of it is left in here. What comes on a topic is the matter
of intake.py, what is sent for it of delivery.py, and publishing.py is the way out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ..exceptions import InvalidState, TopicRefused
from ..pubsub.broker import Broker, Missed
from ..pubsub.futures import Tasks, has_succeeded
from ..pubsub.publication import Position
from ..pubsub.topic import Topic, check_key, check_topic
from .audiences import Audiences, LocalAudience
from .delivery import Delivery
from .intake import Intake
from .log import Log
from .publishing import Publisher

if TYPE_CHECKING:
    from .protocol import ProtocolCore
    from .websocket import WebSocket

__all__ = ["Subscription", "TopicStats", "Topics"]


class Subscription(NamedTuple):
    """What ``subscribe`` has come to."""

    topic: str
    position: Position | None
    """Where the topic's history stood: all from there on will be sent. None without a history."""
    recovered: bool | None
    """With ``since``: True if all that was missed has been sent, False if not all of it is kept or
    it is too much: then nothing of it has been sent, or with ``last`` the end. None without."""


class TopicStats(NamedTuple):
    """Numbers of a server's topics: three of now, the others since it started."""

    topics: int
    """Topics with subscribers in this process now."""
    subscriptions: int
    """Subscriptions now."""
    is_broker_up: bool
    """Whether all of the broker is there now; else topics may stand still, and publishing wait."""
    published: int
    """Messages published in this process."""
    received: int
    """Publications that came from the broker, those of this process included."""
    dropped: int
    """Messages that slow subscribers have not been sent."""
    closed: int
    """Slow subscribers closed with 1013."""
    duplicates: int
    """Publications that came once more, and were dropped."""
    gaps: int
    """Times that subscribers of a topic may have missed something."""
    refused: int
    """What came from the broker and was no publication, or came too fast."""


class Topics:
    """The topics of one server.

    ``audiences`` has those that somebody in this process has subscribed to, ``publisher``
    publishes.
    """

    def __init__(
        self,
        topics: Sequence[Topic],
        broker: Broker,
        max_topics: int | None,
        max_subscriptions: int | None,
        log: Log,
    ) -> None:
        self._broker = broker
        self._max_topics = max_topics
        self._max_subscriptions = max_subscriptions
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks()
        self.audiences = Audiences(topics)
        self._delivery = Delivery(self.audiences, log)
        self._intake = Intake(self.audiences, broker, self._delivery, log, self._tasks)
        self.publisher = Publisher(self.audiences, broker, self._delivery)
        self._pending: dict[tuple[ProtocolCore, str], asyncio.Task[Subscription]] = {}

    async def start(self) -> None:
        """Connect to the broker; raises BrokerError."""
        await self._broker.start(self._intake)

    async def close(self) -> None:
        """Leave the broker; nothing is delivered any more."""
        self._tasks.cancel()
        await self._broker.close()
        await self._tasks.wait()

    # Subscribing

    def subscribe(
        self,
        ws: WebSocket,
        name: str,
        since: Position | str | None,
        last: int,
        member: str | None,
    ) -> asyncio.Future[Subscription]:
        """See ``WebSocket.subscribe``."""
        protocol = ws._protocol
        protocol.sender.check_thread()
        options = self.audiences.options(name)
        if member is not None:
            check_key("member", member)
        if isinstance(since, str):
            since = _position_of(since)
        elif since is not None and not isinstance(since, Position):
            raise TypeError(f"since must be a Position or a str, not {type(since).__name__}")
        if last < 0:
            raise ValueError("last must be a number of messages, or 0")
        protocol.connection.check_open()
        mine = {} if protocol.audiences is None else protocol.audiences
        if name in mine:
            raise TopicRefused(f"subscribed to {name} already")
        if self._max_subscriptions is not None and len(mine) >= self._max_subscriptions:
            raise TopicRefused(f"a connection may have {self._max_subscriptions} subscriptions")
        audience = self.audiences.by_name.get(name)
        reads = since is not None or last > 0
        if reads and options.retention is None:
            raise InvalidState(f"{name} has no history: a Topic with history has one")
        if member is not None and not options.presence:
            raise InvalidState(f"{name} has no members: a Topic with presence has them")
        if audience is None:
            if self._max_topics is not None and len(self.audiences) >= self._max_topics:
                raise TopicRefused(f"a process may have {self._max_topics} topics")
            audience = self._intake.begin(name, options)
        protocol.audiences = mine
        mine[name] = audience
        self.audiences.websockets[protocol] = ws
        if reads:
            audience.begin_join(protocol)
        else:
            audience.add(protocol)
        if member is not None:
            audience.members[protocol] = member
            self._broker.enter(name, ws.id.hex, member)
            if protocol.audiences is None or protocol.audiences.get(name) is not audience:
                raise InvalidState(f"unsubscribed from {name} meanwhile")  # by who was told of it
        done = self._subscribed(audience, protocol, since, last)
        if options.on_subscribe is not None:
            self._delivery.call(options.on_subscribe, ws, name)
        return done

    def _subscribed(
        self, audience: LocalAudience, protocol: ProtocolCore, since: Position | None, last: int
    ) -> asyncio.Future[Subscription]:
        """Return what tells when all is seen, and sent that was missed: at once, if it can be."""
        name, retention = audience.name, audience.options.retention
        read: asyncio.Future[Missed] | None = None
        subscription: Subscription | None = None
        if has_succeeded(audience.confirmed):
            if since is None and not last:
                subscription = Subscription(name, audience.position, None)
            elif since is not None and not last:
                assert retention is not None
                read = self._broker.read(name, since, retention)
                if has_succeeded(read):
                    subscription = self._join(audience, protocol, *_recovered(read.result()))
        if subscription is not None:
            done: asyncio.Future[Subscription] = self._loop.create_future()
            done.set_result(subscription)
            return done
        run = self._subscribe(audience, protocol, since, last, audience.position, read)
        task = self._pending[protocol, name] = self._tasks.start(run)
        # Not at the end of the coroutine: one that is cancelled at once never begins.
        task.add_done_callback(lambda task: self._end_subscribing(protocol, name, task))
        return task

    async def _subscribe(
        self,
        audience: LocalAudience,
        protocol: ProtocolCore,
        since: Position | None,
        last: int,
        position: Position | None,
        read: asyncio.Future[Missed] | None,
    ) -> Subscription:
        name = audience.name
        if read is None:
            await asyncio.wait([audience.confirmed])  # others wait for it too: not to be cancelled
            audience.confirmed.result()
        found: tuple[Missed, bool | None] | None = None
        if read is not None:
            found = _recovered(await read)
        elif since is not None or last:
            found = await self._read(audience, since, last)
        self._check_subscribing(protocol, name)
        if found is None:
            return Subscription(name, position or audience.start, None)
        # In another epoch than the others, who do not know of it yet, or not in the one they know.
        while audience.reading is not None and not audience.is_in_epoch_of(found[0].position):
            await asyncio.wait([audience.reading])
            found = await self._read(audience, since, last)
            self._check_subscribing(protocol, name)
        return self._join(audience, protocol, *found)

    def _check_subscribing(self, protocol: ProtocolCore, name: str) -> None:
        protocol.connection.check_open()
        if self._pending.get((protocol, name)) is not asyncio.current_task():
            raise InvalidState(f"unsubscribed from {name} meanwhile")

    async def _read(
        self, audience: LocalAudience, since: Position | None, last: int
    ) -> tuple[Missed, bool | None]:
        """Read what came after ``since``, else the last messages; tell if that was recovered."""
        assert audience.options.retention is not None
        read = partial(self._broker.read, audience.name, retention=audience.options.retention)
        if since is not None:
            missed = await read(since=since)
            if missed.publications is not None or not last:
                return _recovered(missed)
        newest = (await read(since=None)).position
        while True:
            missed = await read(since=Position(newest.epoch, max(newest.offset - last, 0)))
            if missed.publications is not None or not last:
                return missed, None if since is None else False
            last //= 2  # not so many are kept: they have become too old

    def _end_subscribing(
        self, protocol: ProtocolCore, name: str, task: asyncio.Task[Subscription]
    ) -> None:
        if self._pending.get((protocol, name)) is task:
            del self._pending[protocol, name]
            if not has_succeeded(task):
                self.unsubscribe(protocol, name)

    def _join(
        self,
        audience: LocalAudience,
        protocol: ProtocolCore,
        missed: Missed,
        recovered: bool | None,
    ) -> Subscription:
        """Let a connection have all that was read, or nothing of it, and then what comes."""
        publications, position = audience.join(protocol, missed)
        is_all = publications is not None and self._delivery.catch_up(
            protocol, audience, publications
        )
        return Subscription(audience.name, position, recovered and is_all)

    def unsubscribe(self, protocol: ProtocolCore, name: str) -> None:
        """See ``WebSocket.unsubscribe``."""
        protocol.sender.check_thread()
        mine = protocol.audiences
        audience = None if mine is None else mine.pop(name, None)
        if audience is None:
            return
        ws = self.audiences.websockets[protocol]
        if not mine:
            protocol.audiences = None
            self._forget(protocol, ws)
        self._leave(audience, protocol, ws)
        self._tell_unsubscribed(audience, ws)

    def drop(self, protocol: ProtocolCore, ws: WebSocket) -> None:
        """The connection is gone."""
        mine, protocol.audiences = protocol.audiences, None
        if mine is None:
            return
        for audience in mine.values():
            self._leave(audience, protocol, ws)
        self._forget(protocol, ws)
        for audience in mine.values():
            self._tell_unsubscribed(audience, ws)

    def _forget(self, protocol: ProtocolCore, ws: WebSocket) -> None:
        del self.audiences.websockets[protocol]
        self._delivery.forget(ws)

    def _leave(self, audience: LocalAudience, protocol: ProtocolCore, ws: WebSocket) -> None:
        name = audience.name
        self._pending.pop((protocol, name), None)
        audience.remove(protocol)
        if audience.members.pop(protocol, None) is not None:
            self._broker.leave(name, ws.id.hex)
        if not len(audience):
            self._intake.end(audience)

    def _tell_unsubscribed(self, audience: LocalAudience, ws: WebSocket) -> None:
        on_unsubscribe = audience.options.on_unsubscribe
        if on_unsubscribe is not None:
            self._delivery.call(on_unsubscribe, ws, audience.name)

    # What it is

    def members(self, name: str) -> asyncio.Future[dict[str, str]]:
        """See ``Server.members``."""
        check_topic(name)
        return self._broker.members(name)

    def stats(self, audiences: Collection[LocalAudience] | None = None) -> TopicStats:
        """Return the numbers, those of topics with subscribers for ``audiences`` only, if given."""
        if audiences is None:
            audiences = self.audiences.by_name.values()
        delivery, intake = self._delivery, self._intake
        return TopicStats(
            len(audiences),
            sum(map(len, audiences)),
            intake.is_broker_up,
            self.publisher.published,
            intake.received,
            delivery.dropped,
            delivery.closed,
            intake.duplicates + sum(each.duplicates for each in audiences),
            intake.gaps,
            intake.refused + sum(each.held.refused for each in audiences),
        )


def _recovered(missed: Missed) -> tuple[Missed, bool]:
    return missed, missed.publications is not None


def _position_of(text: str) -> Position:
    """Return what a client says where it left off; if it is no position, one of no epoch."""
    try:
        return Position.parse(text)
    except ValueError:
        return Position("", 0)
