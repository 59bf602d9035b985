"""What comes from the broker: each publication once and in order, or a gap is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final

from ..exceptions import BrokerError
from ..pubsub.broker import Broker, Missed
from ..pubsub.futures import Tasks, has_succeeded
from ..pubsub.publication import Publication
from ..pubsub.topic import Topic
from .audiences import Audiences, LocalAudience
from .delivery import Delivery
from .log import Log, one_line

__all__ = ["MAX_PENDING", "Intake"]

MAX_PENDING: Final = 2**26
"""Bytes that wait for their subscribers: 64 MiB."""

_AGAIN: Final = 1.0  # seconds until what could not be read is read again


class Intake:
    """The :class:`Receiver` of a server's broker.

    ``received`` counts publications, ``refused`` what is none or came too fast, ``gaps`` the times
    that subscribers of a topic may have missed something, ``duplicates`` what came once more.
    ``is_broker_up`` tells if all of the broker is there.
    """

    def __init__(
        self, audiences: Audiences, broker: Broker, delivery: Delivery, log: Log, tasks: Tasks
    ) -> None:
        self._audiences = audiences
        self._broker = broker
        self._delivery = delivery
        self._log = log
        self._tasks = tasks
        self.received = 0
        self.refused = 0
        self.gaps = 0
        self.duplicates = 0
        self.is_broker_up = True

    # Topics come and go

    def begin(self, name: str, options: Topic) -> LocalAudience:
        """Somebody is the first in this process who subscribes to a topic."""
        audience = LocalAudience(name, options, self._delivery.slow)
        audience.confirmed = self._broker.subscribe(name)
        self._audiences.by_name[name] = audience
        if options.retention is not None:
            read: asyncio.Future[Missed] | None = None
            if has_succeeded(audience.confirmed):
                audience.begin_reading()
                read = self._broker.read(name, None, options.retention)
                if has_succeeded(read):
                    self._caught_up(audience, read.result())
                    return audience
            audience.confirmed = self._tasks.start(self._open(audience, audience.confirmed, read))
        return audience

    async def _open(
        self, audience: LocalAudience, confirmed: Awaitable[None], read: Awaitable[Missed] | None
    ) -> None:
        """Find out where a topic with a history stands, now that all that comes is seen."""
        if read is None:
            await confirmed
            assert audience.options.retention is not None
            audience.begin_reading()
            read = self._broker.read(audience.name, None, audience.options.retention)
        self._caught_up(audience, await read)

    def end(self, audience: LocalAudience) -> None:
        """The last subscriber of a topic has left."""
        del self._audiences.by_name[audience.name]
        if audience.reading is not None:
            audience.reading.cancel()
        self._broker.unsubscribe(audience.name)
        self.duplicates += audience.duplicates
        self.refused += audience.held.refused

    # The receiver

    def publication_received(self, publication: Publication) -> None:
        self.received += 1
        audience = self._audiences.by_name.get(publication.topic)
        if audience is None:
            return  # the last subscriber has just left
        if self._delivery.fanout.pending > MAX_PENDING:
            self.refused += 1
            if audience.options.retention is None or publication.position is None:
                self._gap(audience)
            elif audience.is_reading:
                audience.has_dropped = True
            else:
                self._catch_up(audience, settles=True)
            return
        self._take(audience, publication)

    def publication_refused(self, why: str) -> None:
        self.refused += 1
        self._log.info("refused from the broker: %s", one_line(why))

    def subscription_restored(self, topic: str) -> None:
        audience = self._audiences.by_name.get(topic)
        if audience is None or not audience.confirmed.done():
            return  # nobody has been told that they would miss nothing
        audience.is_gap_told = False  # that was another one
        if audience.options.retention is None or audience.options.presence:
            self._gap(audience)  # joins and leaves are not kept
        if audience.options.retention is not None:
            self._catch_up(audience)

    def members_restored(self) -> None:
        for audience in tuple(self._audiences.by_name.values()):
            if audience.options.presence and self._is_here(audience):
                audience.is_gap_told = False
                self._gap(audience)

    # What it means for a topic is known when its subscription is restored.
    def connection_lost(self, why: str) -> None:
        self.is_broker_up = False

    def connection_made(self) -> None:
        self.is_broker_up = True

    # In order

    def _take(self, audience: LocalAudience, publication: Publication) -> None:
        is_next = audience.take(publication)
        if is_next:
            audience.is_gap_told = False
            self._delivery.deliver(audience, publication)
        elif is_next is None:
            self._catch_up(audience)

    def _catch_up(self, audience: LocalAudience, settles: bool = False) -> None:
        """Read what all subscribers have missed, with ``settles`` after what waits for them."""
        audience.begin_reading()
        if audience.reading is not None:
            audience.reading.cancel()
        audience.reading = self._tasks.start(self._read_missed(audience, settles))

    async def _read_missed(self, audience: LocalAudience, settles: bool) -> None:
        assert audience.options.retention is not None
        if settles:
            await self._delivery.fanout.settle()
        while self._is_here(audience):  # who was told of a gap may have unsubscribed
            audience.begin_reading()
            try:
                missed = await self._broker.read(
                    audience.name, audience.position, audience.options.retention
                )
            except BrokerError as exc:
                self._log.debug("topic %s: %s", one_line(audience.name), one_line(exc))
                await asyncio.sleep(_AGAIN)
                continue
            if not audience.begin_epoch(missed.position):
                audience.reading = None
                self._caught_up(audience, missed)
                return
            self._gap(audience)  # whatever was published last in the epoch before

    def _caught_up(self, audience: LocalAudience, missed: Missed) -> None:
        if not self._is_here(audience):
            return  # the last subscriber has left meanwhile
        publications, is_all = audience.caught_up(missed)
        if not is_all:
            self._gap(audience)
        for publication in publications:
            self._take(audience, publication)
        if audience.has_dropped:
            audience.has_dropped = False
            self._catch_up(audience, settles=True)

    def _gap(self, audience: LocalAudience) -> None:
        if audience.is_gap_told:
            return
        audience.is_gap_told = True
        self.gaps += 1
        self._log.info("messages may have been missed: topic %s", one_line(audience.name))
        if audience.options.on_gap is not None:
            websockets = self._audiences[audience.name]
            self._delivery.call(audience.options.on_gap, None, websockets, audience.name)

    def _is_here(self, audience: LocalAudience) -> bool:
        """Tell if it has subscribers, still."""
        return self._audiences.by_name.get(audience.name) is audience
