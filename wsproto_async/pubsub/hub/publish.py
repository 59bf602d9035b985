"""Publishing on a topic: what was published in one turn is one command."""

from __future__ import annotations

from typing import Final

from ..batches import Batch, Budget
from ..broker import Retention
from ..publication import MAX_OFFSET, Position
from ..wire import decode_epoch
from .command import Again
from .protocol import (
    DONE,
    POSITION,
    PUBLISH,
    RETAINED,
    U64,
    Fields,
    frame_of,
    message,
    short,
)

__all__ = ["Publish", "position_of", "publish_frame", "take_position"]

_NO_RETENTION: Final = Retention(0, 0.0)


class Publish(Batch):
    """A :class:`Command` that publishes; with a ``key`` of idempotency, one publication."""

    __slots__ = ("_key", "again", "answer", "run")

    def __init__(
        self, topic: str, retention: Retention | None, budget: Budget, key: str = ""
    ) -> None:
        super().__init__(topic, retention, budget)
        self.answer = POSITION if key or retention is not None else DONE
        self.again = Again.SAME_RUN if key else Again.NEVER
        self.run = b""
        self._key = key

    def pack(self) -> bytes:
        if self.answer == DONE:
            return message(self.topic.encode(), self.parts)
        return publish_frame(self.topic, self.retention, self._key, self.parts)

    def convert(self, fields: Fields, /) -> Position | None:
        return take_position(fields)

    def finish(self, first: Position | None, /) -> None:
        self.done(first)

    def fail(self, why: str, /) -> None:
        super().fail(f"may have been published: {why}" if self.run else why)


def publish_frame(
    topic: str, retention: Retention | None, key: str, publications: list[bytes]
) -> bytes:
    """Return a PUBLISH."""
    retained = RETAINED.pack(*(retention or _NO_RETENTION))
    return frame_of(PUBLISH, short(topic.encode()), short(key.encode()), retained, *publications)


def take_position(fields: Fields) -> Position | None:
    """Return the position that comes next; raises ValueError if it is none."""
    return position_of(fields.short(), *fields.take(U64))


def position_of(epoch: bytes, offset: int) -> Position | None:
    """Return a position, None for an empty epoch; raises ValueError."""
    if offset > MAX_OFFSET:
        raise ValueError("not an offset")
    return Position(decode_epoch(epoch), offset) if epoch else None
