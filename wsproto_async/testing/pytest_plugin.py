"""Fixtures for pytest with pytest-asyncio: servers and clients that a test starts as it needs them.

A ``conftest.py`` has ``pytest_plugins = ["wsproto_async.testing.pytest_plugin"]`` for them. This is
no entry point: that would be loaded into every test suite of everybody who has it installed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio

from ..aio.client import connect
from ..aio.serve import serve
from ..aio.server import Handler, Server
from ..aio.websocket import WebSocket
from .failures import Failures
from .server import GRACE

__all__ = ["RunningServer", "ws_client", "ws_server"]


class RunningServer:
    """What ``ws_server`` has started."""

    def __init__(self, server: Server, is_secure: bool) -> None:
        self.server = server
        """The ``Server``."""
        address = server.sockets[0].getsockname()[0]
        host = f"[{address}]" if ":" in address else address
        where = "wss://localhost" if is_secure else f"ws://{host}"
        self.url = f"{where}:{server.port}/"
        """Its address: a URI for ``connect``, with the path ``/``; over TLS, of ``localhost``."""


@pytest_asyncio.fixture
async def ws_server() -> AsyncIterator[Callable[..., Awaitable[RunningServer]]]:
    """Start servers: ``server = await ws_server(handler, **options)``, options being serve()'s.

    Each listens on a free port of this machine, unless ``port`` or ``host`` say otherwise. At the
    end of the test they are closed, and handlers that are still running are cancelled a second
    later. Then what handlers have raised is raised, but for ConnectionClosed.

    Raises what ``serve`` raises, and RuntimeError in another event loop than the fixture's.
    """
    check_loop = _loop_check()
    failures = Failures()
    async with AsyncExitStack() as stack:

        async def start(handler: Handler, **options: Any) -> RunningServer:
            check_loop()
            server = await serve(failures.watch(handler), **{"port": 0, **options})
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close, grace=GRACE)
            return RunningServer(server, options.get("ssl") is not None)

        yield start
    failures.raise_any()


@pytest_asyncio.fixture
async def ws_client() -> AsyncIterator[Callable[..., Awaitable[WebSocket]]]:
    """Connect clients: ``ws = await ws_client(url, **options)``, options being connect()'s.

    At the end of the test they are closed with 1000.

    Raises what ``connect`` raises, and RuntimeError in another event loop than the fixture's.
    """
    check_loop = _loop_check()
    async with AsyncExitStack() as stack:

        async def start(url: str, **options: Any) -> WebSocket:
            check_loop()
            return await stack.enter_async_context(connect(url, **options))

        yield start


def _loop_check() -> Callable[[], None]:
    """Return what raises RuntimeError in another event loop than this: nothing could be closed."""
    own = asyncio.get_running_loop()

    def check() -> None:
        if asyncio.get_running_loop() is not own:
            raise RuntimeError(
                "the test runs in another event loop than its fixtures: see pytest-asyncio's "
                "loop_scope for both; under virtual_clock use serve_in_memory"
            )

    return check
