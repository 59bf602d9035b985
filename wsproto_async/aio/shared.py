"""What the connections of one event loop have in common."""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary, ref

from .inbox import Inbox
from .timer import SharedTimer

__all__ = ["Shared", "shared"]


class Shared:
    """One timer, and one place to read into."""

    __slots__ = ("__weakref__", "inbox", "timer")

    def __init__(self) -> None:
        self.inbox = Inbox()
        self.timer = SharedTimer()


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
