"""Which thread calls."""

from __future__ import annotations

from threading import get_ident

__all__ = ["current_thread"]


def current_thread() -> int:
    """Return the number of the thread that calls this."""
    return get_ident()
