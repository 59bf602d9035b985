"""Fixtures for pytest with pytest-asyncio: servers and clients that a test starts as it needs them.

A ``conftest.py`` has ``pytest_plugins = ["wsproto_async.testing.pytest_plugin"]`` for them. This is
no entry point: that would be loaded into every test suite of everybody who has it installed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final

import pytest_asyncio

from ..aio.client import connect
from ..aio.serve import serve
from ..aio.server import Handler, Server
from ..aio.websocket import WebSocket

__all__ = ["RunningServer", "ws_client", "ws_server"]

_GRACE: Final = 1.0  # seconds for handlers that do not end by themselves


class RunningServer:
    """What ``ws_server`` has started."""

    def __init__(self, server: Server, is_secure: bool) -> None:
        self.server = server
        """The ``Server``."""
        self.url = f"{'wss' if is_secure else 'ws'}://127.0.0.1:{server.port}/"
        """Its address: a URI for ``connect``, with the path ``/``."""


@pytest_asyncio.fixture
async def ws_server() -> AsyncIterator[Callable[..., Awaitable[RunningServer]]]:
    """Start servers: ``server = await ws_server(handler, **options)``, options being serve()'s.

    Each listens on a free port of 127.0.0.1. At the end of the test they are closed; handlers that
    are still running are cancelled a second later.
    """
    async with AsyncExitStack() as stack:

        async def start(handler: Handler, **options: Any) -> RunningServer:
            server = await serve(handler, 0, **options)
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close, grace=_GRACE)
            return RunningServer(server, options.get("ssl") is not None)

        yield start


@pytest_asyncio.fixture
async def ws_client() -> AsyncIterator[Callable[..., Awaitable[WebSocket]]]:
    """Connect clients: ``ws = await ws_client(url, **options)``, options being connect()'s.

    At the end of the test they are closed with 1000.
    """
    async with AsyncExitStack() as stack:

        async def start(url: str, **options: Any) -> WebSocket:
            return await stack.enter_async_context(connect(url, **options))

        yield start
