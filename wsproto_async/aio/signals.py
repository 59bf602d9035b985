"""SIGINT (Ctrl-C) and SIGTERM: a server that is told to stop stops gracefully."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["on_stop_signal"]


@contextmanager
def on_stop_signal(
    *actions: Callable[[], object], at_once: Callable[[], object] | None = None
) -> Iterator[None]:
    """Call the first action at the first SIGINT or SIGTERM, the second at the second, and so on.

    The event loop calls them. ``at_once`` is called by the signal itself, even while a handler
    keeps the loop from running. After the last action, signals act as they do in any program.

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
        if not remaining:
            for each in previous:
                signal.signal(each, _DEFAULTS[each])
            previous.clear()
        if at_once is not None:
            at_once()
        loop.call_soon_threadsafe(action)

    if threading.current_thread() is threading.main_thread():
        for number in _DEFAULTS:
            handler = signal.getsignal(number)
            if _is_default(handler):
                signal.signal(number, act)
                previous[number] = handler
    try:
        yield
    finally:
        for number, handler in tuple(previous.items()):
            signal.signal(number, handler)


_DEFAULTS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}


def _is_default(handler: object) -> bool:
    if handler in (signal.SIG_DFL, signal.default_int_handler):
        return True
    # asyncio.run puts a partial of its runner's method in place of Python's own for SIGINT.
    return isinstance(getattr(getattr(handler, "func", None), "__self__", None), asyncio.Runner)
