"""Pings on their way: who waits for which pong."""

from __future__ import annotations

import asyncio
import os

__all__ = ["Pings"]


class Pings:
    """Pings that wait for their pongs, in the order sent."""

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        self._sent: dict[bytes, tuple[float, asyncio.Future[float] | None]] | None = None

    def __contains__(self, payload: bytes) -> bool:
        return self._sent is not None and payload in self._sent

    def new_payload(self) -> bytes:
        """Return a payload that no ping on its way has."""
        while (payload := os.urandom(4)) in self:
            pass
        return payload

    def sent(self, payload: bytes, now: float, waiter: asyncio.Future[float] | None) -> None:
        """Note a ping; ``waiter`` gets the latency."""
        if self._sent is None:
            self._sent = {}
        self._sent[payload] = now, waiter

    def forget(self, payload: bytes) -> None:
        """Expect no pong for a ping any more."""
        if self._sent is not None:
            self._sent.pop(payload, None)

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

    def is_waited_for(self) -> bool:
        """Tell if there are pings on their way."""
        return self._sent is not None

    def fail(self, error: Exception) -> None:
        """Tell all who wait that no pong will come."""
        sent, self._sent = self._sent, None
        for _, waiter in (sent or {}).values():
            if waiter is not None and not waiter.done():
                waiter.set_exception(error)
                waiter.exception()  # whoever does not ask need not be told
