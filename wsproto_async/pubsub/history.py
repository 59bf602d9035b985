"""What is kept of topics for who has missed it: no IO, and no clock but what is passed in."""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from collections.abc import Container
from typing import Final

from .broker import IDEMPOTENCY_AGE, Missed, Retention
from .publication import Position, Publication

__all__ = ["Histories"]

_MAX_TOPICS: Final = 65_536  # of which something is kept
_MAX_KEYS: Final = 65_536
_LOOK_AGAIN: Final = 60.0  # seconds


class Histories:
    """The histories of topics, and the keys of what was published lately.

    A topic of which nothing is left, or that is one of too many, is forgotten, and its epoch with
    it; unless it is one of ``in_use``, whose subscribers would take that for a gap. Of others on
    which nothing was published nothing is kept: all of these are in the epoch in which a history
    would begin now. ``now`` is in seconds and never goes back.
    """

    def __init__(self, in_use: Container[str] = ()) -> None:
        self._in_use = in_use
        self._instance = secrets.token_hex(8)
        self._forgotten = 0
        self._topics: OrderedDict[str, _History] = OrderedDict()  # the oldest first
        self._published: OrderedDict[tuple[str, str], tuple[float, Position | None]] = OrderedDict()

    def published(self, topic: str, key: str, now: float) -> tuple[Position | None] | None:
        """Return the position of what was published with ``key``, in a tuple; None if nothing."""
        found = self._published.get((topic, key))
        return None if found is None or found[0] <= now else found[1:]

    def remember(self, topic: str, key: str, position: Position | None, now: float) -> None:
        """Remember that something was published with ``key``."""
        self._published[topic, key] = now + IDEMPOTENCY_AGE, position
        self._published.move_to_end((topic, key))
        while len(self._published) > _MAX_KEYS or next(iter(self._published.values()))[0] <= now:
            self._published.popitem(last=False)

    def append(self, publication: Publication, retention: Retention, now: float) -> Publication:
        """Keep a publication, and return it with its position."""
        topic = publication.topic
        history = self._topics.get(topic)
        if history is None:
            history = self._topics[topic] = _History(self._epoch())
        publication = history.append(publication, retention, now)
        self._topics.move_to_end(topic)
        while len(self._topics) > _MAX_TOPICS or self._is_one_old(now):
            self._forget(*self._topics.popitem(last=False), now)
        return publication

    def _forget(self, topic: str, history: _History, now: float) -> None:
        if topic in self._in_use and len(self._topics) < _MAX_TOPICS:
            history.drop_old(now)
            history.forget_at = now + _LOOK_AGAIN
            self._topics[topic] = history
        else:
            self._forgotten += 1

    def read(self, topic: str, since: Position | None, now: float) -> Missed:
        """Return what was kept after ``since``."""
        history = self._topics.get(topic)
        if history is None:
            history = _History(self._epoch())
            if topic in self._in_use and len(self._topics) < _MAX_TOPICS:
                self._topics[topic] = history
        return history.read(since, now)

    def release(self, topic: str) -> None:
        """Forget a topic that is not in use any more, if nothing was published on it."""
        history = self._topics.get(topic)
        if history is not None and history.is_unused():
            del self._topics[topic]

    def _epoch(self) -> str:
        return f"{self._instance}{self._forgotten:x}"

    def _is_one_old(self, now: float) -> bool:
        oldest = next(iter(self._topics.values()), None)
        return oldest is not None and oldest.forget_at <= now


class _History:
    __slots__ = ("_epoch", "_kept", "_offset", "forget_at")

    def __init__(self, epoch: str) -> None:
        self._epoch = epoch
        self._offset = 0
        self._kept: deque[tuple[float, Publication]] = deque()
        self.forget_at = 0.0

    def is_unused(self) -> bool:
        """Tell if nothing was ever published."""
        return self._offset == 0

    def append(self, publication: Publication, retention: Retention, now: float) -> Publication:
        self._offset += 1
        self.forget_at = now + retention.age
        publication = publication.at(Position(self._epoch, self._offset))
        self._kept.append((now + retention.age, publication))
        while len(self._kept) > retention.size:
            self._kept.popleft()
        self.drop_old(now)
        return publication

    def read(self, since: Position | None, now: float) -> Missed:
        self.drop_old(now)
        position = Position(self._epoch, self._offset)
        if since is None:
            return Missed(position, [])
        missed = self._offset - since.offset
        if since.epoch != self._epoch or not 0 <= missed <= len(self._kept):
            return Missed(position, None)
        return Missed(position, [each for _, each in self._kept][len(self._kept) - missed :])

    def drop_old(self, now: float) -> None:
        """Drop what is too old."""
        while self._kept and self._kept[0][0] <= now:
            self._kept.popleft()
