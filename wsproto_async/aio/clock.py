"""Which clock an event loop goes by."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic

__all__ = ["clock_of"]


def clock_of(loop: asyncio.AbstractEventLoop) -> Callable[[], float]:
    """Return the finest clock, in seconds, that agrees with ``loop.time()``.

    uvloop's own is that of the turn's beginning, in milliseconds. A loop whose time is not the
    system's says so by an attribute ``has_own_time``.
    """
    return loop.time if getattr(loop, "has_own_time", False) else monotonic
