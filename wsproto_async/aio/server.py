"""Server: the connections behind a listening socket, their handlers, and their end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from socket import socket
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

from ..codec.close import encode_close
from ..exceptions import ConnectionClosed, InvalidState
from ..handshake.http11 import Request, Response
from ..sansio.server import ServerConnection
from ..sansio.state import State
from .flow import Waiters
from .protocol import ProtocolCore, WebSocketProtocol
from .settings import Settings
from .signals import on_stop_signal
from .upgrade import Hooks, answer
from .websocket import WebSocket

__all__ = ["Handler", "Server", "ServerStats"]

Handler = Callable[[WebSocket], Awaitable[None]]

_TASK_NAME: Final = "wsproto_async connection"
_LAST_GRACE: Final = 1.0  # seconds for handlers to end after they were cancelled


class Listener(Protocol):
    """What accepts connections until it is closed."""

    def close(self) -> None: ...


class ServerStats(NamedTuple):
    """Numbers of a server: of now, and since it started."""

    connections: int
    """Open connections."""
    handshakes: int
    """Connections whose opening handshake is under way."""
    accepted: int
    """Connections opened since the start."""
    refused: int
    """Requests answered by another status than 101 since the start."""


class Server:
    """A running server, made by :func:`serve`.

    As an async context manager it closes and waits at the end.
    """

    def __init__(
        self,
        handler: Handler,
        make_connection: Callable[[], ServerConnection],
        hooks: Hooks,
        settings: Settings,
        max_connections: int | None,
    ) -> None:
        self._handler = handler
        self._make_connection = make_connection
        self._hooks = hooks
        self._settings = settings
        self._max_connections = max_connections
        self._loop = asyncio.get_running_loop()
        self._listeners: list[Listener] = []
        self._sockets: tuple[socket, ...] = ()
        self._port: int | None = None
        self._websockets: dict[ProtocolCore, WebSocket] = {}
        self._admitted = 0
        self._lingering: set[asyncio.Task[None]] = set()  # whose connections are gone
        # One of each for all connections.
        self._on_task_done = self._task_done
        self._context = copy_context()
        self._gone = Waiters()
        self._closing: asyncio.Task[None] | None = None
        self._accepted = 0
        self._refused = 0

    def make_protocol(self) -> WebSocketProtocol:
        """Return the protocol for a new connection: a factory for ``loop.create_server``."""
        return WebSocketProtocol(self, self._make_connection(), self._settings, self._loop)

    def listen_with(self, listener: Listener, *sockets: socket) -> None:
        """Take over what accepts the connections of ``sockets``."""
        self._listeners.append(listener)
        self._sockets += sockets
        address = self._sockets[0].getsockname()
        self._port = address[1] if isinstance(address, tuple) else None

    def stop_listening(self) -> None:
        """Accept no more connections."""
        for listener in self._listeners:
            listener.close()

    # What it is

    @property
    def sockets(self) -> tuple[socket, ...]:
        """The listening sockets."""
        return self._sockets

    @property
    def port(self) -> int:
        """The port of the first listening socket: what ``port=0`` has become.

        Raises InvalidState on a Unix socket, which has none.
        """
        if self._port is None:
            raise InvalidState("a server on a Unix socket has no port")
        return self._port

    @property
    def connections(self) -> frozenset[WebSocket]:
        """The open connections at this moment."""
        is_open = State.OPEN
        return frozenset(
            [
                ws
                for protocol, ws in self._websockets.items()
                if protocol.connection.state is is_open
            ]
        )

    def is_serving(self) -> bool:
        """Tell if new connections are accepted."""
        return bool(self._listeners) and self._closing is None

    def stats(self) -> ServerStats:
        """Return the server's numbers."""
        states = [ws.state for ws in self._websockets.values()]
        return ServerStats(
            connections=states.count(State.OPEN),
            handshakes=states.count(State.CONNECTING),
            accepted=self._accepted,
            refused=self._refused,
        )

    # The end

    async def serve_forever(self) -> None:
        """Serve until ``close``, or until SIGINT (Ctrl-C) or SIGTERM, and wait for the end.

        A second signal cancels the handlers and aborts the connections. Signals that the
        application handles itself are left to it. Cancelling closes the server.
        """
        try:
            with on_stop_signal(self.close, self._end_now):
                while self._closing is None:
                    await self._gone.wait()
                await self.wait_closed()
        finally:
            self.close()
            await self.wait_closed()

    def close(self, code: int = 1001, reason: str = "", grace: float | None = 10) -> None:
        """Begin to close the server; ``wait_closed`` waits for the end. Does nothing if closing.

        No more connections are accepted, handshakes under way are answered by 503, open
        connections closed with ``code`` and ``reason``. Handlers have ``grace`` seconds to end,
        None for as long as they like; then they are cancelled and the connections aborted.

        Raises ValueError for a code or a reason that may not be sent.
        """
        encode_close(code, reason)
        if self._closing is not None:
            return
        self.stop_listening()
        self._closing = self._loop.create_task(self._shut_down(code, reason, grace))
        self._gone.wake()

    async def wait_closed(self) -> None:
        """Wait until all connections and handlers have ended, after ``close``."""
        while self._closing is None:
            await self._gone.wait()
        await asyncio.shield(self._closing)

    async def _shut_down(self, code: int, reason: str, grace: float | None) -> None:
        for protocol in tuple(self._websockets):
            if protocol.connection.state is State.CONNECTING:
                self._turn_away(protocol, "server is shutting down")
            else:
                protocol.close(code, reason)
        if await self._are_gone_within(grace):
            return
        self._end_now()
        if not await self._are_gone_within(_LAST_GRACE):
            self._settings.logger.warning("%d handlers ignore cancellation", len(self._lingering))

    def _end_now(self) -> None:
        for task in tuple(self._lingering):
            task.cancel()
        for protocol in tuple(self._websockets):
            if protocol.task is not None:
                protocol.task.cancel()
            protocol.abort()

    async def _are_gone_within(self, grace: float | None) -> bool:
        try:
            async with asyncio.timeout(grace):
                while self._websockets or self._lingering:
                    await self._gone.wait()
        except TimeoutError:
            return False
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
        await self.wait_closed()

    # Called by the protocols

    def connection_made(self, protocol: ProtocolCore) -> None:
        self._websockets[protocol] = WebSocket(protocol, self)
        if self._closing is not None:
            self._turn_away(protocol, "server is shutting down")

    def handshake_received(self, protocol: ProtocolCore, message: Request | Response) -> None:
        run = self._run(protocol, self._websockets[protocol])
        task = self._loop.create_task(run, name=_TASK_NAME, context=self._context.copy())
        protocol.task = task
        task.add_done_callback(self._on_task_done, context=self._context)

    def handshake_failed(self, protocol: ProtocolCore) -> None:
        self._refused += 1
        self._settings.logger.debug("handshake failed: %s", protocol.connection.error)

    def handshake_expired(self, protocol: ProtocolCore) -> None:
        self._settings.logger.debug("handshake timed out")
        if protocol.task is None:
            protocol.abort()
        else:
            self._turn_away(protocol, "handshake timed out")

    def connection_lost(self, protocol: ProtocolCore) -> None:
        del self._websockets[protocol]
        self._dismiss(protocol)
        if protocol.task is not None and not protocol.task.done():
            self._lingering.add(protocol.task)
            if not protocol.is_opened:
                protocol.task.cancel()
        self._gone.wake()

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._lingering.discard(task)
        self._gone.wake()

    # One connection

    def _turn_away(self, protocol: ProtocolCore, why: str) -> None:
        if protocol.task is not None:
            protocol.task.cancel()
        self._refuse(protocol, Response(503, body=f"{why}\n"))

    def _refuse(self, protocol: ProtocolCore, response: Response) -> None:
        self._refused += 1
        self._dismiss(protocol)
        assert isinstance(protocol.connection, ServerConnection)
        protocol.connection.send_response(response)
        protocol.begin_end()

    def _dismiss(self, protocol: ProtocolCore) -> None:
        """The connection counts no more in ``max_connections``."""
        if protocol.is_admitted:
            protocol.is_admitted = False
            self._admitted -= 1

    async def _run(self, protocol: ProtocolCore, ws: WebSocket) -> None:
        if not await self._open(protocol, ws):
            return
        code = 1011
        try:
            await protocol.drive(self._handler(ws))
            code = 1000
        except asyncio.CancelledError:
            code = 1001
            raise
        except Exception as exc:
            # A handler may leave it to us that its connection was closed.
            if ws.state is State.OPEN or not _is_closed_error(exc):
                self._settings.logger.exception("connection handler failed")
        finally:
            protocol.close(code, "")
        await protocol.wait_lost()

    async def _open(self, protocol: ProtocolCore, ws: WebSocket) -> bool:
        """Answer the request and tell if the connection is open."""
        connection = protocol.connection
        assert isinstance(connection, ServerConnection)
        if self._max_connections is not None and self._admitted >= self._max_connections:
            response = Response(503, headers={"Retry-After": "5"}, body="too many connections\n")
        else:
            self._admitted += 1
            protocol.is_admitted = True
            response = await answer(ws, connection, self._hooks, self._settings.logger)
        if connection.state is not State.CONNECTING:
            return False  # the peer has gone, or the time is over
        if response.status != 101:
            self._refuse(protocol, response)
            return False
        connection.send_response(response)
        self._accepted += 1
        protocol.handshake_completed()
        return True


def _is_closed_error(exc: Exception) -> bool:
    if isinstance(exc, ExceptionGroup):
        return exc.split(ConnectionClosed)[1] is None
    return isinstance(exc, ConnectionClosed)
