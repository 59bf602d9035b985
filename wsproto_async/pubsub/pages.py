"""Reading a history over a connection: page by page, and all of it or nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from .broker import Missed, Retention
from .publication import Position
from .wire import decode

__all__ = ["Page", "read_pages"]

Page = tuple[Position, list[bytes] | None]
"""Where a history stands, and some of what follows a position; None if not all of it is kept."""


async def read_pages(
    topic: str,
    since: Position | None,
    retention: Retention,
    page: Callable[[Position | None], Awaitable[Page]],
    refused: Callable[[str], None],
) -> Missed:
    """Return what was published after ``since``; ``refused`` is told of what is no publication."""
    position, found = await page(since)
    if since is None:
        return Missed(position, [])
    if found is None:
        return Missed(position, None)
    missed = position.offset - since.offset
    if missed > retention.size:
        return Missed(position, None)
    while len(found) < missed:
        _, more = await page(Position(position.epoch, since.offset + len(found)))
        if not more:
            return Missed(position, None)  # it was dropped in between
        found += more
    try:
        publications = [
            decode(topic, data, Position(position.epoch, offset))
            for offset, data in enumerate(found[:missed], since.offset + 1)
        ]
    except ValueError as exc:
        refused(str(exc))
        return Missed(position, None)
    return Missed(position, publications)
