"""What ``recv`` waits for: a future that goes on with its task at once, without a turn of the loop.

:class:`asyncio.Future` calls back one turn later. Between a read and the handler that waits for it
nothing is to be done, so the protocol calls the task itself, in the task's context.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any, NoReturn

__all__ = ["Arrival"]


class Arrival:
    """Awaited by one task at a time, again and again; has of a future what a task asks for.

    ``begin`` comes before each wait. ``ahead`` is what goes on in place of the
    task, if anything does, in ``context``: see drive.pyx.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callback",
        "_cancelled",
        "_loop",
        "ahead",
        "context",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._callback: Callable[[Arrival], object] | None = None
        self.context: Context | None = None
        self._cancelled: asyncio.CancelledError | None = None
        self._asyncio_future_blocking = False
        self.ahead: Any = None

    def arrive(self) -> None:
        """Go on with the task that waits. For callbacks of the loop, where no other task runs."""
        if self.ahead is not None:
            self.ahead.go_ahead()
            return
        callback, context = self._callback, self.context
        if callback is not None and context is not None:
            self._callback = self.context = None
            self._asyncio_future_blocking = False
            try:
                context.run(callback, self)
            except (SystemExit, KeyboardInterrupt) as exc:
                # The loop is to end by it, not the transport.
                self._loop.call_soon(_raise, exc)

    def arrive_soon(self) -> None:
        """Go on with the task that waits, in the next turn of the loop."""
        if self._callback is not None:
            self._loop.call_soon(self._callback, self, context=self.context)
            self._callback = self.context = self.ahead = None
            self._asyncio_future_blocking = False

    # Asked for by a task

    def begin(self, is_here: bool) -> None:
        """Begin a wait; with ``is_here`` there is nothing to wait for."""
        self._asyncio_future_blocking = not is_here

    def __await__(self) -> Generator[Arrival, None, None]:
        return self  # type: ignore[return-value]  # an iterator, which is all that is asked for

    def __iter__(self) -> Arrival:
        return self

    def __next__(self) -> Arrival:
        if self._asyncio_future_blocking:
            return self
        raise StopIteration

    def get_loop(self) -> asyncio.AbstractEventLoop:
        return self._loop

    def add_done_callback(
        self, callback: Callable[[Arrival], object], *, context: Context | None = None
    ) -> None:
        if self._callback is not None:
            # What goes ahead has begun another task, which waits first: its own can but look again.
            self._loop.call_soon(self._callback, self, context=self.context)
            self.ahead = None
        self._callback = callback
        self.context = context

    def result(self) -> None:
        cancelled, self._cancelled = self._cancelled, None
        if cancelled is not None:
            raise cancelled

    def cancel(self, msg: Any = None) -> bool:
        if self._callback is None:
            return False
        self._cancelled = asyncio.CancelledError() if msg is None else asyncio.CancelledError(msg)
        self.arrive_soon()
        return True


def _raise(error: BaseException) -> NoReturn:
    raise error
