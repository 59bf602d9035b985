"""Who listens to one topic in this process, and which publication is the next for them: no IO.

Law: with a history, subscribers get every message behind where they joined, once and in order, or
``take`` says that there is a gap. Until what was missed has been read, what comes live is held.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from .broker import Missed
from .publication import Position, Publication
from .topic import Topic

__all__ = ["Audience"]

S = TypeVar("S")


class Audience(Generic[S]):
    """The subscribers of a topic; ``position`` is that of the last publication that they got."""

    __slots__ = (
        "_held",
        "_is_held_cut",
        "_joiners",
        "_recent",
        "_subscribers",
        "_targets",
        "_waiting",
        "duplicates",
        "is_gap_told",
        "is_reading",
        "members",
        "name",
        "options",
        "position",
    )

    def __init__(self, name: str, options: Topic) -> None:
        self.name = name
        self.options = options
        self.position: Position | None = None
        self.members: dict[S, str] = {}
        """The names of those who have said who they are."""
        self.duplicates = 0
        self.is_reading = False
        """Publications are held until ``caught_up``."""
        self.is_gap_told = False
        """There was a gap, and nothing has come after it."""
        self._subscribers: dict[S, None] = {}
        self._targets: tuple[S, ...] | None = None
        self._joiners: dict[S, int] = {}  # who have got what comes next already, up to this offset
        self._waiting: set[S] = set()  # who read what they have missed
        self._held: deque[Publication] = deque()
        self._is_held_cut = False
        self._recent: deque[Publication] = deque()  # while somebody waits

    # Who

    def __len__(self) -> int:
        return len(self._subscribers) + len(self._joiners) + len(self._waiting)

    def __contains__(self, subscriber: S) -> bool:
        return subscriber in self._subscribers or subscriber in self._joiners

    def subscribers(self) -> list[S]:
        """Return all."""
        return [*self._subscribers, *self._joiners]

    def targets(self) -> tuple[S, ...]:
        """Return those who get the next publication: the same tuple until that changes."""
        if self._targets is None:
            self._targets = tuple(self._subscribers)
        return self._targets

    def add(self, subscriber: S) -> None:
        """Let a subscriber have what comes from now on."""
        self._subscribers[subscriber] = None
        self._targets = None

    def remove(self, subscriber: S) -> None:
        """Let a subscriber have nothing more."""
        if self._subscribers.pop(subscriber, self) is None:
            self._targets = None
        self._joiners.pop(subscriber, None)
        self._end_wait(subscriber)

    # What comes

    def take(self, publication: Publication) -> bool | None:
        """Tell if a publication is the next for the ``targets``.

        None if there is a gap before it: what was missed has to be read. It is held until then.
        """
        position, last = publication.position, self.position
        if position is None or self.options.retention is None:
            return True
        if self.is_reading:
            self._hold(publication)
            return False
        if last is not None and position.epoch == last.epoch:
            if position.offset <= last.offset:
                self.duplicates += 1
                return False
            if position.offset > last.offset + 1:
                self._hold(publication)
                return None
        elif last is not None:
            self._hold(publication)
            return None
        self.position = position
        if self._waiting:
            self._recent.append(publication)
            self._cut(self._recent)
        self._let_in(position.offset)
        return True

    def begin_reading(self) -> None:
        """Hold what comes from now on: what was missed before it is being read."""
        self.is_reading = True

    def caught_up(self, missed: Missed) -> tuple[list[Publication], bool]:
        """Return what the subscribers have missed, to be taken now, and if that is all of it.

        What was held follows: it has to be taken after that.
        """
        self.is_reading = False
        held, self._held = self._held, deque()
        is_cut, self._is_held_cut = self._is_held_cut, False
        known, is_complete = missed.publications, missed.publications is not None
        if self.position is None or known is None:
            self.position = missed.position
            self._joiners = dict.fromkeys(self._joiners, 0)
        first = next((each.position.offset for each in held if each.position), 0)
        if is_cut and first > missed.position.offset + 1:
            is_complete = False
            self.position = Position(missed.position.epoch, first - 1)
            known = None
        return [*(known or ()), *held], is_complete

    # Who comes later and has missed something

    def begin_join(self, subscriber: S) -> None:
        """Somebody reads what was published since some position, until ``join`` or ``remove``."""
        self._waiting.add(subscriber)

    def is_joining(self, subscriber: S) -> bool:
        """Tell if it has begun to join."""
        return subscriber in self._waiting

    def _end_wait(self, subscriber: S) -> None:
        self._waiting.discard(subscriber)
        if not self._waiting:
            self._recent.clear()

    def join(self, subscriber: S, missed: Missed) -> list[Publication] | None:
        """Add a subscriber, and return what it has to get first; None if that cannot be had.

        What was read may end before what the others have got already, or behind it.
        """
        more: list[Publication] | None = []
        behind = missed.position.offset
        last = self.position
        if last is not None and last.epoch == missed.position.epoch:
            if last.offset > behind:
                more = [each for each in self._recent if _offset(each) > behind]
                if len(more) != last.offset - behind:
                    more = None
            elif last.offset < behind:
                self._end_wait(subscriber)
                self._joiners[subscriber] = behind
                return missed.publications
        self._end_wait(subscriber)
        self.add(subscriber)
        if missed.publications is None or more is None:
            return None
        return missed.publications + more

    def _let_in(self, offset: int) -> None:
        """Let those in who have not got the publication of ``offset`` yet."""
        for subscriber, behind in tuple(self._joiners.items()):
            if behind < offset:
                del self._joiners[subscriber]
                self.add(subscriber)

    def _hold(self, publication: Publication) -> None:
        self._held.append(publication)
        self._is_held_cut = self._cut(self._held) or self._is_held_cut

    def _cut(self, publications: deque[Publication]) -> bool:
        """Keep as many as the history does."""
        assert self.options.retention is not None
        size = self.options.retention.size
        is_long = len(publications) > size
        while len(publications) > size:
            publications.popleft()
        return is_long


def _offset(publication: Publication) -> int:
    assert publication.position is not None
    return publication.position.offset
