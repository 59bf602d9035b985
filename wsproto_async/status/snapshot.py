"""The numbers of one process at one moment, and how they go to another one."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple, get_origin, get_type_hints

__all__ = ["ROUND_TRIPS", "Snapshot"]

ROUND_TRIPS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds that round trips are told apart by: up to so many."""


class Snapshot(NamedTuple):
    """Numbers of a process: of now, and since it started. Sizes in bytes, times in seconds.

    It holds only what JSON can carry.
    """

    worker: int
    """The process."""
    started: float
    """When its server started, since 1970."""
    at: float
    """When this was, on a clock that never goes back."""
    connections: int
    handshakes: int
    accepted: int
    refused: int
    shed: int
    messages_received: int
    messages_sent: int
    bytes_received: int
    bytes_sent: int
    buffered: int
    """What was sent and has not left for the network."""
    behind: int
    """Connections whose peer has to take something before more is sent."""
    paused: int
    """Connections of which nothing is read, since the handler has enough to do."""
    closed: list[list[int]]
    """Close codes, each with how many connections ended with it."""
    round_trips: list[int]
    """How many open connections have had their last one within :data:`ROUND_TRIPS`, or later."""
    round_trip_sum: float
    durations: list[int]
    """How many connections were open for how long: see ``aio.record``."""
    duration_sum: float
    topics: dict[str, int]
    """The numbers of topics, by their names in :class:`TopicStats`."""
    largest: list[list[Any]]
    """The topics with the most subscribers: names and numbers."""
    slowest: list[list[Any]]
    """The peers for which most waits: who they are, and bytes."""

    def encode(self) -> bytes:
        """Return it for :meth:`decode`."""
        return json.dumps(self, separators=(",", ":")).encode()

    @classmethod
    def decode(cls, data: bytes) -> Snapshot:
        """Return what ``data`` says; raises ValueError for what ``encode`` has not returned.

        Fields have their types; what is in them is the word of a process of this program.
        """
        try:
            found = json.loads(data)
        except RecursionError:
            raise ValueError("nested too deep") from None
        if not isinstance(found, list) or [type(each) for each in found] != _TYPES:
            raise ValueError("not a snapshot")
        return cls(*found)


_TYPES: Final = [get_origin(hint) or hint for hint in get_type_hints(Snapshot).values()]
