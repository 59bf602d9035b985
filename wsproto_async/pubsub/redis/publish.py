"""Publishing on a topic: what was published in one turn is one command."""

from __future__ import annotations

from typing import Any

from ..batches import Batch
from ..broker import Retention
from ..publication import Position
from ..wire import decode_epoch
from .call import Call
from .command import ANSWERED_WRONG, WRONG, Budget, Repeat
from .run import Run

__all__ = ["Publish", "position"]


class Publish(Batch):
    """A :class:`Command` that publishes; ``call`` lacks the publications, which are its end."""

    __slots__ = ("_budget", "call", "is_written", "refused_at")

    repeat = Repeat.NEVER

    def __init__(self, topic: str, retention: Retention | None, call: Call, budget: Budget) -> None:
        super().__init__(topic, retention)
        if retention is None:
            self.parts.append(b"\n")  # before which there is no position
        self.call = call
        self.is_written = False
        self.refused_at: float | None = None
        self._budget = budget

    def pack(self, run: Run) -> bytes:
        return self.call.pack_with(run, b"".join(self.parts))

    def finish(self, reply: Any, /) -> None:
        self._budget.give_back(self.size)
        try:
            first = None if self.retention is None else position(reply)
        except ANSWERED_WRONG:
            self.lost(WRONG)
        else:
            self.done(first)

    def fail(self, why: str, /) -> None:
        self._budget.give_back(self.size)
        self.lost(why)


def position(text: bytes) -> Position | None:
    """Return the position that ``text`` is, None if it is empty; raises ValueError."""
    if not text:
        return None
    epoch, _, offset = text.partition(b":")
    if not offset.isdigit() or len(offset) > 16:
        raise ValueError("not a position")
    return Position(decode_epoch(epoch), int(offset))
