"""Futures and tasks that nobody has to wait for: what they raise is never logged."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Generic, Protocol, TypeVar

from ..exceptions import BrokerError

__all__ = ["Outcome", "Tasks", "Waiter", "fail", "finish", "has_succeeded"]

_T = TypeVar("_T")
_R = TypeVar("_R", contravariant=True)


def fail(future: asyncio.Future[Any], why: str) -> None:
    """Let a future raise BrokerError, unless it is done or cancelled."""
    if not future.done():
        future.set_exception(BrokerError(why))
        future.exception()  # asked for: else it would be logged if nobody else asks


def finish(future: asyncio.Future[_T], result: _T) -> None:
    """Let a future have its result, unless it is done or cancelled."""
    if not future.done():
        future.set_result(result)


class Outcome(Protocol[_R]):
    """Who is told what becomes of a command, once."""

    def finish(self, result: _R, /) -> None:
        """It was done."""

    def fail(self, why: str, /) -> None:
        """It was not, or may not have been."""


class Waiter(Generic[_T]):
    """An outcome that somebody may wait for."""

    __slots__ = ("future",)

    def __init__(self, future: asyncio.Future[_T]) -> None:
        self.future = future

    def finish(self, result: _T, /) -> None:
        finish(self.future, result)

    def fail(self, why: str, /) -> None:
        fail(self.future, why)


def has_succeeded(future: asyncio.Future[Any]) -> bool:
    """Tell if a future has its result already."""
    return future.done() and not future.cancelled() and future.exception() is None


class Tasks:
    """Tasks that are under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, run: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        """Start one."""
        task = asyncio.get_running_loop().create_task(run)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def cancel(self) -> None:
        """Cancel all."""
        for task in self._tasks:
            task.cancel()

    async def wait(self) -> None:
        """Wait until all have ended."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()
