"""Futures and tasks that nobody has to wait for: what they raise is never logged."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from ..exceptions import BrokerError

__all__ = ["Tasks", "fail", "finish", "has_succeeded"]

_T = TypeVar("_T")


def fail(future: asyncio.Future[Any], why: str) -> None:
    """Let a future raise BrokerError, unless it is done or cancelled."""
    if not future.done():
        future.set_exception(BrokerError(why))
        future.exception()  # asked for: else it would be logged if nobody else asks


def finish(future: asyncio.Future[_T], result: _T) -> None:
    """Let a future have its result, unless it is done or cancelled."""
    if not future.done():
        future.set_result(result)


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
