"""Tasks that live as long as a connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from ..exceptions import ConnectionClosed, ConnectionClosedOK

if TYPE_CHECKING:
    from .protocol import ProtocolCore

__all__ = ["connection_tasks"]


@asynccontextmanager
async def connection_tasks(protocol: ProtocolCore) -> AsyncIterator[asyncio.TaskGroup]:
    """See :meth:`WebSocket.tasks`."""

    async def fail() -> None:
        raise protocol.connection.closed_error()

    def on_lost(watcher: asyncio.Task[None]) -> None:
        if watcher.cancelled():
            return
        failure = fail()
        try:
            tasks.create_task(failure)
        except RuntimeError:  # the group is about to end already
            failure.close()

    watcher = asyncio.get_running_loop().create_task(protocol.wait_lost())
    try:
        async with asyncio.TaskGroup() as tasks:
            watcher.add_done_callback(on_lost)
            yield tasks
    except BaseExceptionGroup as group:
        if group.split(ConnectionClosed)[1] is not None:
            raise
        # Whoever noticed it first, the end of the connection is one error.
        error = protocol.connection.closed_error()
        if not isinstance(error, ConnectionClosedOK):
            raise error from None
    finally:
        watcher.cancel()
