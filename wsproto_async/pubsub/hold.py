"""What comes on a topic while its history is read, and its order then."""

from __future__ import annotations

from collections import deque
from math import inf
from operator import itemgetter
from typing import Final

from .publication import Position, Publication

__all__ = ["Hold"]

_MAX_CHANGES: Final = 1000

Place = tuple[bool, float]  # in another epoch, offset


class Hold:
    """Joins and leaves, which are in no history, stand before the message that came after them.

    ``refused`` counts what came and is in no history, and is dropped.
    """

    __slots__ = ("_before", "_changes", "_count", "_is_change_lost", "_messages", "refused")

    def __init__(self) -> None:
        self._messages: deque[tuple[int, Publication]] = deque()  # as they came
        self._changes: list[tuple[int, Publication]] = []  # joins and leaves
        self._count = 0
        self._before = 0  # how many came before the reading began
        self._is_change_lost = False  # there was no room for it
        self.refused = 0

    def put(self, publication: Publication, most: int) -> None:
        """Hold a publication, and not more than ``most`` messages: so many a history keeps."""
        self._count += 1
        if publication.position is None:
            if len(self._changes) < _MAX_CHANGES:
                self._changes.append((self._count, publication))
            else:
                self._is_change_lost = True
            return
        self._messages.append((self._count, publication))
        if len(self._messages) > most:
            self._messages.popleft()

    def begin_reading(self) -> None:
        """What is read from now on has all that was published before."""
        self._before = self._count

    def end(
        self, position: Position, known: list[Publication] | None
    ) -> tuple[list[Publication], bool]:
        """Return what was held and is not ``known``, and that, in their order; tell if it is all.

        All up to ``position`` was read. What goes on from there stands before other epochs, so
        that something is always the next.
        """
        found: list[tuple[Place, Publication]] = []
        behind: Place = (True, inf)
        for number, publication in sorted([*self._messages, *self._changes], reverse=True):
            if publication.position is None:
                found.append((behind, publication))
                continue
            place = _place(publication.position, position)
            behind = min(behind, place)  # whatever comes late, no leave stands before its join
            is_known = place <= (False, position.offset)
            if number <= self._before and not is_known:
                self.refused += 1
            elif known is None or not is_known:
                found.append((place, publication))
        found.reverse()
        for publication in known or ():
            assert publication.position is not None
            found.append((_place(publication.position, position), publication))
        found.sort(key=itemgetter(0))
        is_all = not self._is_change_lost
        self._messages.clear()
        self._changes.clear()
        self._is_change_lost = False
        self._before = self._count
        return [publication for _, publication in found], is_all


def _place(position: Position, upto: Position) -> Place:
    return position.epoch != upto.epoch, position.offset
