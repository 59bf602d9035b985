"""run(): a server as a whole program."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import Any

from .serve import serve
from .server import Handler, Server

__all__ = ["run"]


def run(handler: Handler, port: int, **options: Any) -> None:
    """Serve until SIGINT (Ctrl-C) or SIGTERM, then close all connections with 1001 and return.

    Runs on uvloop where that is installed. ``options`` are those of :func:`serve`. A second
    signal does not wait for the connections to close.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve_until_signal(handler, port, options))


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve_until_signal(handler: Handler, port: int, options: dict[str, Any]) -> None:
    async with serve(handler, port, **options) as server:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(NotImplementedError):  # Windows: Ctrl-C cancels us instead
                loop.add_signal_handler(number, _stop, server, loop)
        await server.wait_closed()


def _stop(server: Server, loop: asyncio.AbstractEventLoop) -> None:
    server.close()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)
