"""What connections to all brokers have in common.

What is written in one turn of the loop leaves in one write. When nothing comes any more, and no
answer to a ping, and nothing of what waits to be sent leaves either, the connection is dead: in 4
to 5 seconds.
"""

from __future__ import annotations

import asyncio
from typing import Final, cast

__all__ = ["BrokerConnection"]

_TICK: Final = 1.0  # seconds
_SILENT_TICKS: Final = 4  # after as many without a byte it is dead


class BrokerConnection(asyncio.Protocol):
    """A connection to ``peer``, of which ``ended`` tells when it is over, and why.

    A subclass takes what comes, says ``heard`` each time, and ``watch`` when it wants silence
    noticed.
    """

    def __init__(self, peer: str) -> None:
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._output: list[bytes] = []
        self.is_aborted = False
        self._why = f"closed by {peer}"
        self._has_heard = False
        self._silent = 0
        self._unsent = 0  # bytes, at the last tick
        self._timer: asyncio.TimerHandle | None = None

    def ping(self) -> None:
        """Nothing has come for a while: write something that is answered."""
        raise NotImplementedError

    def lost(self, why: str) -> None:
        """The connection is over."""

    # asyncio's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._transport = None
        why = self._why if exc is None else str(exc) or type(exc).__name__
        self.ended.set_result(why)
        self.lost(why)

    # What owners do

    def write(self, data: bytes) -> None:
        """Write at the end of this turn."""
        if not self._output:
            self._loop.call_soon(self.flush)
        self._output.append(data)

    def flush(self) -> None:
        """Write now."""
        output = b"".join(self._output)
        self._output.clear()
        if output and self._transport is not None and not self._transport.is_closing():
            self._transport.write(output)

    def close(self) -> None:
        """Close when all is written."""
        self.flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self, why: str) -> None:
        """End at once, since it is of no use."""
        self._why = why
        self.is_aborted = True
        if self._transport is not None:
            self._transport.abort()

    # Silence

    def heard(self) -> None:
        """Something has come."""
        self._has_heard = True

    def watch(self) -> None:
        """Notice silence from now on."""
        self._timer = self._loop.call_later(_TICK, self._tick)

    # Ticks are counted, not time: while our own loop stands still there are none.
    def _tick(self) -> None:
        assert self._transport is not None
        before, self._unsent = self._unsent, self._transport.get_write_buffer_size()
        is_alive = self._has_heard or self._unsent < before
        self._silent = 0 if is_alive else self._silent + 1
        self._has_heard = False
        if self._silent == _SILENT_TICKS:
            self.abort(f"silent for {_TICK * _SILENT_TICKS:g} s")
            return
        if self._silent:
            self.ping()
        self._timer = self._loop.call_later(_TICK, self._tick)
