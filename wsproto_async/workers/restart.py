"""The rolling restart: in each slot a new worker starts, and when it listens the old one goes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from .slot import Slot, WorkerProcess
from .systemd import notify, notify_reloading

__all__ = ["RollingRestart"]

_logger = logging.getLogger("wsproto_async.workers")


class RollingRestart:
    """Restarts the workers of ``slots``, one after another, each time that it is told to begin.

    ``fork`` makes a worker, ``retire`` tells one that another has taken over.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        fork: Callable[[Slot], WorkerProcess],
        retire: Callable[[WorkerProcess], None],
    ) -> None:
        self._slots = slots
        self._fork = fork
        self._retire = retire
        self._to_renew: list[Slot] = []
        self._successor: WorkerProcess | None = None
        self._retiring: WorkerProcess | None = None

    @property
    def waits_for(self) -> str:
        """What it waits for, empty if it is not under way."""
        if self._successor is not None:
            return f"{self._successor} is starting"
        if self._retiring is not None:
            return f"{self._retiring} is ending"
        return ""

    def is_starting_in(self, slot: Slot) -> bool:
        """Tell if a new worker starts there already."""
        return self._successor is not None and self._successor.slot is slot

    def begin(self) -> None:
        _logger.info("restarting the workers, one after another")
        notify_reloading()
        self._to_renew = list(self._slots)
        self._renew_next()

    def worker_ready(self, worker: WorkerProcess) -> None:
        """A new worker serves: the old one may go."""
        if worker is not self._successor:
            return
        slot = worker.slot
        old, slot.worker = slot.worker, worker
        self._successor = None
        slot.restart_at = None
        if old is None:
            self._renew_next()
        else:
            self._retiring = old
            self._retire(old)

    def worker_ended(self, worker: WorkerProcess, how: str, is_failure: bool) -> bool:
        """Tell if that is the business of the restart."""
        if worker is self._retiring:
            if is_failure:
                _logger.warning("%s ended: %s", worker, how)
            self._retiring = None
            self._renew_next()
        elif worker is self._successor:
            _logger.error("%s ended before it was ready: %s; the old ones go on", worker, how)
            self._successor = None
            self._end()
        else:
            return False
        return True

    def _renew_next(self) -> None:
        if not self._to_renew:
            self._end()
            return
        slot = self._to_renew.pop(0)
        slot.restart_at = None
        try:
            self._successor = self._fork(slot)
        except OSError as exc:
            _logger.error("%s cannot start: %s; the old ones go on", slot.name, exc)
            self._end()

    def _end(self) -> None:
        self._to_renew.clear()
        notify("READY=1")
        for slot in self._slots:
            if slot.worker is None and slot.restart_at is None:
                slot.restart_at = time.monotonic()
