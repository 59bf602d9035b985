"""How a handler runs in its task.

The compiled build has ``drive.pyx`` instead: there it runs ahead of its task.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .arrival import Arrival

__all__ = ["drive"]


def drive(handler: Awaitable[None], arrival: Arrival) -> Awaitable[None]:
    """Return what is to be awaited for ``handler``, which waits for ``arrival`` mostly."""
    return handler
