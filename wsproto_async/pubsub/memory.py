"""The broker of a server that shares its topics with nobody."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from .broker import Broker, Missed, Receiver, Retention, check_unused
from .history import Histories
from .publication import Kind, Position, Publication

__all__ = ["MemoryBroker"]

_T = TypeVar("_T")


class MemoryBroker(Broker):
    """Carries publications no further than this process, which is the default.

    All that it returns is done at once.
    """

    def __init__(self) -> None:
        self._receiver: Receiver | None = None
        self._topics: set[str] = set()
        self._histories = Histories(self._topics)
        self._members: dict[str, dict[str, str]] = {}

    async def start(self, receiver: Receiver) -> None:
        check_unused(self._receiver)
        self._receiver = receiver
        self._loop = asyncio.get_running_loop()

    async def close(self) -> None:
        self._receiver = None
        self._topics.clear()
        self._members.clear()

    def publish(
        self, publication: Publication, retention: Retention | None, idempotency_key: str
    ) -> asyncio.Future[Position | None]:
        topic = publication.topic
        now = self._loop.time() if retention is not None or idempotency_key else 0.0
        if idempotency_key:
            earlier = self._histories.published(topic, idempotency_key, now)
            if earlier is not None:
                return self._done(earlier[0])
        if retention is not None:
            publication = self._histories.append(publication, retention, now)
        if idempotency_key:
            self._histories.remember(topic, idempotency_key, publication.position, now)
        self._deliver(publication)
        return self._done(publication.position)

    def subscribe(self, topic: str) -> asyncio.Future[None]:
        self._topics.add(topic)
        return self._done(None)

    def unsubscribe(self, topic: str) -> None:
        self._topics.discard(topic)
        self._histories.release(topic)

    def read(
        self, topic: str, since: Position | None, retention: Retention
    ) -> asyncio.Future[Missed]:
        return self._done(self._histories.read(topic, since, self._loop.time()))

    def enter(self, topic: str, member_id: str, name: str) -> asyncio.Future[None]:
        members = self._members.setdefault(topic, {})
        joins = member_id not in members
        members[member_id] = name
        if joins:
            self._deliver(_told(topic, Kind.JOIN, member_id, name))
        return self._done(None)

    def leave(self, topic: str, member_id: str) -> asyncio.Future[None]:
        members = self._members.get(topic, {})
        name = members.pop(member_id, None)
        if not members:
            self._members.pop(topic, None)
        if name is not None:
            self._deliver(_told(topic, Kind.LEAVE, member_id, name))
        return self._done(None)

    def members(self, topic: str) -> asyncio.Future[dict[str, str]]:
        return self._done(dict(self._members.get(topic, {})))

    def _deliver(self, publication: Publication) -> None:
        if publication.topic in self._topics and self._receiver is not None:
            self._receiver.publication_received(publication)

    def _done(self, result: _T) -> asyncio.Future[_T]:
        future = self._loop.create_future()
        future.set_result(result)
        return future


def _told(topic: str, kind: Kind, member_id: str, name: str) -> Publication:
    return Publication(topic, name.encode(), True, kind=kind, key=member_id)
