"""What the supervisor knows of a worker, and of the place that workers hold one after another.

The hub is a worker too, as far as this goes.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from socket import send_fds, socket
from typing import Final

from .worker import LEND, MOST_LENT, RETIRE

__all__ = ["Slot", "Work", "WorkerProcess", "describe"]

Work = Callable[[Sequence[socket], socket], None]
"""What a worker does, given its listening sockets and the socket to its supervisor."""

_FIRST_DELAY: Final = 1.0  # seconds
_LAST_DELAY: Final = 30.0
_STABLE: Final = 60.0


class WorkerProcess:
    """A process: ``slot`` is its place, ``channel`` our end of the socket to it."""

    def __init__(self, pid: int, channel: socket, slot: Slot, now: float) -> None:
        self.pid = pid
        self.channel = channel
        self.slot = slot
        self.born = now
        self.heard = now
        """When it gave the last sign of life."""
        self.is_ready = False
        self.is_told_to_end = False
        self.is_ending = False
        """It has said that it accepts no more."""
        self.killed_at: float | None = None
        """When it is killed if it still runs; None for never."""
        self.why_killed = ""
        self._lent: Sequence[socket] = []

    @property
    def is_serving(self) -> bool:
        """Tell if it accepts connections, as far as is known."""
        return self.is_ready and not (self.is_told_to_end or self.is_ending)

    def __str__(self) -> str:
        return f"{self.slot.name} (process {self.pid})"

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def stop(self, killed_at: float | None) -> None:
        """Tell it to stop, or once more if it has been told, which it takes as "now"."""
        self.is_told_to_end = True
        self.killed_at = killed_at
        self.send(signal.SIGTERM)

    def retire(self, killed_at: float | None) -> None:
        """Tell it that another worker has taken over."""
        self.is_told_to_end = True
        self.killed_at = killed_at
        with suppress(OSError):  # it has just died
            self.channel.send(RETIRE)

    def lend(self, socks: Sequence[socket]) -> None:
        """Let it accept on these sockets too, and no more on those of the call before."""
        if socks != self._lent:
            with suppress(OSError):  # it has just died, or has long not read
                send_fds(self.channel, [LEND], [sock.fileno() for sock in socks[:MOST_LENT]])
                self._lent = socks

    def kill(self, why: str) -> None:
        self.why_killed = why
        self.killed_at = None
        self.send(signal.SIGKILL)


class Slot:
    """A place for one worker after another, with the sockets that all of them listen on."""

    def __init__(self, name: str, work: Work, socks: Sequence[socket]) -> None:
        self.name = name
        self.work = work
        self.socks = socks
        self.worker: WorkerProcess | None = None
        self.restart_at: float | None = None
        self._failures = 0

    def delay_after(self, lived: float) -> float:
        """Return the seconds until the next worker when one has ended by itself.

        The first time there are none, then 1, and each time twice as many, up to 30. A worker that
        has ``lived`` for a minute makes it the first time again.
        """
        if lived >= _STABLE:
            self._failures = 0
        self._failures += 1
        if self._failures == 1:
            return 0.0
        return min(_FIRST_DELAY * 2.0 ** min(self._failures - 2, 10), _LAST_DELAY)


def describe(status: int) -> str:
    """Return what a status of ``os.waitpid`` says."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"exit status {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
