"""SIGINT (Ctrl-C) and its like: a server that is told to stop stops gracefully."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["on_stop_signal"]


@contextmanager
def on_stop_signal(
    *actions: Callable[[], object],
    at_once: Callable[[], object] | None = None,
    numbers: Sequence[signal.Signals] = (signal.SIGINT, signal.SIGTERM),
    afterwards: Callable[[int, FrameType | None], object] | None = None,
) -> Iterator[None]:
    """Call the first action at the first of these signals, the second at the second, and so on.

    The event loop calls them. After the last action, signals act as they do in any program.

    ``at_once`` is called by each signal itself, even while a handler keeps the loop from running.
    It sees to the end: so with it, signals after the last action change nothing.

    ``afterwards`` is their handler when this has ended; by default that is the one before.

    A signal that the application handles, or ignores, is left alone, and so are all outside of
    the main thread.
    """
    loop = asyncio.get_running_loop()
    previous: dict[signal.Signals, Any] = {}
    remaining = list(actions)

    # Handlers of the loop would wait for it, however long it is busy.
    def act(number: int, frame: FrameType | None) -> None:
        if not remaining:
            return  # signals may come faster than they are handled
        action = remaining.pop(0)
        if not remaining and at_once is None:
            for each in previous:
                is_interrupt = each == signal.SIGINT
                signal.signal(each, signal.default_int_handler if is_interrupt else signal.SIG_DFL)
            previous.clear()
        loop.call_soon_threadsafe(action)
        if at_once is not None:
            at_once()

    if threading.current_thread() is threading.main_thread():
        for number in numbers:
            handler = signal.getsignal(number)
            if _is_default(handler):
                signal.signal(number, act)
                previous[number] = handler
    try:
        yield
    finally:
        for number, handler in tuple(previous.items()):
            signal.signal(number, handler if afterwards is None else afterwards)


def _is_default(handler: object) -> bool:
    if handler in (signal.SIG_DFL, signal.default_int_handler):
        return True
    # asyncio.run puts a partial of its runner's method in place of Python's own for SIGINT.
    return isinstance(getattr(getattr(handler, "func", None), "__self__", None), asyncio.Runner)
