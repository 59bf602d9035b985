"""A look at all connections of a server, a few at a time: the others do not wait for it.

Counters never go back from one survey to the next, though connections end while one is under way:
what they have counted is read from them, or is among those that had gone before it began.
"""

from __future__ import annotations

import asyncio
import os
from bisect import bisect_left
from heapq import nlargest
from time import monotonic
from typing import TYPE_CHECKING, Final

from ..aio.log import who
from ..aio.server import Server
from ..sansio.state import CONNECTING, OPEN
from .snapshot import ROUND_TRIPS, Snapshot

if TYPE_CHECKING:
    from ..aio.protocol import ProtocolCore

__all__ = ["survey", "survey_at_once"]

_AT_ONCE: Final = 500  # connections: less than a millisecond
_SHOWN: Final = 8
_LONGEST: Final = 80  # characters of a topic's name


async def survey(server: Server) -> Snapshot:
    """Return the numbers of a server; other tasks run meanwhile."""
    looking = _Survey(server)
    while looking.go_on():  # noqa: ASYNC110 - others have their turn between two steps
        await asyncio.sleep(0)
    return looking.result()


def survey_at_once(server: Server) -> Snapshot:
    """Return the numbers of a server."""
    looking = _Survey(server)
    while looking.go_on():
        pass
    return looking.result()


class _Survey:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._gone = server._record.stats((), server._topics.stats())
        self._durations = list(server._record.durations)
        self._total_duration = server._record.total_duration
        self._left = list(server._websockets)
        self._open = self._opening = 0
        self._traffic = [0, 0, 0, 0]
        self._buffered = self._behind = self._paused = 0
        self._waiting: list[tuple[int, ProtocolCore]] = []
        self._round_trips = [0] * (len(ROUND_TRIPS) + 1)
        self._round_trip_sum = 0.0

    def go_on(self) -> bool:
        """Look at some connections; tell if there are more."""
        some = self._left[-_AT_ONCE:]
        del self._left[-_AT_ONCE:]
        for protocol in some:
            self._look_at(protocol)
        return bool(self._left)

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
            self._waiting.append((buffered, protocol))
        if latency := protocol.keepalive.latency:
            self._round_trips[bisect_left(ROUND_TRIPS, latency)] += 1
            self._round_trip_sum += latency

    def result(self) -> Snapshot:
        gone = self._gone
        audiences = self._server._topics.audiences.by_name.values()
        return Snapshot(
            worker=os.getpid(),
            started=self._server._record.started,
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
            closed=[[code, count] for code, count in gone.closed.items()],
            round_trips=self._round_trips,
            round_trip_sum=self._round_trip_sum,
            durations=self._durations,
            duration_sum=self._total_duration,
            topics=gone.topics._asdict(),
            largest=[
                [each.name[:_LONGEST], len(each)] for each in nlargest(_SHOWN, audiences, key=len)
            ],
            slowest=[
                [who(protocol), buffered]
                for buffered, protocol in nlargest(_SHOWN, self._waiting, key=lambda pair: pair[0])
            ],
        )
