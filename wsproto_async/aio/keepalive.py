"""Keepalive: pings at intervals, and a fair judgement on the peer that does not answer.

Any byte received since the ping proves life. While we ourselves did not read, silence proves
nothing. And before the verdict the loop gets a turn to read what is pending: it may have been the
loop that stood still.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from ..exceptions import ConcurrencyError
from ..sansio.state import OPEN
from .log import who
from .pings import Pings
from .timer import Deadline

if TYPE_CHECKING:
    from .protocol import ProtocolCore

__all__ = ["Keepalive"]

_PING: Final = Deadline.PING


class Keepalive(Pings):
    """The keepalive of one connection, with all of its pings that are on their way."""

    __slots__ = (
        "_is_suspect",
        "_pauses_at_ping",
        "_payload",
        "_received_at_ping",
        "latency",
        "pinged_at",
    )

    def __init__(self) -> None:
        super().__init__()
        self._payload = b""
        self._received_at_ping = 0
        self._pauses_at_ping = 0
        self._is_suspect = False
        self.latency = 0.0
        self.pinged_at = 0.0
        """When the last ping was sent because the interval was over; 0 before."""

    def schedule(self, protocol: ProtocolCore) -> None:
        """Plan the next ping."""
        if protocol.connection.state is OPEN:
            protocol.set_deadline(protocol.settings.ping_interval, _PING)

    def pong_received(self, protocol: ProtocolCore, payload: bytes) -> None:
        """A pong has come, asked for or not."""
        latency = self.answered(payload, protocol.now())
        if latency is not None:
            self.latency = latency
            self.schedule(protocol)

    async def ping(self, protocol: ProtocolCore, payload: bytes | None) -> asyncio.Future[float]:
        """Send a ping for the application and return what will hold its latency."""
        await protocol.sender.gate()
        if payload is None:
            payload = self.new_payload()
        elif payload in self:
            raise ConcurrencyError("a ping with the same payload is waiting for its pong")
        protocol.connection.send_ping(payload)
        waiter: asyncio.Future[float] = protocol.loop.create_future()
        self.sent(payload, protocol.now(), waiter)
        protocol.sender.flush()
        return waiter

    async def pong(self, protocol: ProtocolCore, payload: bytes) -> None:
        """Send an unsolicited pong."""
        await protocol.sender.gate()
        protocol.connection.send_pong(payload)
        protocol.sender.flush()

    def send_ping(self, protocol: ProtocolCore) -> None:
        """The interval is over: send a ping, and set the peer a deadline."""
        # A peer that never answers is still alive if it sends: its old pings would pile up.
        self.forget(self._payload)
        self._payload = payload = self.new_payload()
        protocol.connection.send_ping(payload)
        self.pinged_at = protocol.now()
        self.sent(payload, self.pinged_at, None)
        protocol.sender.flush()
        self._received_at_ping = protocol.bytes_received
        self._pauses_at_ping = protocol.pauses
        self._is_suspect = False
        if protocol.settings.ping_timeout is None:
            self.schedule(protocol)
        else:
            protocol.set_deadline(protocol.settings.ping_timeout, Deadline.PONG)

    def judge(self, protocol: ProtocolCore) -> None:
        """The deadline is over: close the connection if the peer is to blame for its silence."""
        timeout = protocol.settings.ping_timeout
        assert timeout is not None
        if protocol.bytes_received != self._received_at_ping:
            self.schedule(protocol)
        elif protocol.is_reading_paused or protocol.pauses != self._pauses_at_ping:
            self._pauses_at_ping = protocol.pauses
            if not protocol.sender.is_gate_shut:  # else there is enough on its way
                protocol.connection.send_ping(self._payload)  # it fails if nobody is there any more
                protocol.sender.flush()
            protocol.set_deadline(timeout, Deadline.PONG)
        elif not self._is_suspect:
            self._is_suspect = True
            protocol.set_deadline(0, Deadline.PONG)
        else:
            protocol.settings.log.info("keepalive: %s silent for %g s", who(protocol), timeout)
            protocol.close(1011, self.reason(timeout))

    def reason(self, timeout: float) -> str:
        """Return the close reason for a peer that was silent for so many seconds."""
        return f"keepalive: peer silent for {timeout:g} s"
