"""The supervisor: it holds the sockets, makes the workers, and makes others when they end.

It has no event loop and never looks at a connection. All that happens comes out of one ``select``:
signals, as bytes of the wake-up descriptor, the workers' signs of life, and time.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from .fork import SUPERVISED, fork, ignore
from .process import EXIT_USAGE, LAST_GRACE
from .slot import Slot, WorkerProcess, describe
from .systemd import notify, notify_reloading, watchdog_interval

__all__ = ["Supervisor", "Work"]

Work = Callable[[Sequence[socket.socket], socket.socket], None]
"""What a worker does, given its listening sockets and the socket to its supervisor."""

_MARGIN: Final = LAST_GRACE + 1.0  # seconds for a worker's end after the grace
_AT_ONCE: Final = 1.0  # the same after a second signal
_STOOD_STILL: Final = 0.5  # seconds that this process is late

_logger = logging.getLogger("wsproto_async.workers")


class Supervisor:
    """Runs one worker for each item of ``socks``, the sockets that this one listens on."""

    def __init__(
        self,
        work: Work,
        socks: Sequence[Sequence[socket.socket]],
        grace: float | None,
        heartbeat_timeout: float | None,
    ) -> None:
        self._work = work
        self._slots = [Slot(number, each) for number, each in enumerate(socks, 1)]
        self._grace = grace
        self._heartbeat_timeout = heartbeat_timeout
        self._workers: dict[int, WorkerProcess] = {}
        self._has_served = False
        self._is_complete = False
        self._stop_signals = 0
        self._status = 0
        self._to_renew: list[Slot] = []
        self._successor: WorkerProcess | None = None
        self._retiring: WorkerProcess | None = None
        self._is_renewal_due = False
        self._selector = selectors.DefaultSelector()
        self._watchdog_interval = watchdog_interval()
        self._watchdog_at = time.monotonic()

    def run(self) -> int:
        """Supervise until SIGINT or SIGTERM, and return the exit status when no worker is left."""
        with self._signals_as_input(), self._selector:
            # The first worker shows that it can be done, or why it cannot: once, not by each.
            self._start(self._slots[0])
            while self._workers or not self._is_stopping:
                self._wait()
                self._keep_time(time.monotonic())
        return self._status

    @property
    def _is_stopping(self) -> bool:
        return self._stop_signals > 0

    # Input

    @contextmanager
    def _signals_as_input(self) -> Iterator[None]:
        self._awake, self._waker = socket.socketpair()
        self._awake.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._awake, selectors.EVENT_READ, self._read_signals)
        previous = {number: signal.signal(number, ignore) for number in SUPERVISED}
        previous_descriptor = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        with self._awake, self._waker:
            try:
                yield
            finally:
                signal.set_wakeup_fd(previous_descriptor)
                for number, handler in previous.items():
                    signal.signal(number, handler)

    def _wait(self) -> None:
        before = time.monotonic()
        timeout = self._time_left(before)
        ready = self._selector.select(timeout)
        now = time.monotonic()
        if timeout is not None and now - before - timeout > _STOOD_STILL:
            # It was this process that stood still, and perhaps all of them (Ctrl-Z): no blame.
            for worker in self._workers.values():
                worker.heard = now
        # Signals come last: they may close the channel of a worker that has ended.
        for key, _ in sorted(ready, key=lambda each: each[0].fileobj is self._awake):
            key.data()

    def _read_signals(self) -> None:
        for number in self._awake.recv(4096):
            if number == signal.SIGHUP:
                self._is_renewal_due = True
            elif number in (signal.SIGINT, signal.SIGTERM):
                self._stop()
        self._reap()

    def _read_worker(self, worker: WorkerProcess) -> None:
        try:
            signs = worker.channel.recv(4096)
        except ConnectionError:
            signs = b""
        if not signs:
            self._selector.unregister(worker.channel)  # SIGCHLD follows
            return
        worker.heard = time.monotonic()
        if not worker.is_ready:
            worker.is_ready = True
            self._worker_ready(worker)

    def _reap(self) -> None:
        for worker in tuple(self._workers.values()):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if pid:
                del self._workers[pid]
                if worker.channel.fileno() in self._selector.get_map():
                    self._selector.unregister(worker.channel)
                worker.channel.close()
                self._worker_ended(worker, status)

    # Time

    def _time_left(self, now: float) -> float | None:
        moments = [slot.restart_at for slot in self._slots]
        for worker in self._workers.values():
            moments += (worker.killed_at, self._silent_at(worker))
        if self._watchdog_interval is not None:
            moments.append(self._watchdog_at)
        return min((max(at - now, 0.0) for at in moments if at is not None), default=None)

    def _silent_at(self, worker: WorkerProcess) -> float | None:
        """When a worker has been silent for too long. While it starts it may take its time."""
        if self._heartbeat_timeout is None or not worker.is_ready or worker.why_killed:
            return None
        return None if worker.is_told_to_end else worker.heard + self._heartbeat_timeout

    def _keep_time(self, now: float) -> None:
        for worker in self._workers.values():
            if worker.killed_at is not None and now >= worker.killed_at:
                worker.kill("it did not stop in time")
            silent_at = self._silent_at(worker)
            if silent_at is not None and now >= silent_at:
                worker.kill(f"its event loop stood still for {self._heartbeat_timeout:g} s")
        for slot in self._slots:
            if slot.restart_at is not None and now >= slot.restart_at:
                self._start(slot)
        if self._watchdog_interval is not None and now >= self._watchdog_at:
            notify("WATCHDOG=1")
            self._watchdog_at = now + self._watchdog_interval
        can_renew = self._is_complete and not self._is_renewing and not self._is_stopping
        if self._is_renewal_due and can_renew:
            self._is_renewal_due = False
            self._begin_renewal()

    # Workers come and go

    def _worker_ready(self, worker: WorkerProcess) -> None:
        if self._is_stopping:
            return
        _logger.info("%s is ready", worker)
        if not self._has_served:
            self._has_served = True
            for slot in self._slots[1:]:
                self._start(slot)
        if worker is self._successor:
            self._succeed(worker)
        if not self._is_complete and all(
            slot.worker is not None and slot.worker.is_ready for slot in self._slots
        ):
            self._is_complete = True
            notify("READY=1")

    def _worker_ended(self, worker: WorkerProcess, status: int) -> None:
        how = describe(status)
        if worker.why_killed:
            how = f"killed, {worker.why_killed}"
        if worker is worker.slot.worker:
            worker.slot.worker = None
        if self._is_stopping:
            if worker.why_killed:
                _logger.warning("%s ended: %s", worker, how)
        elif worker is self._retiring:
            if worker.why_killed:
                _logger.warning("%s ended: %s", worker, how)
            self._retiring = None
            self._renew_next()
        elif worker is self._successor:
            _logger.error("%s ended before it was ready: %s; the others go on", worker, how)
            self._successor = None
            self._end_renewal()
        elif not self._has_served:
            _logger.error("%s ended before it was ready: %s; giving up", worker, how)
            is_usage = os.waitstatus_to_exitcode(status) == EXIT_USAGE
            self._status = EXIT_USAGE if is_usage else 1
            self._stop()
        else:
            self._replace(worker, how)

    def _replace(self, worker: WorkerProcess, how: str) -> None:
        now = time.monotonic()
        delay = worker.slot.delay_after(now - worker.born)
        when = f"in {delay:g} s" if delay else "now"
        _logger.warning("%s ended: %s; another one starts %s", worker, how, when)
        if self._successor is None or self._successor.slot is not worker.slot:
            worker.slot.restart_at = now + delay

    def _start(self, slot: Slot) -> None:
        slot.restart_at = None
        try:
            slot.worker = self._fork(slot)
        except OSError as exc:
            if not self._has_served:
                raise
            _logger.warning("worker %d cannot start: %s", slot.number, exc)
            slot.restart_at = time.monotonic() + slot.delay_after(0.0)

    # The rolling restart

    @property
    def _is_renewing(self) -> bool:
        return bool(self._to_renew) or self._successor is not None or self._retiring is not None

    def _begin_renewal(self) -> None:
        _logger.info("restarting the workers, one after another")
        notify_reloading()
        self._to_renew = list(self._slots)
        self._renew_next()

    def _renew_next(self) -> None:
        if not self._to_renew:
            self._end_renewal()
            return
        slot = self._to_renew.pop(0)
        slot.restart_at = None
        try:
            self._successor = self._fork(slot)
        except OSError as exc:
            _logger.error("worker %d cannot start: %s; the others go on", slot.number, exc)
            self._end_renewal()

    def _succeed(self, worker: WorkerProcess) -> None:
        """A new worker serves: the old one may go."""
        slot = worker.slot
        old, slot.worker = slot.worker, worker
        self._successor = None
        slot.restart_at = None
        if old is None:
            self._renew_next()
        else:
            self._retiring = old
            old.retire(self._end_of_grace())

    def _end_renewal(self) -> None:
        self._to_renew.clear()
        notify("READY=1")
        for slot in self._slots:
            if slot.worker is None and slot.restart_at is None:
                slot.restart_at = time.monotonic()

    # The end

    def _stop(self) -> None:
        self._stop_signals += 1
        if self._stop_signals == 1:
            notify("STOPPING=1")
            for slot in self._slots:
                slot.restart_at = None
        for worker in self._workers.values():
            if self._stop_signals == 1:
                worker.stop(self._end_of_grace())
            elif self._stop_signals == 2:
                worker.stop(time.monotonic() + _AT_ONCE)
            else:
                worker.kill("there was a third signal")

    def _end_of_grace(self) -> float | None:
        return None if self._grace is None else time.monotonic() + self._grace + _MARGIN

    # The processes

    def _fork(self, slot: Slot) -> WorkerProcess:
        pid, channel = fork(partial(self._work, slot.socks), partial(self._let_go, slot))
        worker = self._workers[pid] = WorkerProcess(pid, channel, slot, time.monotonic())
        self._selector.register(channel, selectors.EVENT_READ, partial(self._read_worker, worker))
        return worker

    def _let_go(self, slot: Slot) -> None:
        """In a new worker: close what is ours. Kept open, it would hide our end from the others."""
        self._selector.close()
        self._awake.close()
        self._waker.close()
        for worker in self._workers.values():
            worker.channel.close()
        for other in self._slots:
            for sock in other.socks:
                if sock not in slot.socks:
                    sock.close()
