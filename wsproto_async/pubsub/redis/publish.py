"""Publishing on a topic: what was published in one turn is one command."""

from __future__ import annotations

from typing import Any

from ..batches import Batch, Budget
from ..broker import Retention
from ..publication import Position
from ..wire import decode_epoch
from .call import Call
from .command import ANSWERED_WRONG, WRONG, Repeat
from .run import Run

__all__ = ["Publish", "position"]


class Publish(Batch):
    """A :class:`Command` that publishes; ``call`` lacks the publications, which are its end."""

    __slots__ = ("call", "refused_at", "repeat", "written_at")

    def __init__(
        self,
        topic: str,
        retention: Retention | None,
        budget: Budget,
        call: Call,
        repeat: Repeat = Repeat.NEVER,
    ) -> None:
        Batch.__init__(self, topic, retention, budget)
        self.call = call
        self.repeat = repeat
        self.written_at: float | None = None
        self.refused_at: float | None = None

    def pack(self, run: Run) -> bytes:
        parts = self.parts
        return self.call.pack_with(run, parts[0] if len(parts) == 1 else b"".join(parts))

    def finish(self, reply: Any, /) -> None:
        try:
            first = None if self.retention is None else position(reply)
        except ANSWERED_WRONG:
            self.fail(WRONG)
        else:
            self.done(first)


def position(text: bytes) -> Position | None:
    """Return the position that ``text`` is, None if it is empty; raises ValueError."""
    if not text:
        return None
    epoch, _, offset = text.partition(b":")
    if not offset.isdigit() or len(offset) > 16:
        raise ValueError("not a position")
    return tuple.__new__(Position, (decode_epoch(epoch), int(offset)))  # as in positions()
