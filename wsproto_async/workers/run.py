"""run(): a server as a whole program."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from socket import socket
from typing import Any, Final

from ..aio.serve import serve
from ..aio.server import Handler
from ..aio.settings import check_timeout
from ..pubsub.hub import HubBroker
from .process import serve_here
from .sockets import bind_each
from .systemd import listening_sockets
from .worker import BEAT, in_touch

__all__ = ["LOG_FORMAT", "LONGEST", "Load", "run", "run_loaded"]

Load = Callable[[], tuple[Handler, dict[str, Any]]]
"""Called in each process that serves, once: returns the handler, and further options of serve."""

LONGEST: Final = 86_400.0
"""Seconds, a day: what the system calls for timers take, and no mistake for None."""

LOG_FORMAT: Final = "%(asctime)s %(process)d %(levelname)s %(message)s"
"""Of programs with several processes."""

_BINDING: Final = ("host", "reuse_port", "backlog")


def run(
    handler: Handler,
    port: int | None = None,
    *,
    workers: int = 1,
    grace: float | None = 10,
    heartbeat_timeout: float | None = 30,
    **options: Any,
) -> None:
    """Serve until SIGINT (Ctrl-C) or SIGTERM, then close all connections with 1001 and return.

    Handlers have ``grace`` seconds to end, None for as long as they like. A second signal waits for
    nobody: connections are aborted, handlers cancelled, and what does not end even then takes the
    process with it within two seconds, with exit status 1. A process that serves alone takes SIGHUP
    as SIGTERM.

    Runs on uvloop where that is installed. ``options`` are those of :func:`serve`. Without ``port``
    and ``sock`` it serves on the sockets that systemd passed. Unless logging is configured already,
    INFO and above go to stderr.

    With more than one of ``workers`` this process becomes their supervisor, and each worker a
    process forked from it, with an event loop of its own. They share their topics: without a
    ``broker`` by way of a hub, one process more. One that ends by itself is replaced: at once, then
    after pauses from 1 to 30 s. So is one whose event loop stands still for ``heartbeat_timeout``
    seconds, 2 or more, or that takes ten times as long to start; None for never. SIGHUP replaces
    all workers, one after another, without refusing a connection; the new ones run the code of this
    process again, while those of the command line load what is there then. The supervisor takes
    SIGINT, SIGTERM, SIGHUP and SIGCHLD over, whoever handled them.

    Raises OSError if it cannot listen there; ValueError for times above a day, for ``workers``
    below 1, and above 1 where there is no ``os.fork``; RuntimeError if there are other threads or a
    running event loop, which do not survive a fork; SystemExit if the first worker ends before it
    listens, or a worker would not stop.
    """
    serve(handler, port, **options)  # raises here, not in each worker
    run_loaded(
        lambda: (handler, {}),
        port,
        workers=workers,
        grace=grace,
        heartbeat_timeout=heartbeat_timeout,
        **options,
    )


def run_loaded(
    load: Load,
    port: int | None,
    *,
    workers: int,
    grace: float | None,
    heartbeat_timeout: float | None,
    supervised: bool = False,
    is_last: bool = False,
    sock: socket | Sequence[socket] | None = None,
    **options: Any,
) -> None:
    """Do what ``run`` does with a handler that is loaded where it is needed.

    With ``supervised`` one worker has a supervisor too, so that it can be restarted. ``is_last`` is
    for a process that ends then.
    """
    if workers < 1:
        raise ValueError("there must be a worker")
    _check("grace", grace, 0)
    _check("heartbeat_timeout", heartbeat_timeout, 2 * BEAT)
    logging.basicConfig(
        level=logging.INFO,
        format=LOG_FORMAT if workers > 1 else "%(asctime)s %(levelname)s %(message)s",
    )
    if sock is None and port is None:
        sock = listening_sockets() or None

    def make(sock: socket | Sequence[socket] | None) -> serve:
        handler, more = load()
        return serve(handler, port, sock=sock, **(options | more))

    if workers == 1 and not supervised:
        serve_here(lambda: make(sock), grace, is_last=is_last)
        return
    _check_fork()
    shared = [sock] if isinstance(sock, socket) else sock
    if shared is not None:
        socks = [list(shared)] * workers
    elif port is None:
        raise TypeError("run() needs a port or a sock")
    else:
        binding = {name: options.pop(name) for name in _BINDING if name in options}
        socks = bind_each(workers, port, **binding)

    def work(socks: Sequence[socket], channel: socket) -> None:
        serve_here(
            lambda: make(socks),
            grace,
            lambda server: in_touch(server, channel, grace),
            is_last=True,
        )

    # Where there is no fork, there is not all that these modules take from the system.
    from .hub import hub_slot
    from .supervisor import Supervisor

    with ExitStack() as stack:
        for each in socks:
            for one in each:
                stack.callback(one.close)
        hub = None
        if options.get("broker") is None:
            path, hub = stack.enter_context(hub_slot())
            options["broker"] = HubBroker(path)
        status = Supervisor(work, socks, grace, heartbeat_timeout, hub).run()
    if status:
        raise SystemExit(status)


def _check(name: str, seconds: float | None, least: float) -> None:
    check_timeout(name, seconds)
    if seconds is not None and not least <= seconds <= LONGEST:
        raise ValueError(f"{name} must be at least {least:g} s and at most {LONGEST:g} s, or None")


def _check_fork() -> None:
    if not hasattr(os, "fork"):
        raise ValueError("a supervisor needs os.fork")
    if threading.current_thread() is not threading.main_thread() or threading.active_count() > 1:
        raise RuntimeError("workers are forked, so run() must find no other threads")
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("workers are forked, so run() must not be called from an event loop")
