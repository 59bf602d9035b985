"""A server as the whole of a process: its event loop, its signals, and its certain end."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from types import FrameType
from typing import Final

from ..aio.serve import serve
from ..aio.server import Server
from ..aio.signals import on_stop_signal
from .last_resort import call_off, last_resort
from .systemd import notify, watchdog

__all__ = [
    "EXIT_AFTER_GRACE",
    "EXIT_USAGE",
    "Beside",
    "close",
    "loop_factory",
    "serve_here",
]

EXIT_USAGE: Final = 2
"""The status of a program that was told to do what cannot be done, as argparse has it."""

EXIT_AFTER_GRACE: Final = 5.0
"""Seconds after the grace for its handlers until a process exits that has not ended."""

_EXIT_AFTER_SECOND_SIGNAL: Final = 1.5

# Windows has no SIGHUP.
_STOP_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)

Beside = Callable[[Server], AbstractContextManager[None]]
"""What goes on beside a server while it runs."""


def serve_here(
    make: Callable[[], serve],
    grace: float | None,
    beside: Beside = lambda _: nullcontext(),
    *,
    is_last: bool = False,
) -> None:
    """Make a server, serve until SIGINT, SIGTERM, SIGHUP or its end, and return when all has ended.

    With ``is_last`` nothing follows but the end of the process, and these signals are ignored from
    then on: they would change its exit status.

    What neither ends nor lets the event loop go on takes the process with it: it exits with
    status 1, and shows on stderr where it was.

    Raises what ``make`` raises, and OSError if it cannot listen.
    """
    with suppress(KeyboardInterrupt):
        try:
            with _signals_interrupt(is_last):
                starting = make()
                runner = asyncio.Runner(loop_factory=loop_factory())
                try:
                    with _signals_wait():  # else one could leave a loop behind that nobody closes
                        runner.get_loop()
                    runner.run(_serve(starting, grace, beside))
                finally:
                    runner.close()
        finally:
            call_off()


def close(server: Server, grace: float | None) -> None:
    """Close a server; if it then does not end, the process does."""
    server.close(grace=grace)
    if grace is not None:
        last_resort(grace + EXIT_AFTER_GRACE)


@contextmanager
def _signals_interrupt(is_last: bool) -> Iterator[None]:
    """Let the others act like Ctrl-C until the server has started.

    By default they would kill the process at once, or, if it is process 1, do nothing at all.
    """
    taken = {}
    if threading.current_thread() is threading.main_thread():
        found = {each: signal.getsignal(each) for each in _STOP_SIGNALS}
        own = (signal.SIG_DFL, signal.default_int_handler)
        taken = {each: handler for each, handler in found.items() if handler in own}
    for number in taken:
        signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, signal.SIG_IGN if is_last else handler)


@contextmanager
def _signals_wait() -> Iterator[None]:
    """Let them act at the end, where the system can."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def _serve(starting: serve, grace: float | None, beside: Beside) -> None:
    deadlines = [None if grace is None else grace + EXIT_AFTER_GRACE, _EXIT_AFTER_SECOND_SIGNAL]
    server: Server | None = None
    serving = asyncio.current_task()
    assert serving is not None
    is_told = False

    def at_once() -> None:
        seconds = deadlines.pop(0)
        if seconds is not None:
            last_resort(seconds)

    def stop() -> None:
        nonlocal is_told
        is_told = True
        if server is None:
            serving.cancel()  # it may wait for its broker
        else:
            notify("STOPPING=1")
            server.close(grace=grace)

    def end_now() -> None:
        if server is not None:
            server._end_now()

    # Before anybody can see that it listens: whoever does may send a signal.
    with on_stop_signal(
        stop, end_now, at_once=at_once, numbers=_STOP_SIGNALS, afterwards=_end_soon
    ):
        try:
            server = await starting
        except asyncio.CancelledError:
            if is_told:
                return
            raise
        async with server:
            if is_told:
                stop()
            with watchdog(), beside(server):
                notify("READY=1")
                await server.wait_closed()


def _end_soon(number: int, frame: FrameType | None) -> None:
    """A signal comes while the event loop is closed: an exception there would leave half of it."""
    last_resort(_EXIT_AFTER_SECOND_SIGNAL)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes uvloop's loops, None if it is not installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
