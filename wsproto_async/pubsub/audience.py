"""Who listens to one topic in this process, and which publication is the next for them: no IO.

Law: with a history, subscribers get every message behind where they joined, once and in order, or
``caught_up`` says that there is a gap. Until what was missed has been read, what comes is held.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from .broker import Missed
from .hold import Hold
from .publication import Position, Publication
from .topic import Topic

__all__ = ["Audience"]

S = TypeVar("S")


class Audience(Generic[S]):
    """The subscribers of a topic; ``position`` is that of the last publication that they got."""

    __slots__ = (
        "_joiners",
        "_recent",
        "_subscribers",
        "_targets",
        "_waiting",
        "duplicates",
        "has_dropped",
        "held",
        "is_gap_told",
        "is_reading",
        "members",
        "name",
        "options",
        "position",
        "start",
    )

    def __init__(self, name: str, options: Topic) -> None:
        self.name = name
        self.options = options
        self.position: Position | None = None
        self.start: Position | None = None
        """Where it stood when the first had subscribed."""
        self.members: dict[S, str] = {}
        """The names of those who have said who they are."""
        self.duplicates = 0
        self.is_reading = options.retention is not None
        """Publications are held until ``caught_up``."""
        self.is_gap_told = False
        """There was a gap, and nothing has come after it."""
        self.has_dropped = False
        """What came was dropped while something was read: it has to be read again."""
        self._subscribers: dict[S, None] = {}
        self._targets: tuple[S, ...] | None = None
        self._joiners: dict[S, int] = {}  # who have got what comes next already, up to this offset
        self._waiting: set[S] = set()  # who read what they have missed
        self.held = Hold()
        """What came while something was read."""
        self._recent: deque[Publication] = deque()  # while somebody waits

    # Who

    def __len__(self) -> int:
        return len(self._subscribers) + len(self._joiners) + len(self._waiting)

    def subscribers(self) -> list[S]:
        """Return all."""
        return [*self._subscribers, *self._joiners, *self._waiting]

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
        if self.options.retention is None:
            return True
        if self.is_reading:
            self.held.put(publication, self.options.retention.size)
            return False
        position, last = publication.position, self.position
        if position is None:
            if last is not None:
                self._let_in(last.offset + 1)
            return True
        if last is not None:
            if position.epoch != last.epoch or position.offset > last.offset + 1:
                self.is_reading = True
                self.held.put(publication, self.options.retention.size)
                return None
            if position.offset <= last.offset:
                self.duplicates += 1
                return False
        self.position = position
        if self._waiting:
            self._recent.append(publication)
            if len(self._recent) > self.options.retention.size:
                self._recent.popleft()
        self._let_in(position.offset)
        return True

    def begin_reading(self) -> None:
        """Hold what comes from now on: what was published after ``position`` is being read now."""
        self.is_reading = True
        self.held.begin_reading()

    def is_in_epoch_of(self, position: Position) -> bool:
        """Tell if the targets stand in this epoch, or nowhere yet."""
        return self.position is None or self.position.epoch == position.epoch

    def begin_epoch(self, position: Position) -> bool:
        """Tell if a history stands in another epoch, whose beginning is what comes next then."""
        if self.is_in_epoch_of(position):
            return False
        self.position = Position(position.epoch, 0)
        self._recent.clear()
        self._joiners = dict.fromkeys(self._joiners, 0)
        return True

    def caught_up(self, missed: Missed) -> tuple[list[Publication], bool]:
        """Return what the subscribers have missed, to be taken now, and if that is all of it.

        What was held follows: it has to be taken after that, and may show another gap.
        """
        self.is_reading = False
        is_first = self.position is None
        known = None if is_first else missed.publications
        publications, is_all = self.held.end(missed.position, known)
        if known is not None:
            return publications, is_all
        self._begin_after(missed.position, publications)
        if is_first:
            self.start = self.position
        return publications, is_first

    def _begin_after(self, position: Position, held: list[Publication]) -> None:
        """Nothing is known of what came before: go on with what is held, or behind ``position``."""
        epoch, offset = position
        done = 0 if self.position is None else self.position.offset
        positions = [each.position for each in held if each.position is not None]
        offsets = [each.offset for each in positions if each.epoch == epoch and each.offset > done]
        self.position = Position(epoch, max(done, min([offset, *(each - 1 for each in offsets)])))

    # Who comes later and has missed something

    def begin_join(self, subscriber: S) -> None:
        """Somebody reads what was published since some position, until ``join`` or ``remove``."""
        self._waiting.add(subscriber)

    def _end_wait(self, subscriber: S) -> None:
        self._waiting.discard(subscriber)
        if not self._waiting:
            self._recent.clear()

    def join(self, subscriber: S, missed: Missed) -> tuple[list[Publication] | None, Position]:
        """Add a subscriber, and return what it has to get first, and where that ends.

        None if that cannot be had. What was read may end before what the others have got already,
        or behind it.
        """
        known, position = missed.publications, missed.position
        last = position if self.position is None else self.position
        if last.epoch != position.epoch:
            known = None
        elif last.offset < position.offset:
            self._end_wait(subscriber)
            self._joiners[subscriber] = position.offset
            return known, position
        elif known is not None:
            more = [each for each in self._recent if _offset(each) > position.offset]
            is_all = len(more) == last.offset - position.offset
            known = known + more if is_all else None
        self._end_wait(subscriber)
        self.add(subscriber)
        return known, last

    def _let_in(self, offset: int) -> None:
        """Let those in who have not got the publication of ``offset`` yet."""
        for subscriber, behind in tuple(self._joiners.items()):
            if behind < offset:
                del self._joiners[subscriber]
                self.add(subscriber)


def _offset(publication: Publication) -> int:
    assert publication.position is not None
    return publication.position.offset
