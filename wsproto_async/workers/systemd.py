"""What systemd gives a service and wants to hear of it: sockets, readiness, a watchdog.

The protocols of ``sd_listen_fds(3)``, ``sd_notify(3)`` and ``sd_watchdog_enabled(3)``. Where
there is no systemd, nothing happens.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

__all__ = [
    "forget",
    "listening_sockets",
    "notify",
    "notify_reloading",
    "watchdog",
    "watchdog_interval",
]

_FIRST_DESCRIPTOR: Final = 3


def listening_sockets() -> list[socket.socket]:
    """Take over the sockets that systemd passed to this process; there may be none.

    The variables that say so are unset, so that no child believes they are meant for it.
    """
    pid = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    descriptors = range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count))
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return [socket.socket(fileno=descriptor) for descriptor in descriptors]


def notify(*states: str) -> None:
    """Tell systemd, if it wants to know, in assignments like ``READY=1``."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    if path[0] == "@":
        path = "\0" + path[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(path)
        sock.sendall("\n".join(states).encode())


def notify_reloading() -> None:
    """Tell systemd that a restart of the workers has begun; ``READY=1`` ends it."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notify("RELOADING=1", f"MONOTONIC_USEC={now}")


def watchdog_interval() -> float | None:
    """Return in how many seconds systemd wants to hear ``WATCHDOG=1``, None for never.

    That is half of the time after which it gives this process up.
    """
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdecimal() or pid != str(os.getpid()):
        return None
    return int(microseconds) / 2e6 or None


@contextmanager
def watchdog() -> Iterator[None]:
    """Keep systemd's watchdog quiet while the running event loop does not stand still."""
    loop = asyncio.get_running_loop()
    interval = watchdog_interval()
    timer: asyncio.TimerHandle | None = None

    def tell() -> None:
        nonlocal timer
        assert interval is not None
        notify("WATCHDOG=1")
        timer = loop.call_later(interval, tell)

    if interval is not None:
        tell()
    try:
        yield
    finally:
        if timer is not None:
            timer.cancel()


def forget() -> None:
    """Be silent in this process and its children: systemd listens to their parent."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        os.environ.pop(name, None)
