"""run(): a server as a whole program."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from .serve import serve
from .server import Handler

__all__ = ["run"]


def run(handler: Handler, port: int | None = None, **options: Any) -> None:
    """Serve until SIGINT (Ctrl-C) or SIGTERM, then close all connections with 1001 and return.

    Runs on uvloop where that is installed. ``options`` are those of :func:`serve`. A second
    signal does not wait for the connections to close.

    Raises OSError if it cannot listen there.
    """
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(handler, port, options))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(handler: Handler, port: int | None, options: dict[str, Any]) -> None:
    async with serve(handler, port, **options) as server:
        await server.serve_forever()
