"""run(): a server as a whole program."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .serve import serve
from .server import Handler

__all__ = ["run"]


def run(handler: Handler, port: int | None = None, **options: Any) -> None:
    """Serve until SIGINT (Ctrl-C) or SIGTERM, then close all connections with 1001 and return.

    A second signal waits for nobody: connections are aborted, handlers cancelled.

    Runs on uvloop where that is installed. ``options`` are those of :func:`serve`. Unless logging
    is configured already, INFO and above go to stderr.

    Raises OSError if it cannot listen there.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    # Ctrl-C before the server has started.
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_loop_factory()) as runner:
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
