"""SIGINT (Ctrl-C) and SIGTERM: a server that is told to stop stops gracefully."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

__all__ = ["on_stop_signal"]


@contextmanager
def on_stop_signal(*actions: Callable[[], None]) -> Iterator[None]:
    """Call the first action at the first SIGINT or SIGTERM, the second at the second, and so on.

    After the last, signals act as they do in any program.

    A signal that the application handles, or ignores, is left alone, and so are all outside of
    the main thread and on event loops that cannot handle them.
    """
    loop = asyncio.get_running_loop()
    previous: dict[signal.Signals, Any] = {}

    remaining = list(actions)

    def act() -> None:
        action = remaining.pop(0)
        if not remaining:
            for number in previous:
                loop.remove_signal_handler(number)
            previous.clear()
        action()

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if _is_default(handler):
                with suppress(NotImplementedError):  # on Windows Ctrl-C cancels the main task
                    loop.add_signal_handler(number, act)
                    previous[number] = handler
    try:
        yield
    finally:
        for number, handler in previous.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _is_default(handler: object) -> bool:
    if handler in (signal.SIG_DFL, signal.default_int_handler):
        return True
    # asyncio.run puts a partial of its runner's method in place of Python's own for SIGINT.
    return isinstance(getattr(getattr(handler, "func", None), "__self__", None), asyncio.Runner)
