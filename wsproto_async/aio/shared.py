"""What the connections of one event loop have in common."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

from .inbox import Inbox
from .timer import SharedTimer

__all__ = ["Shared", "shared"]


class Shared:
    """One timer, and one place to read into."""

    __slots__ = ("inbox", "timer")

    def __init__(self) -> None:
        self.inbox = Inbox()
        self.timer = SharedTimer()


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Shared] = WeakKeyDictionary()


def shared(loop: asyncio.AbstractEventLoop) -> Shared:
    """Return what the connections of ``loop`` share."""
    found = _by_loop.get(loop)
    if found is None:
        found = _by_loop[loop] = Shared()
    return found
