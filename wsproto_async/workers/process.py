"""A server as the whole of a process: its event loop, its signals, and its certain end."""

from __future__ import annotations

import asyncio
import faulthandler
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Final

from ..aio.serve import serve
from ..aio.server import Server
from ..aio.signals import on_stop_signal
from .systemd import notify, watchdog

__all__ = ["EXIT_USAGE", "LAST_GRACE", "Beside", "last_resort", "serve_here"]

EXIT_USAGE: Final = 2
"""The status of a program that was told to do what cannot be done, as argparse has it."""

LAST_GRACE: Final = 2.0
"""Seconds that a process has for its end after the grace for its handlers."""

_AT_ONCE: Final = 1.5  # the same after a second signal

Beside = Callable[[Server], AbstractContextManager[None]]
"""What goes on beside a server while it runs."""


def serve_here(
    starting: serve, grace: float | None, beside: Beside = lambda _: nullcontext()
) -> None:
    """Serve until SIGINT or SIGTERM, or until the server is closed, and return when all has ended.

    What neither ends nor lets the event loop go on takes the process with it: it exits with
    status 1, and shows on stderr where it was.

    Raises OSError if it cannot listen.
    """
    try:
        # Ctrl-C before the server has started.
        with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(_serve(starting, grace, beside))
    finally:
        faulthandler.cancel_dump_traceback_later()


def last_resort(seconds: float | None) -> None:
    """Let the process exit in so many seconds, whatever it does; the last call counts."""
    # Python's own thread for this needs no lock that a handler could hold.
    if seconds is not None:
        faulthandler.dump_traceback_later(seconds, exit=True, file=2)


async def _serve(starting: serve, grace: float | None, beside: Beside) -> None:
    deadlines = [None if grace is None else grace + LAST_GRACE, _AT_ONCE]
    server: Server | None = None
    is_told = False

    def stop() -> None:
        nonlocal is_told
        is_told = True
        if server is not None:
            notify("STOPPING=1")
            server.close(grace=grace)

    def end_now() -> None:
        if server is not None:
            server._end_now()

    # Before anybody can see that it listens: whoever does may send a signal.
    with on_stop_signal(stop, end_now, at_once=lambda: last_resort(deadlines.pop(0))):
        async with starting as server:
            if is_told:
                stop()
            with watchdog(), beside(server):
                notify("READY=1")
                await server.wait_closed()


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
