"""What a server remembers of its connections: counters, and a line for what becomes of each."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection
from time import time
from typing import TYPE_CHECKING, Final, NamedTuple

from ..handshake.http11 import Response
from ..sansio.state import CONNECTING, OPEN
from .log import Log, one_line, who
from .topics import TopicStats
from .websocket import WebSocket

if TYPE_CHECKING:
    from .protocol import ProtocolCore

__all__ = ["DURATIONS", "Record", "ServerStats"]

DURATIONS: Final = (1.0, 10.0, 60.0, 600.0, 3600.0, 21_600.0, 86_400.0)
"""Seconds that connections are told apart by, for how long they were open: up to so many."""


class ServerStats(NamedTuple):
    """Numbers of a server: two of now, the others since it started."""

    connections: int
    """Open connections now."""
    handshakes: int
    """Connections whose opening handshake is under way now."""
    accepted: int
    """Connections opened."""
    refused: int
    """Requests answered by another status than 101, or that broke off."""
    shed: int
    """Those of them that a limit on connections or handshakes has turned away."""
    closed: dict[int, int]
    """Connections that were open and are gone, by close code."""
    messages_received: int
    """Messages that have arrived."""
    messages_sent: int
    """Messages sent."""
    bytes_received: int
    """Bytes from the peers, HTTP included, before TLS."""
    bytes_sent: int
    """Bytes for the peers, HTTP included, before TLS."""
    topics: TopicStats
    """The numbers of topics."""


class Record:
    """Counts for :class:`ServerStats`, and writes to the log.

    ``durations`` counts the connections that are gone by :data:`DURATIONS`, the last item those
    that were open for longer, and ``total_duration`` is the sum in seconds. ``started`` is when
    this began, in seconds since 1970.
    """

    __slots__ = (
        "_accepted",
        "_closed",
        "_log",
        "_refused",
        "_traffic",
        "durations",
        "shed",
        "started",
        "total_duration",
    )

    def __init__(self, log: Log) -> None:
        self._log = log
        self._closed: Counter[int] = Counter()
        self._traffic = (0, 0, 0, 0)  # of the connections that are gone
        self._accepted = 0
        self._refused = 0
        self.shed = 0
        self.started = time()
        self.durations = [0] * (len(DURATIONS) + 1)
        self.total_duration = 0.0

    def opened(self, ws: WebSocket) -> None:
        """A connection is open."""
        self._accepted += 1
        if self._log.has_info():
            self._log.info("open: %s", who(ws._protocol))

    def answered(self, protocol: ProtocolCore, response: Response, why: object) -> None:
        """A request has been answered by another status than 101."""
        self._refused += 1
        if response.status < 400:
            if self._log.has_debug():
                self._log.debug("answered: %s %d", who(protocol), response.status)
        elif self._log.has_info():
            self._log.info("refused: %s %d %s", who(protocol), response.status, one_line(why))

    def failed(self, protocol: ProtocolCore, why: object) -> None:
        """There is no request, or nobody waits for the answer: all day long on a public port."""
        self._refused += 1
        if self._log.has_debug():
            self._log.debug("handshake failed: %s %s", who(protocol), one_line(why))

    def gone(self, ws: WebSocket) -> None:
        """A connection is gone, open or not."""
        traffic = _traffic(ws)
        self._traffic = _sum(self._traffic, traffic)
        protocol = ws._protocol
        if not protocol.is_opened:
            return
        code = ws.close_code or 1006
        self._closed[code] += 1
        duration = protocol.now() - protocol.opened_at
        self.durations[bisect_left(DURATIONS, duration)] += 1
        self.total_duration += duration
        if self._log.has_info():
            self._log.info(
                "closed: %s code=%d duration=%.1fs messages=%d/%d bytes=%d/%d",
                who(protocol),
                code,
                duration,
                *traffic,
            )

    def stats(self, websockets: Collection[WebSocket], topics: TopicStats) -> ServerStats:
        """Return the numbers, of which those that are there still have their part."""
        states = [ws.state for ws in websockets]
        traffic = self._traffic
        for ws in websockets:
            traffic = _sum(traffic, _traffic(ws))
        return ServerStats(
            states.count(OPEN),
            states.count(CONNECTING),
            self._accepted,
            self._refused,
            self.shed,
            dict(self._closed),
            *traffic,
            topics,
        )


_Traffic = tuple[int, int, int, int]


def _traffic(ws: WebSocket) -> _Traffic:
    """Return messages received and sent, and bytes received and sent."""
    protocol = ws._protocol
    return (
        protocol.messages_received(),
        protocol.connection.messages_sent,
        protocol.bytes_received,
        protocol.sender.bytes_sent,
    )


def _sum(some: _Traffic, others: _Traffic) -> _Traffic:
    return (some[0] + others[0], some[1] + others[1], some[2] + others[2], some[3] + others[3])
