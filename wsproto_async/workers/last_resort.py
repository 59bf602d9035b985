"""The certain end of a process that does not end by itself."""

from __future__ import annotations

import _thread
import faulthandler
import os
from contextlib import suppress
from typing import Final

__all__ = ["call_off", "last_resort"]

_STDERR: Final = 2
_BY_FORCE: Final = 0.5  # seconds later, if our thread does not come to it

_called_off: Final[list[_thread.LockType]] = []
"""One for each thread that waits; it lets go of its thread when it is released."""


def last_resort(seconds: float) -> None:
    """Let the process exit in so many seconds, with status 1, whatever it does; show where it was.

    The last call counts. A signal may call it at any time.
    """
    call_off()
    called_off = _thread.allocate_lock()
    called_off.acquire()
    _called_off.append(called_off)
    with suppress(RuntimeError):  # the system has no room for a thread
        # Reads what runs without a lock, and may crash on it: only for who never gives up the GIL.
        faulthandler.dump_traceback_later(seconds + _BY_FORCE, exit=True, file=_STDERR)
        # Not threading: it has locks, which may be held by what the signal came into.
        _thread.start_new_thread(_end_in, (seconds, called_off))


def call_off() -> None:
    """Let the process live on."""
    faulthandler.cancel_dump_traceback_later()
    with suppress(IndexError):  # a signal may have called it off in between
        while True:
            _called_off.pop().release()


def _end_in(seconds: float, called_off: _thread.LockType) -> None:
    if called_off.acquire(timeout=seconds):
        return
    with suppress(OSError):
        os.set_blocking(_STDERR, False)  # nobody may read it
    with suppress(OSError):
        os.write(_STDERR, b"this process does not stop by itself; it is here:\n")
    faulthandler.dump_traceback(_STDERR)
    with suppress(OSError):
        os.set_blocking(_STDERR, True)  # it may be a terminal, which others have as well
    os._exit(1)
