"""What comes on a topic while its history is read, and its order then."""

from __future__ import annotations

from collections import deque
from math import inf
from operator import itemgetter
from typing import Final

from .publication import Position, Publication

__all__ = ["Hold"]

Place = tuple[bool, float, bool]  # in another epoch, offset, the message itself
_LAST: Final[Place] = (True, inf, False)


class Hold:
    """Joins and leaves, which are in no history, stand before the message that came after them.

    ``refused`` counts what came and is in no history, and is dropped.
    """

    __slots__ = ("_before", "_is_change_lost", "_publications", "refused")

    def __init__(self) -> None:
        self._publications: deque[Publication] = deque()
        self._before = 0  # how many of these came before the reading began
        self._is_change_lost = False  # a join or a leave, for which there was no room
        self.refused = 0

    def put(self, publication: Publication, most: int) -> None:
        """Hold a publication, and not more than ``most``: so many does the history keep."""
        self._publications.append(publication)
        if len(self._publications) > most:
            dropped = self._publications.popleft()
            self._before = max(self._before - 1, 0)
            self._is_change_lost |= dropped.position is None

    def begin_reading(self) -> None:
        """What is read from now on has all that was published before."""
        self._before = len(self._publications)

    def end(
        self, position: Position, known: list[Publication] | None
    ) -> tuple[list[Publication], bool]:
        """Return what was held and is not ``known``, and that, in their order; tell if it is all.

        All up to ``position`` was read. What goes on from there stands before other epochs, so
        that something is always the next.
        """
        held, self._publications = self._publications, deque()
        before, self._before = self._before, 0
        is_change_lost, self._is_change_lost = self._is_change_lost, False
        place = _LAST
        found: list[tuple[Place, Publication]] = []
        while held:
            publication = held.pop()
            if publication.position is None:
                found.append(((*place[:2], False), publication))
                continue
            place = _place(publication.position, position)
            is_known = place <= (False, position.offset, True)
            if len(held) < before and not is_known:
                self.refused += 1
            elif known is None or not is_known:
                found.append((place, publication))
        found.reverse()
        for publication in known or ():
            assert publication.position is not None
            found.append((_place(publication.position, position), publication))
        found.sort(key=itemgetter(0))
        return [publication for _, publication in found], not is_change_lost


def _place(position: Position, upto: Position) -> Place:
    return position.epoch != upto.epoch, position.offset, True
