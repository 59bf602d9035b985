"""Applications that are a few lines each, run by uvicorn."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from raw_peer import until
from under_uvicorn import Application, Run, Running
from uvicorn import Config, Server

from wsproto_async.uvicorn import WebSocketProtocol


@pytest.fixture
def run() -> Run:
    """Run an application: ``async with run(app) as server``; options are uvicorn's."""

    @asynccontextmanager
    async def run(
        app: Application, http: str = "httptools", **options: Any
    ) -> AsyncIterator[Running]:
        config = Config(
            app,
            ws=WebSocketProtocol,
            http=http,
            lifespan="off",
            log_config=None,
            **options,
        )
        server = Server(config)
        with socket.create_server(("127.0.0.1", 0)) as sock:
            serving = asyncio.create_task(server.serve(sockets=[sock]))
            await until(lambda: server.started)
            running = Running(server, sock)
            try:
                yield running
            finally:
                await running.stop()
                serving.cancel()
                with suppress(asyncio.CancelledError):
                    await serving

    return run
