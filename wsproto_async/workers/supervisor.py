"""The supervisor: it holds the sockets, makes the workers, and makes others when they end.

It has no event loop and never looks at a connection. All that happens comes out of one ``select``:
signals, as bytes of the wake-up descriptor, the workers' signs of life, and time. The hub is one of
them, which is there before the others and after them.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final

from .fork import SUPERVISED, fork, ignore
from .process import EXIT_AFTER_GRACE
from .restart import RollingRestart
from .slot import Slot, Work, WorkerProcess, describe
from .systemd import notify, watchdog_interval
from .worker import ENDING, UNTIL_GRACE

__all__ = ["Supervisor"]

_KILL_AFTER_GRACE: Final = EXIT_AFTER_GRACE + 1.0  # seconds
_KILL_AFTER_SECOND_SIGNAL: Final = 1.0  # seconds
_STARTING: Final = 10  # times heartbeat_timeout, until a worker has to be ready
_STOOD_STILL: Final = 0.5  # seconds that this process is late
_STOPPED: Final = (0, -signal.SIGTERM)  # the latter while it did not serve yet, or any more

_logger = logging.getLogger("wsproto_async.workers")


class Supervisor:
    """Runs one worker for each item of ``socks``, the sockets that this one listens on.

    ``hub`` is the slot of their hub, None if they have none.
    """

    def __init__(
        self,
        work: Work,
        socks: Sequence[Sequence[socket.socket]],
        grace: float | None,
        heartbeat_timeout: float | None,
        hub: Slot | None = None,
    ) -> None:
        self._hub = hub
        self._slots = [Slot(f"worker {number}", work, each) for number, each in enumerate(socks, 1)]
        self._all_slots = self._slots if hub is None else [hub, *self._slots]
        self._grace = grace
        self._heartbeat_timeout = heartbeat_timeout
        self._workers: dict[int, WorkerProcess] = {}
        self._has_served = False
        self._is_complete = False
        self._stop_signals = 0
        self._status = 0
        self._restart = RollingRestart(self._slots, self._fork, self._retire)
        self._is_restart_due = False
        self._selector = selectors.DefaultSelector()
        self._watchdog_interval = watchdog_interval()
        self._now = self._watchdog_at = time.monotonic()

    def run(self) -> int:
        """Supervise until SIGINT or SIGTERM, and return the exit status when no worker is left."""
        with self._signals_as_input(), self._selector:
            # The first worker shows that it can be done, or why it cannot: once, not by each.
            self._start(self._all_slots[0])
            while self._workers or not self._is_stopping:
                self._keep_time(self._wait())
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
        # The descriptor is there as long as the handlers are, which lose what comes without it.
        previous_descriptor = signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        previous = {number: signal.signal(number, ignore) for number in SUPERVISED}
        with self._awake, self._waker:
            try:
                yield
            finally:
                for number, handler in previous.items():
                    signal.signal(number, handler)
                signal.set_wakeup_fd(previous_descriptor)

    def _wait(self) -> float:
        """Wait for something to happen, deal with it, and return when it was."""
        timeout = self._time_left(time.monotonic())
        ready = self._selector.select(timeout)
        before, self._now = self._now, time.monotonic()
        if timeout is not None and self._now - before - timeout > _STOOD_STILL:
            # It was this process that stood still, and perhaps all of them (Ctrl-Z): no blame.
            for worker in self._workers.values():
                worker.heard = self._now
        # Signals come last: they may close the channel of a worker that has ended.
        for key, _ in sorted(ready, key=lambda each: each[0].fileobj is self._awake):
            key.data()
        return self._now

    def _read_signals(self) -> None:
        for number in self._awake.recv(4096):
            if number == signal.SIGHUP:
                self._restart_soon()
            elif number in (signal.SIGINT, signal.SIGTERM):
                self._stop()
        self._reap()

    def _restart_soon(self) -> None:
        self._is_restart_due = True
        why = self._restart.waits_for if self._is_complete else "not all workers are ready yet"
        if why and not self._is_stopping:
            _logger.info("SIGHUP: %s; the restart follows", why)

    def _read_worker(self, worker: WorkerProcess) -> None:
        try:
            signs = worker.channel.recv(4096)
        except ConnectionError:
            signs = b""
        if not signs:
            self._selector.unregister(worker.channel)  # SIGCHLD follows
            return
        worker.heard = time.monotonic()
        if ENDING in signs and not worker.is_ending:
            worker.is_ending = True
            self._lend()
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
        moments = [slot.restart_at for slot in self._all_slots]
        for worker in self._workers.values():
            moments += (worker.killed_at, self._overdue_at(worker))
        if self._watchdog_interval is not None:
            moments.append(self._watchdog_at)
        return min((max(at - now, 0.0) for at in moments if at is not None), default=None)

    def _overdue_at(self, worker: WorkerProcess) -> float | None:
        """When a worker has been silent for too long. While it starts it has more time."""
        if self._heartbeat_timeout is None or worker.why_killed or worker.killed_at is not None:
            return None
        return worker.heard + self._heartbeat_timeout * (1 if worker.is_ready else _STARTING)

    def _keep_time(self, now: float) -> None:
        for worker in self._workers.values():
            if worker.killed_at is not None and now >= worker.killed_at:
                worker.kill("it did not stop in time")
            overdue_at = self._overdue_at(worker)
            if overdue_at is not None and now >= overdue_at:
                what = (
                    "its event loop stood still for" if worker.is_ready else "it was not ready in"
                )
                worker.kill(f"{what} {overdue_at - worker.heard:g} s")
        for slot in self._all_slots:
            if slot.restart_at is not None and now >= slot.restart_at:
                self._start(slot)
        if self._watchdog_interval is not None and now >= self._watchdog_at:
            notify("WATCHDOG=1")
            self._watchdog_at = now + self._watchdog_interval
        if self._is_restart_due and self._can_restart():
            self._is_restart_due = False
            self._restart.begin()

    def _can_restart(self) -> bool:
        return self._is_complete and not self._restart.waits_for and not self._is_stopping

    # Workers come and go

    def _worker_ready(self, worker: WorkerProcess) -> None:
        if self._is_stopping:
            return
        if worker.slot is self._hub:
            _logger.debug("%s is ready", worker)
            if not (self._has_served or self._slots[0].worker):
                self._start(self._slots[0])
            return
        _logger.info("%s is ready", worker)
        if not self._has_served:
            self._has_served = True
            for slot in self._slots[1:]:
                self._start(slot)
        self._restart.worker_ready(worker)
        self._lend()
        if not self._is_complete and all(
            slot.worker is not None and slot.worker.is_ready for slot in self._slots
        ):
            self._is_complete = True
            notify("READY=1")

    def _worker_ended(self, worker: WorkerProcess, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        is_failure = code not in _STOPPED
        how = describe(status)
        if worker.why_killed:
            how = f"killed, {worker.why_killed}"
        if worker is worker.slot.worker:
            worker.slot.worker = None
        if self._is_stopping:
            if is_failure:
                _logger.warning("%s ended: %s", worker, how)
                self._status = self._status or 1
            self._end_hub()
            return
        if not (self._has_served or worker.is_ready):
            _logger.error("%s ended before it was ready: %s; giving up", worker, how)
            self._status = code if code >= 0 else 1
            self._stop()
            return
        if not self._restart.worker_ended(worker, how, is_failure):
            self._replace(worker, how)
        self._lend()

    def _replace(self, worker: WorkerProcess, how: str) -> None:
        now = time.monotonic()
        delay = worker.slot.delay_after(now - worker.born)
        when = f"in {delay:g} s" if delay else "now"
        _logger.warning("%s ended: %s; another one starts %s", worker, how, when)
        if not self._restart.is_starting_in(worker.slot):
            worker.slot.restart_at = now + delay

    def _start(self, slot: Slot) -> None:
        slot.restart_at = None
        try:
            slot.worker = self._fork(slot)
        except OSError as exc:
            if not self._has_served:
                raise
            _logger.warning("%s cannot start: %s", slot.name, exc)
            slot.restart_at = time.monotonic() + slot.delay_after(0.0)

    def _lend(self) -> None:
        """Let the workers that serve accept on the sockets of those that do not.

        The kernel deals them their share, and nobody knows when there will be a worker for it.
        """
        workers = self._workers.values()
        serving = [each for each in workers if each.is_serving and each.slot is not self._hub]
        served = {sock for worker in serving for sock in worker.slot.socks}
        idle = [sock for slot in self._slots for sock in slot.socks if sock not in served]
        idle = list(dict.fromkeys(idle))  # slots may share theirs
        for place, worker in enumerate(serving):
            worker.lend(idle[place :: len(serving)])

    # The end

    def _stop(self) -> None:
        self._stop_signals += 1
        if self._stop_signals == 1:
            notify("STOPPING=1")
            for slot in self._all_slots:
                slot.restart_at = None
                for sock in slot.socks:  # who connects now shall not wait for the last worker
                    sock.close()
        for worker in self._workers.values():
            if worker.slot is self._hub:
                continue
            if self._stop_signals == 1:
                worker.stop(self._end_of_grace())
            elif self._stop_signals == 2:
                worker.stop(time.monotonic() + _KILL_AFTER_SECOND_SIGNAL)
        self._end_hub()

    def _end_hub(self) -> None:
        """Let the hub end if it is the last: until then the others may have something to say."""
        hub = None if self._hub is None else self._hub.worker
        if hub is not None and len(self._workers) == 1 and not hub.is_told_to_end:
            hub.retire(time.monotonic() + _KILL_AFTER_GRACE)

    def _retire(self, worker: WorkerProcess) -> None:
        worker.retire(self._end_of_grace(UNTIL_GRACE))

    def _end_of_grace(self, begins_in: float = 0.0) -> float | None:
        if self._grace is None:
            return None
        return time.monotonic() + begins_in + self._grace + _KILL_AFTER_GRACE

    # The processes

    def _fork(self, slot: Slot) -> WorkerProcess:
        pid, channel = fork(partial(slot.work, slot.socks), partial(self._let_go, slot))
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
        for other in self._all_slots:
            for sock in other.socks:
                if sock not in slot.socks:
                    sock.close()
