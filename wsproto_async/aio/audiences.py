"""The topics that somebody in this process has subscribed to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..pubsub.audience import Audience
from ..pubsub.publication import Publication
from ..pubsub.topic import Topic, check_topic
from .outbox import Policy

if TYPE_CHECKING:
    from .protocol import ProtocolCore
    from .websocket import WebSocket

__all__ = ["Audiences", "LocalAudience", "Tell", "policy_of"]

Tell = Callable[[Any, Policy, str], None]
"""Told what was done about a slow subscriber."""

_ANY: Final = Topic("*")


class LocalAudience(Audience["ProtocolCore"]):
    """``confirmed`` is done when all that is published arrives, ``policy`` the topic's.

    ``reading`` is what reads what was missed.
    """

    __slots__ = ("confirmed", "policy", "reading")

    confirmed: asyncio.Future[None]

    def __init__(self, name: str, options: Topic, tell: Tell) -> None:
        super().__init__(name, options)
        self.policy = policy_of(name, options, None, tell)
        self.reading: asyncio.Task[None] | None = None


def policy_of(name: str, options: Topic, publication: Publication | None, tell: Tell) -> Policy:
    """Return what is done about slow subscribers of a topic, or of one publication on it."""
    slow: str | None = None if publication is None else publication.slow
    key = "" if publication is None else publication.key
    return Policy(name, slow or options.slow, options.max_bytes, options.max_age, key, tell)


class Audiences(Mapping[str, "frozenset[WebSocket]"]):
    """The topics by name; as a mapping, who has subscribed to them at this moment.

    ``by_name`` has the audiences, ``websockets`` the connections that have subscribed to anything.
    """

    def __init__(self, topics: Sequence[Topic]) -> None:
        self._rules = (*topics, _ANY)
        self.by_name: dict[str, LocalAudience] = {}
        self.websockets: dict[ProtocolCore, WebSocket] = {}

    def options(self, name: str) -> Topic:
        """Return what holds for a topic. Raises TopicRefused or TypeError if it cannot be one."""
        audience = self.by_name.get(name)
        if audience is not None:
            return audience.options
        check_topic(name)
        return next(each for each in self._rules if each.matches(name))

    def __getitem__(self, name: str) -> frozenset[WebSocket]:
        audience = self.by_name[name]
        return frozenset([self.websockets[each] for each in audience.subscribers()])

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self.by_name))

    def __len__(self) -> int:
        return len(self.by_name)
