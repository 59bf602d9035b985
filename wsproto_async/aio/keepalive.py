"""Pings, the pongs that answer them, and whom to blame when none comes."""

from __future__ import annotations

import asyncio
import os

__all__ = ["Keepalive", "Pings"]


class Pings:
    """Pings that wait for their pongs, in the order sent."""

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        self._sent: dict[bytes, tuple[float, asyncio.Future[float] | None]] | None = None

    def __contains__(self, payload: bytes) -> bool:
        return self._sent is not None and payload in self._sent

    def new_payload(self) -> bytes:
        """Return a payload that no ping under way has."""
        while (payload := os.urandom(4)) in self:
            pass
        return payload

    def sent(self, payload: bytes, now: float, waiter: asyncio.Future[float] | None) -> None:
        """Note a ping; ``waiter`` gets the latency."""
        if self._sent is None:
            self._sent = {}
        self._sent[payload] = now, waiter

    def answered(self, payload: bytes, now: float) -> float | None:
        """Note a pong and return the latency in seconds; None for an unsolicited one.

        It answers the earlier pings too (RFC 6455 5.5.3).
        """
        if self._sent is None or payload not in self._sent:
            return None
        latency = now - self._sent[payload][0]
        for earlier in list(self._sent):
            sent_at, waiter = self._sent.pop(earlier)
            if waiter is not None and not waiter.done():
                waiter.set_result(now - sent_at)
            if earlier == payload:
                break
        if not self._sent:
            self._sent = None
        return latency

    def fail(self, error: Exception) -> None:
        """Tell all who wait that no pong will come."""
        sent, self._sent = self._sent, None
        for _, waiter in (sent or {}).values():
            if waiter is not None and not waiter.done():
                waiter.set_exception(error)
                waiter.exception()  # whoever does not ask need not be told


class Keepalive:
    """Judges if the peer is alive.

    Any byte received since the last ping proves life. While we ourselves did not read, silence
    proves nothing. And before the verdict the loop gets a turn to read what is pending: it may
    have been the loop that stood still.
    """

    __slots__ = ("_excused", "_received_at_ping", "_suspect")

    def __init__(self) -> None:
        self._received_at_ping = 0
        self._excused = False
        self._suspect = False

    def ping_sent(self, bytes_received: int) -> None:
        """A ping goes out; ``bytes_received`` counts all bytes of the connection so far."""
        self._received_at_ping = bytes_received
        self._excused = self._suspect = False

    def excuse(self) -> None:
        """Reading was paused for a while."""
        self._excused = True

    def is_alive(self, bytes_received: int) -> bool:
        """Tell if anything came since the ping."""
        return bytes_received != self._received_at_ping

    def needs_more_time(self) -> bool:
        """Tell if the whole wait for the pong has to start again."""
        excused, self._excused = self._excused, False
        return excused

    def is_certain(self) -> bool:
        """Tell if the loop has had its turn since this was asked first."""
        certain, self._suspect = self._suspect, True
        return certain
