"""File descriptors: each connection takes one, and a process may have so many."""

from __future__ import annotations

from typing import Final

from ..exits import UsageError

__all__ = ["make_room"]

_OTHERS: Final = 64  # of the interpreter, the event loop, and of files that are read meanwhile


def make_room(connections: int) -> None:
    """Raise this process's soft limit, if it must be, for so many connections.

    Raises UsageError if the hard limit is too low.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    needed = connections + _OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    except (ValueError, OSError):
        raise UsageError(
            f"{connections:,} connections need {needed:,} file descriptors, and the hard limit is "
            f"{hard:,}: raise it (ulimit -Hn), or take fewer connections"
        ) from None
