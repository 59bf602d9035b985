"""What the connections of one event loop have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary, ref

from .clock import clock_of
from .inbox import Inbox
from .timer import SharedTimer
from .turns import Turns

__all__ = ["Shared", "shared"]


class Shared:
    """One timer, one place to read into, one line to wait in, and ``now``, the time in seconds."""

    __slots__ = ("__weakref__", "inbox", "now", "timer", "turns")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now: Callable[[], float] = clock_of(loop)
        self.inbox = Inbox()
        self.timer = SharedTimer()
        self.turns = Turns()


# The connections keep it, and it keeps them, and so the loop: kept here, none of it would ever go.
_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, ref[Shared]] = WeakKeyDictionary()


def shared(loop: asyncio.AbstractEventLoop) -> Shared:
    """Return what the connections of ``loop`` share while there is one."""
    reference = _by_loop.get(loop)
    found = None if reference is None else reference()
    if found is None:
        found = Shared(loop)
        _by_loop[loop] = ref(found)
    return found
