"""What waits to be written or answered, and how much of it there may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeVar

from ..futures import fail, finish
from .call import Call
from .run import Run

__all__ = ["ANSWERED_WRONG", "WRONG", "Ask", "Budget", "Command", "Repeat"]

_T = TypeVar("_T")

ANSWERED_WRONG: Final = (ValueError, TypeError, IndexError, AttributeError)
"""What is raised where a reply is not as it should be."""

WRONG: Final = "Redis has answered what it should not"

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


class Command(Protocol):
    """What is sent; it ends with ``finish`` or ``fail``, one of them, once."""

    call: Call
    size: int
    """Bytes that it has taken of the budget, which it gives back in the end."""
    is_written: bool
    """It may have been done."""
    refused_at: float | None
    """When a server has said for the first time that it is not the one to be asked."""

    @property
    def repeat(self) -> Repeat:
        """When it is written again."""

    def pack(self, run: Run) -> bytes:
        """Return its bytes."""

    def finish(self, reply: Any, /) -> None:
        """The reply has come."""

    def fail(self, why: str, /) -> None:
        """No reply will come, or one that refuses it."""


class Ask(Generic[_T]):
    """A command, and the future that gets what ``convert`` makes of the reply."""

    __slots__ = (
        "_budget",
        "_convert",
        "_data",
        "_repeat",
        "call",
        "future",
        "is_written",
        "refused_at",
        "size",
    )

    def __init__(
        self,
        call: Call,
        convert: Callable[[Any], _T],
        future: asyncio.Future[_T],
        budget: Budget,
        data: bytes | None = None,
        size: int = 0,
        repeat: Repeat = Repeat.ALWAYS,
    ) -> None:
        """``data``, if not None, is its last argument."""
        self.call = call
        self.size = size
        self.is_written = False
        self.refused_at: float | None = None
        self.future = future
        self._convert = convert
        self._budget = budget
        self._data = data
        self._repeat = repeat

    @property
    def repeat(self) -> Repeat:
        return self._repeat

    def pack(self, run: Run) -> bytes:
        return self.call.pack(run) if self._data is None else self.call.pack_with(run, self._data)

    def finish(self, reply: Any, /) -> None:
        self._budget.give_back(self.size)
        try:
            finish(self.future, self._convert(reply))
        except ANSWERED_WRONG:
            fail(self.future, WRONG)

    def fail(self, why: str, /) -> None:
        self._budget.give_back(self.size)
        fail(self.future, why)
