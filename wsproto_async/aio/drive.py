"""How a handler runs in its task.

The compiled build has ``drive.pyx`` instead: there it runs ahead of its task.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from .arrival import Arrival

__all__ = ["drive"]

_T = TypeVar("_T")


def drive(handler: Awaitable[_T], arrival: Arrival) -> Awaitable[_T]:
    """Return what is to be awaited for ``handler``, which waits for ``arrival`` mostly."""
    return handler
