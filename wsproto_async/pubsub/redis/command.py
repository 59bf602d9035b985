"""What waits to be written or answered, and how much of it there may be."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from ..futures import Outcome
from .call import Call

__all__ = ["Budget", "Command", "Repeat"]

_MAX_WAITING: Final = 2**24  # bytes of publications that are not answered yet: 16 MiB


class Repeat(Enum):
    """When a command is written again that was not answered."""

    NEVER = 0
    SAME_RUN = 1
    ALWAYS = 2


class Budget:
    """What all commands together may take until they are answered."""

    def __init__(self) -> None:
        self._taken = 0

    def take(self, size: int) -> bool:
        """Take some bytes, if there is room; of what is too large alone there is one at a time."""
        if size and self._taken and self._taken + size > _MAX_WAITING:
            return False
        self._taken += size
        return True

    def give_back(self, size: int) -> None:
        """Undo ``take``."""
        self._taken -= size


class Command:
    """A call, its ``data``, and who is told what ``convert`` makes of the reply.

    It ends with ``finish`` or ``fail``, one of them, once.
    """

    __slots__ = (
        "_budget",
        "_convert",
        "_outcome",
        "_refused_at",
        "_size",
        "call",
        "data",
        "is_written",
        "repeat",
    )

    def __init__(
        self,
        call: Call,
        data: bytes | None,
        convert: Callable[[Any], Any],
        outcome: Outcome[Any],
        repeat: Repeat,
        budget: Budget,
        size: int,
    ) -> None:
        self.call = call
        self.data = data
        self.repeat = repeat
        self.is_written = False
        """It may have been done."""
        self._convert = convert
        self._outcome = outcome
        self._budget = budget
        self._size = size
        self._refused_at: float | None = None

    def refused(self, now: float) -> float:
        """A server has not done it; return the seconds since the first time."""
        self.is_written = False
        if self._refused_at is None:
            self._refused_at = now
        return now - self._refused_at

    def finish(self, reply: Any) -> None:
        """The reply has come."""
        self._budget.give_back(self._size)
        try:
            result = self._convert(reply)
        except (ValueError, TypeError, IndexError):
            self._outcome.fail("Redis has answered what it should not")
        else:
            self._outcome.finish(result)

    def fail(self, why: str) -> None:
        """No reply will come, or one that refuses it."""
        self._budget.give_back(self._size)
        self._outcome.fail(why)
