"""What the connections of one event loop have in common."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary, ref

from .inbox import Inbox
from .timer import SharedTimer
from .turns import Turns

__all__ = ["Shared", "shared"]


class Shared:
    """One timer, one place to read into, and one line to wait in."""

    __slots__ = ("__weakref__", "inbox", "timer", "turns")

    def __init__(self) -> None:
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
        found = Shared()
        _by_loop[loop] = ref(found)
    return found
