"""Making a worker: a process that ends where its work does, and never returns to who made it."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn

from ..exceptions import BrokerError
from .systemd import forget

__all__ = ["SUPERVISED", "fork", "ignore"]

SUPERVISED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
"""The signals that the supervisor handles."""


def fork(
    work: Callable[[socket.socket], None], let_go: Callable[[], None]
) -> tuple[int, socket.socket]:
    """Fork a worker, and return its process and our end of the socket that joins us.

    The worker calls ``let_go``, to close what is the supervisor's, and then ``work`` with its end
    of the socket. What that raises is shown on stderr. SystemExit sets the exit status.

    Raises OSError if there is no room for it.
    """
    ours, theirs = socket.socketpair()
    _flush()
    # A signal that reaches the worker before it has its own handlers would be lost in ours.
    signal.pthread_sigmask(signal.SIG_BLOCK, SUPERVISED)
    try:
        pid = os.fork()
        if pid == 0:
            ours.close()
            _be_worker(work, let_go, theirs)
    except OSError:
        ours.close()
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SUPERVISED)
        theirs.close()
    ours.setblocking(False)
    return pid, ours


def ignore(number: int, frame: FrameType | None) -> None:
    """A handler of signals; other than SIG_IGN it ends where another program begins."""


def _be_worker(
    work: Callable[[socket.socket], None], let_go: Callable[[], None], channel: socket.socket
) -> NoReturn:
    status = 1
    try:
        gc.freeze()  # memory that both have is shared as long as nobody touches it
        signal.set_wakeup_fd(-1)
        let_go()
        forget()
        # A terminal sends these to all processes; what they mean the supervisor says.
        signal.signal(signal.SIGINT, ignore)
        signal.signal(signal.SIGHUP, ignore)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, SUPERVISED)
        work(channel)
        status = 0
    except SystemExit as exc:
        if isinstance(exc.code, str):
            print(exc.code, file=sys.stderr)
        status = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except BrokerError as exc:  # another program is not there: where we are tells nothing
        print(exc, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        # Returning would run the program on that is the supervisor's.
        try:
            _flush()
        finally:
            os._exit(status)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # there is none, or it is closed
            stream.flush()
