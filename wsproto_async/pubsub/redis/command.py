"""What waits to be written or answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Generic, Protocol, TypeVar

from ..futures import fail, finish
from .call import Call
from .run import Run

__all__ = ["ANSWERED_WRONG", "WRONG", "Ask", "Command", "Repeat"]

_T = TypeVar("_T")

ANSWERED_WRONG: Final = (ValueError, TypeError, IndexError, AttributeError, OverflowError)
"""What is raised where a reply is not as it should be."""

WRONG: Final = "Redis has answered what it should not"


class Repeat(Enum):
    """When a command is written again that was not answered."""

    NEVER = 0
    SAME_RUN = 1
    ALWAYS = 2


class Command(Protocol):
    """What is sent; it ends with ``finish`` or ``fail``, one of them, once."""

    written_at: float | None
    """When it was written for the first time: it may have been done."""
    refused_at: float | None
    """When a server has said for the first time that it is not the one to be asked."""

    @property
    def call(self) -> Call:
        """What is written of it first."""

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

    __slots__ = ("_convert", "call", "future", "refused_at", "written_at")

    repeat = Repeat.ALWAYS

    def __init__(
        self, call: Call, convert: Callable[[Any], _T], future: asyncio.Future[_T]
    ) -> None:
        self.call = call
        self.written_at: float | None = None
        self.refused_at: float | None = None
        self.future = future
        self._convert = convert

    def pack(self, run: Run) -> bytes:
        return self.call.pack(run)

    def finish(self, reply: Any, /) -> None:
        try:
            finish(self.future, self._convert(reply))
        except ANSWERED_WRONG:
            fail(self.future, WRONG)

    def fail(self, why: str, /) -> None:
        fail(self.future, why)
