"""What systemd gives a service and wants to hear of it: sockets, readiness, a watchdog.

The protocols of ``sd_listen_fds(3)``, ``sd_notify(3)`` and ``sd_watchdog_enabled(3)``. Where
there is no systemd, nothing happens.
"""

from __future__ import annotations

import asyncio
import errno
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
    """Take over the sockets that systemd passed to this process; without systemd there are none.

    The variables that say so are unset, so that no child believes they are meant for it.

    Raises OSError if they say that there are none for this process, or if one is of no use.
    """
    pid = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", None)
    os.environ.pop("LISTEN_FDNAMES", None)
    if count is None:
        return []
    if pid != str(os.getpid()) or not count.isdecimal() or int(count) == 0:
        why = f"LISTEN_FDS={count} LISTEN_PID={pid} passes no sockets to process {os.getpid()}"
        raise OSError(errno.EINVAL, why)
    last = _FIRST_DESCRIPTOR + int(count)
    return [_listening_socket(each) for each in range(_FIRST_DESCRIPTOR, last)]


def _listening_socket(descriptor: int) -> socket.socket:
    try:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
        if sock.type == socket.SOCK_STREAM and sock.getsockopt(
            socket.SOL_SOCKET, socket.SO_ACCEPTCONN
        ):
            return sock
        sock.close()
    except OSError:
        pass
    why = f"descriptor {descriptor}, passed by LISTEN_FDS, is no listening stream socket"
    raise OSError(errno.EINVAL, why)


def notify(*states: str) -> None:
    """Tell systemd, if it wants to know, in assignments like ``READY=1``."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    if path[0] == "@":
        path = "\0" + path[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)  # a manager that does not read must not stop the event loop
        sock.connect(path)
        sock.send("\n".join(states).encode())


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
