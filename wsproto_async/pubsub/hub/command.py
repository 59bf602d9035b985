"""What waits to be written to the hub, or answered by it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Protocol

from ..futures import fail, finish
from .protocol import DONE, Fields

__all__ = ["MORE", "Again", "Ask", "Command"]

MORE: Final[Any] = object()
"""What ``convert`` returns if the answer goes on in another frame."""


class Again(Enum):
    """If a command that was not answered is written again on the next connection."""

    NEVER = "it fails"
    ALWAYS = "it is safe"
    SAME_RUN = "it is safe where the hub has not started anew, since it forgets keys"


class Command(Protocol):
    """What is sent; it ends with ``finish`` or ``fail``, one of them, once."""

    run: bytes
    """Of the hub that it was written to; empty before."""

    @property
    def again(self) -> Again:
        """If it is written again."""

    @property
    def answer(self) -> int:
        """The type of the frames that answer it."""

    def pack(self) -> bytes:
        """Return its frame."""

    def convert(self, fields: Fields, /) -> Any:
        """Return what ``finish`` wants of an answer; raises ValueError if it makes no sense."""

    def finish(self, result: Any, /) -> None:
        """It was done."""

    def fail(self, why: str, /) -> None:
        """It was not, or may not have been."""


class Ask:
    """A frame, and the future that gets what ``convert`` makes of the answer."""

    __slots__ = ("_convert", "_frame", "again", "answer", "future", "run")

    def __init__(
        self,
        frame: bytes,
        convert: Callable[[Fields], Any] | None = None,
        *,
        answer: int = DONE,
        again: Again = Again.ALWAYS,
    ) -> None:
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.again = again
        self.answer = answer
        self.run = b""
        self._frame = frame
        self._convert = convert

    def pack(self) -> bytes:
        return self._frame

    def convert(self, fields: Fields, /) -> Any:
        return None if self._convert is None else self._convert(fields)

    def finish(self, result: Any, /) -> None:
        finish(self.future, result)

    def fail(self, why: str, /) -> None:
        fail(self.future, why)
