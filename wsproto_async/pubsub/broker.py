"""What a broker is: it carries publications between the processes that share topics.

Laws that hold for each, and that ``tests/pubsub/conformance.py`` tries:

- What one process publishes on a topic arrives in this order, in that process as well, once.
- From when ``subscribe`` is done until ``unsubscribe``, each publication arrives, or
  ``subscription_restored`` is called before the next that does.
- With a retention, each message of a topic gets the offset after the one before; what is read
  after a position is all that came after it, or nothing.
- What comes from the other side may be anything: it is counted and dropped if it is wrong.
- The connection comes back by itself, and with it all subscriptions and presences.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from asyncio import Future
from typing import Final, NamedTuple, Protocol

from ..exceptions import BrokerError
from .publication import Position, Publication

__all__ = [
    "IDEMPOTENCY_AGE",
    "MAX_PAYLOAD",
    "PRESENCE_TTL",
    "Broker",
    "Missed",
    "Receiver",
    "Retention",
    "check_unused",
]

MAX_PAYLOAD: Final = 2**24
"""Bytes of a message that is published: 16 MiB."""

IDEMPOTENCY_AGE: Final = 300.0
"""Seconds for which a key of ``publish`` is remembered."""

PRESENCE_TTL: Final = 30.0
"""Seconds after which the members of a process that has crashed are gone."""


class Retention(NamedTuple):
    """What is kept of a topic: ``size`` messages, for ``age`` seconds."""

    size: int
    age: float


class Missed(NamedTuple):
    """What was published after some position: ``publications`` from there to ``position``.

    None if not all of it is kept any more, or if the position is of another epoch.
    """

    position: Position
    publications: list[Publication] | None


class Receiver(Protocol):
    """Who a broker tells. Its methods do not raise."""

    def publication_received(self, publication: Publication) -> None:
        """A publication on a topic that is subscribed to."""

    def publication_refused(self, why: str) -> None:
        """Something arrived that is no publication: too large, of another version, or broken."""

    def subscription_restored(self, topic: str) -> None:
        """There was no subscription for a time: publications on that topic may have been missed.

        What is received from now on was published after that.
        """

    def members_restored(self) -> None:
        """The broker had forgotten all members, at no outage, and has them again.

        Who joined or left meanwhile was not told of on any topic.
        """

    def connection_lost(self, why: str) -> None:
        """The broker, or a part of it, is away; which topics are is told when they are back."""

    def connection_made(self) -> None:
        """All of the broker is back, and all topics are subscribed to again."""


class Broker(ABC):
    """Carries publications between the processes that share topics.

    One server uses it, in one event loop. The futures that it returns may be left alone, or
    cancelled: what they raise is BrokerError, and never logged as "never retrieved".
    """

    @abstractmethod
    async def start(self, receiver: Receiver) -> None:
        """Connect. Raises BrokerError if it cannot within 10 s, or has a receiver already."""

    @abstractmethod
    async def close(self) -> None:
        """Leave all topics, and close what is open; what is under way fails."""

    @abstractmethod
    def publish(
        self, publication: Publication, retention: Retention | None, idempotency_key: str
    ) -> Future[Position | None]:
        """Publish; the future has the position, None without retention, when the broker has it.

        A second publication on the topic with the same ``idempotency_key``, if that is not empty,
        within 300 s, is dropped, and has the position of the first.

        Never waits and never raises: the future raises BrokerError if it may not have been
        published. What is published in one turn of the loop leaves in one write.
        """

    @abstractmethod
    def subscribe(self, topic: str) -> Future[None]:
        """Subscribe this process; done when nothing published from then on can be missed.

        Without a connection it is done when there is one again.
        """

    @abstractmethod
    def unsubscribe(self, topic: str) -> None:
        """Unsubscribe this process; what is on its way may still arrive."""

    @abstractmethod
    def read(self, topic: str, since: Position | None, retention: Retention) -> Future[Missed]:
        """Read what was published after ``since``, which None for nothing but the position is."""

    @abstractmethod
    def enter(self, topic: str, member_id: str, name: str) -> Future[None]:
        """Make the connection ``member_id`` a member of the topic, and publish that it joins.

        It is one until ``leave``, or ``PRESENCE_TTL`` after this process has crashed. Entering
        again publishes nothing.
        """

    @abstractmethod
    def leave(self, topic: str, member_id: str) -> Future[None]:
        """Undo ``enter``, and publish that it leaves; does nothing if it is no member."""

    @abstractmethod
    def members(self, topic: str) -> Future[dict[str, str]]:
        """Return the members of a topic in all processes: their names by their ids."""


def check_unused(receiver: Receiver | None) -> None:
    """Raise BrokerError if a broker has a receiver already."""
    if receiver is not None:
        raise BrokerError("a broker serves one server: make another for the next")
