"""uvicorn, run in the test's own loop."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from uvicorn import Server

from wsproto_async.uvicorn import WebSocketProtocol

Application = Callable[[Any, Any, Any], Awaitable[Any]]


class Running:
    """A server that runs; ``stop`` is what Ctrl-C does."""

    def __init__(self, server: Server, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self.port: int = sock.getsockname()[1]
        self.uri = f"ws://127.0.0.1:{self.port}/"

    @property
    def protocol(self) -> WebSocketProtocol:
        """The only connection."""
        (protocol,) = self.server.server_state.connections
        assert isinstance(protocol, WebSocketProtocol)
        return protocol

    def is_held_up(self) -> bool:
        """Tell if there is a connection whose peer does not read."""
        connections = self.server.server_state.connections
        return any(
            isinstance(each, WebSocketProtocol) and each.sender.is_gate_shut for each in connections
        )

    async def stop(self) -> None:
        await self.server.shutdown(sockets=[self.sock])


Run = Callable[..., AbstractAsyncContextManager[Running]]
