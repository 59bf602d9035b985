"""A look at all connections and topics of a server, a few at a time: nobody waits for it.

Counters never go back from one survey to the next, though connections end while one is under way:
what they have counted is read from them, or is among those that had gone before it began. So it is
for topics.
"""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_left
from collections.abc import Iterator
from heapq import heappush, heappushpop
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from ..aio.log import who
from ..aio.server import Server
from ..sansio.state import CONNECTING, OPEN
from .snapshot import ROUND_TRIPS, Snapshot

if TYPE_CHECKING:
    from ..aio.audiences import LocalAudience
    from ..aio.protocol import ProtocolCore

__all__ = ["survey", "survey_at_once"]

_AT_ONCE: Final = 100  # connections or topics: some tenths of a millisecond
_SHOWN: Final = 8
_LONGEST: Final = 80  # characters of a topic's name


async def survey(server: Server) -> Snapshot:
    """Return the numbers of a server; other tasks run meanwhile."""
    looking = _Survey(server)
    for _ in looking.steps():
        await asyncio.sleep(0)
    return looking.result()


def survey_at_once(server: Server) -> Snapshot:
    """Return the numbers of a server."""
    looking = _Survey(server)
    for _ in looking.steps():
        pass
    return looking.result()


class _Survey:
    def __init__(self, server: Server) -> None:
        self._record = server._record
        self._gone = server._record.stats((), server._topics.stats(()))
        self._durations = list(server._record.durations)
        self._total_duration = server._record.total_duration
        self._protocols = list(server._websockets)
        self._audiences = list(server._topics.audiences.by_name.values())
        self._open = self._opening = 0
        self._traffic = [0, 0, 0, 0]
        self._buffered = self._behind = self._paused = 0
        self._round_trips = [0] * (len(ROUND_TRIPS) + 1)
        self._round_trip_sum = 0.0
        self._slowest = _Largest()
        self._subscriptions = self._duplicates = self._refused = 0
        self._largest = _Largest()

    def steps(self) -> Iterator[None]:
        """Look at everything; where this yields, others may have their turn."""
        for number, protocol in enumerate(self._protocols, 1):
            self._look_at(protocol)
            if not number % _AT_ONCE:
                yield
        for number, audience in enumerate(self._audiences, 1):
            self._look_at_topic(audience)
            if not number % _AT_ONCE:
                yield

    def _look_at(self, protocol: ProtocolCore) -> None:
        connection, sender = protocol.connection, protocol.sender
        self._traffic[0] += protocol.messages_received()
        self._traffic[1] += connection.messages_sent
        self._traffic[2] += protocol.bytes_received
        self._traffic[3] += sender.bytes_sent
        if connection.state is CONNECTING:
            self._opening += 1
        if connection.state is not OPEN:
            return
        self._open += 1
        self._behind += sender.is_gate_shut
        self._paused += protocol.is_reading_paused
        if buffered := sender.buffered_amount():
            self._buffered += buffered
            self._slowest.add(buffered, protocol)
        if latency := protocol.keepalive.latency:
            self._round_trips[bisect_left(ROUND_TRIPS, latency)] += 1
            self._round_trip_sum += latency

    def _look_at_topic(self, audience: LocalAudience) -> None:
        subscribers = len(audience)
        self._subscriptions += subscribers
        self._duplicates += audience.duplicates
        self._refused += audience.held.refused
        self._largest.add(subscribers, audience.name)

    def result(self) -> Snapshot:
        gone = self._gone
        topics = gone.topics._replace(
            topics=len(self._audiences),
            subscriptions=self._subscriptions,
            duplicates=gone.topics.duplicates + self._duplicates,
            refused=gone.topics.refused + self._refused,
        )
        return Snapshot(
            worker=os.getpid(),
            started=self._record.started,
            at=monotonic(),
            connections=self._open,
            handshakes=self._opening,
            accepted=gone.accepted,
            refused=gone.refused,
            shed=gone.shed,
            messages_received=gone.messages_received + self._traffic[0],
            messages_sent=gone.messages_sent + self._traffic[1],
            bytes_received=gone.bytes_received + self._traffic[2],
            bytes_sent=gone.bytes_sent + self._traffic[3],
            buffered=self._buffered,
            behind=self._behind,
            paused=self._paused,
            closed=[[code, number] for code, number in gone.closed.items()],
            round_trips=self._round_trips,
            round_trip_sum=self._round_trip_sum,
            durations=self._durations,
            duration_sum=self._total_duration,
            topics=topics._asdict(),
            largest=[[name[:_LONGEST], number] for number, name in self._largest.items()],
            slowest=[[who(protocol), number] for number, protocol in self._slowest.items()],
        )


class _Largest:
    """Of many items the few that have the largest numbers; of equal ones, the first."""

    def __init__(self) -> None:
        self._order = count(0, -1)
        self._heap: list[tuple[int, int, Any]] = []

    def add(self, number: int, item: Any) -> None:
        if len(self._heap) < _SHOWN:
            heappush(self._heap, (number, next(self._order), item))
        elif number > self._heap[0][0]:
            heappushpop(self._heap, (number, next(self._order), item))

    def items(self) -> list[tuple[int, Any]]:
        return [(number, item) for number, _, item in sorted(self._heap, reverse=True)]
