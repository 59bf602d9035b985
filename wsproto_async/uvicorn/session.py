"""One connection and the application: ASGI's events <-> messages (ASGI 3.0, WebSocket 2.4).

Law: the application can do what it likes, in any order: what it may not do raises, and whatever
it does the peer gets one answer, and one end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Container, Iterable, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from uvicorn.config import Config
from uvicorn.logging import TRACE_LOG_LEVEL
from uvicorn.protocols.utils import (
    ClientDisconnected,
    get_client_addr,
    get_path_with_query_string,
)
from uvicorn.server import ServerState

from ..aio.calls import send_message
from ..aio.flow import Waiters
from ..aio.log import who
from ..aio.websocket import WebSocket
from ..exceptions import ConnectionClosed, HandshakeError
from ..handshake.http11 import Request, Response
from ..handshake.server import check_upgrade, refusal
from ..sansio.server import ServerConnection
from ..sansio.state import CONNECTING
from .scope import make_scope

if TYPE_CHECKING:
    from ..aio.protocol import ProtocolCore
    from .protocol import WebSocketProtocol

__all__ = ["Session"]

_LOG: Final = logging.getLogger("uvicorn.error")

_BODILESS: Final = (204, 304)
_FRAMING: Final = (b"transfer-encoding", b"connection")  # which are ours to say

Event = dict[str, Any]
Fields = Iterable[tuple[bytes, bytes]]


class _Stage(Enum):
    ASKED = auto()  # the application has not answered the request
    OPEN = auto()
    REFUSING = auto()  # it has begun to
    ENDED = auto()  # it has refused the request, or closed the connection, or we have


class Session:
    """Runs the application for one connection; the owner of the connection's protocol."""

    __slots__ = (
        "_config",
        "_has_ended",
        "_is_body_left",
        "_is_end_told",
        "_is_receiving",
        "_is_shut_down",
        "_is_told",
        "_line",
        "_offered",
        "_protocol",
        "_refusal",
        "_scope",
        "_server_state",
        "_stage",
        "_state",
    )

    def __init__(
        self,
        protocol: WebSocketProtocol,
        config: Config,
        server_state: ServerState,
        state: dict[str, Any],
    ) -> None:
        self._protocol = protocol
        self._config = config
        self._server_state = server_state
        self._state = state
        self._scope: Any = None
        self._stage = _Stage.ASKED
        self._offered: list[str] = []
        self._is_told = False  # that there is a request
        self._is_end_told = False
        self._is_receiving = False
        self._line: Waiters | None = None  # who wants to receive next, until somebody does
        self._is_shut_down = False
        self._has_ended = False  # what is over is so by the application's word
        self._refusal: Response | None = None  # until its body comes
        self._is_body_left = False  # for a response that has none

    # Called by the protocol

    def connection_made(self, protocol: ProtocolCore) -> None:
        self._trace("WebSocket connection made")

    def handshake_received(self, protocol: ProtocolCore, message: Request | Response) -> None:
        assert isinstance(message, Request)
        try:
            check_upgrade(message)
            ws = WebSocket(self._protocol)
            self._scope = make_scope(ws, self._config, self._state)
        except HandshakeError as exc:
            protocol.settings.log.info("refused: %s %s", who(protocol), exc)
            self._refuse(refusal(exc))
            return
        self._offered = self._scope["subprotocols"]
        task = protocol.loop.create_task(self._run())
        protocol.task = task
        self._server_state.tasks.add(task)
        task.add_done_callback(self._server_state.tasks.discard)

    def handshake_failed(self, protocol: ProtocolCore) -> None:
        """The connection itself has refused a request that is no HTTP."""
        protocol.settings.log.info("refused: %s %s", who(protocol), protocol.connection.error)

    def handshake_expired(self, protocol: ProtocolCore) -> None:
        """There is no deadline: the request is there before the connection."""

    def connection_lost(self, protocol: ProtocolCore) -> None:
        self._trace("WebSocket connection lost")

    def shut_down(self) -> None:
        """Close the connection, or refuse the request, since the server stops."""
        if self._stage is _Stage.OPEN:
            self._is_shut_down = True
            self._protocol.close(1012, "")
            self._protocol.wake_receiver()
        elif self._stage is _Stage.ASKED:
            self._refuse(Response(503, headers=[("Retry-After", "5")], body="Service Unavailable"))
        else:
            self._protocol.hang_up()

    # The application

    async def _run(self) -> None:
        try:
            application: Any = self._config.loaded_app(self._scope, self.receive, self.send)
            result: Any = await self._protocol.drive(application)
        except (ClientDisconnected, ConnectionClosed):
            pass  # that it does not want to know
        except KeyboardInterrupt:
            raise
        except BaseException as exc:
            task = asyncio.current_task()
            if isinstance(exc, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            log = self._protocol.settings.log
            log.exception("Exception in ASGI application", who(self._protocol), exc)  # type: ignore[arg-type]
        else:
            if self._is_unanswered():
                _LOG.error("ASGI callable returned without completing handshake.")
            elif result is not None:
                _LOG.error("ASGI callable should return None, but returned '%s'.", result)
        finally:
            self._end()

    def _is_unanswered(self) -> bool:
        """Tell if the peer still waits for an answer to its request."""
        return self._stage is _Stage.ASKED and self._protocol.connection.state is CONNECTING

    def _end(self) -> None:
        """The application is done: what it has left open ends."""
        if self._is_unanswered():
            self._refuse(Response(500, body="Internal Server Error"))
        elif self._refusal is not None:
            self._refuse(self._refusal)
        elif self._is_left_open():
            self._protocol.hang_up()

    def _is_left_open(self) -> bool:
        stands = self._stage in (_Stage.OPEN, _Stage.REFUSING)
        return stands and self._protocol.connection.close_sent is None

    async def receive(self) -> Event:
        """Return the next event; after the end always ``websocket.disconnect``.

        Several tasks that wait for one get one each. Cancelling loses no message.
        """
        if not self._is_told:
            self._is_told = True
            return {"type": "websocket.connect"}
        while self._is_receiving:
            if self._line is None:
                self._line = Waiters()
            await self._line.wait()
        self._is_receiving = True
        try:
            return await self._next_event()
        finally:
            self._is_receiving = False
            if self._line is not None:
                self._line.wake()

    async def _next_event(self) -> Event:
        protocol = self._protocol
        while self._stage in (_Stage.ASKED, _Stage.REFUSING) and not protocol.is_lost:
            await protocol.sender.change()
        if not protocol.is_opened or self._is_end_told:
            return self._disconnected()
        try:
            while not protocol.has_message():
                if self._stage is _Stage.ENDED or self._is_shut_down:
                    return self._disconnected()
                try:
                    await protocol.begin_wait()
                finally:
                    protocol.end_wait()
        except ConnectionClosed:
            return self._disconnected()
        message = protocol.take_message()
        protocol.resume_when_read()
        kind = "text" if type(message) is str else "bytes"
        return {"type": "websocket.receive", kind: message}

    def _disconnected(self) -> Event:
        self._is_end_told = True
        event: Event = {"type": "websocket.disconnect", "code": 1006}
        if not self._protocol.is_opened:
            return event
        connection = self._protocol.connection
        close = connection.close_received if connection.received_first else connection.close_sent
        if close is not None:
            event["code"] = close.code
            if not self._is_shut_down:
                event["reason"] = close.reason
        return event

    async def send(self, event: Mapping[str, Any]) -> None:
        """Take an event from the application.

        Waits while more than 64 KiB wait for the peer. Raises ClientDisconnected, an OSError,
        after the end, and RuntimeError for what does not come next.
        """
        kind = event["type"]
        if self._stage is _Stage.OPEN and kind == "websocket.send":
            try:
                await send_message(self._protocol, _data_of(event), None, None)
            except ConnectionClosed:
                raise ClientDisconnected from None
        elif self._protocol.is_lost:
            raise ClientDisconnected
        elif self._stage is _Stage.ASKED:
            self._answer(kind, event)
        elif self._stage is _Stage.REFUSING:
            _expect(kind, "websocket.http.response.body")
            await self._send_body(event)
        elif self._stage is _Stage.OPEN:
            _expect(kind, "websocket.send", "websocket.close")
            code, reason = event.get("code", 1000), event.get("reason") or ""
            self._protocol.close_by_application(code, reason)
            self._stage = _Stage.ENDED
            self._has_ended = True
            self._protocol.wake_receiver()
        elif not self._has_ended:
            raise ClientDisconnected
        else:
            raise RuntimeError(
                f"Unexpected ASGI message '{kind}', after sending 'websocket.close'."
            )

    # The answer to the request

    def _answer(self, kind: str, event: Mapping[str, Any]) -> None:
        _expect(kind, "websocket.accept", "websocket.close", "websocket.http.response.start")
        if self._protocol.connection.state is not CONNECTING:
            raise ClientDisconnected
        if kind == "websocket.accept":
            self._accept(event)
        elif kind == "websocket.close":
            self._log("403")
            self._has_ended = True
            self._refuse(Response(403))
        else:
            status = event["status"]
            if status == 101 or not 200 <= status < 600:
                raise RuntimeError(f"Invalid HTTP status code '{status}' in response.")
            left_out = _FRAMING if status not in _BODILESS else (*_FRAMING, b"content-length")
            response = Response(status, headers=_decoded(event.get("headers", ()), left_out))
            self._log(str(status))
            self._refusal = response
            self._stage = _Stage.REFUSING

    def _accept(self, event: Mapping[str, Any]) -> None:
        subprotocol = event.get("subprotocol") or None
        if subprotocol is not None and subprotocol not in self._offered:
            # With it the client would have to fail the connection (RFC 6455 4.1).
            log = self._protocol.settings.log
            log.info("%s offers no subprotocol %s", who(self._protocol), subprotocol)
            subprotocol = None
        response = self._connection.accept(lambda offered: subprotocol)
        if response.status != 101:
            self._refuse(response)
            raise ClientDisconnected
        headers = (*self._server_state.default_headers, *event.get("headers", ()))
        for name, value in _decoded(headers):
            response.headers.add(name, value)
        self._log("[accepted]")
        self._connection.send_response(response)
        self._stage = _Stage.OPEN
        self._protocol.handshake_completed()
        self._protocol.sender.wake()

    def _refuse(self, response: Response) -> None:
        if self._protocol.connection.state is CONNECTING:
            self._connection.send_response(response)
            self._protocol.begin_end()
        self._refusal = None
        self._stage = _Stage.ENDED
        self._protocol.sender.wake()

    async def _send_body(self, event: Mapping[str, Any]) -> None:
        data, more_body = event.get("body", b""), bool(event.get("more_body", False))
        if not isinstance(data, bytes):
            raise TypeError(f"body must be bytes, not {type(data).__name__}")
        response = self._refusal
        if response is not None and (not more_body or response.status in _BODILESS):
            response.body = data
            self._is_body_left = more_body
            self._refuse(response)
            self._stage = _Stage.REFUSING if more_body else _Stage.ENDED
        elif self._is_body_left:
            self._is_body_left = more_body
        else:
            if response is not None:
                self._connection.begin_refusal(response)
                self._refusal = None
            self._connection.send_body(data, more_body=more_body)
            await self._leave(more_body)
        if not more_body:
            self._stage = _Stage.ENDED
            self._has_ended = True
            self._protocol.sender.wake()

    async def _leave(self, more_body: bool) -> None:
        """Let a part of a body leave, and wait while the peer does not read."""
        if not more_body:
            self._protocol.begin_end()
            return
        sender = self._protocol.sender
        sender.flush()
        while sender.is_gate_shut and not self._protocol.is_lost:
            await sender.change()

    @property
    def _connection(self) -> ServerConnection:
        connection = self._protocol.connection
        assert isinstance(connection, ServerConnection)
        return connection

    # What uvicorn's log says of it

    def _log(self, what: str) -> None:
        if _LOG.isEnabledFor(logging.INFO):
            client, path = get_client_addr(self._scope), get_path_with_query_string(self._scope)
            _LOG.info('%s - "WebSocket %s" %s', client, path, what)

    def _trace(self, what: str) -> None:
        if _LOG.isEnabledFor(TRACE_LOG_LEVEL):
            peer = self._protocol.transport.get_extra_info("peername")
            _LOG.log(TRACE_LOG_LEVEL, "%s - %s", peer, what)


def _data_of(event: Mapping[str, Any]) -> str | bytes:
    """Return the message that a ``websocket.send`` holds; raises TypeError if it is none."""
    data = event.get("bytes")
    if data is not None:
        if isinstance(data, (bytes, bytearray, memoryview)):
            return data  # type: ignore[return-value]
        raise TypeError(f"bytes of websocket.send must be bytes, not {type(data).__name__}")
    text = event.get("text")
    if isinstance(text, str):
        return text
    raise TypeError(f"text of websocket.send must be a str, not {type(text).__name__}")


def _decoded(headers: Fields, without: Container[bytes] = ()) -> list[tuple[str, str]]:
    """Return fields as text; what stands around a value is no part of it (RFC 9110 5.5)."""
    return [
        (name.decode("latin-1"), value.strip(b" \t").decode("latin-1"))
        for name, value in headers
        if name.lower() not in without
    ]


def _expect(kind: str, *expected: str) -> None:
    if kind not in expected:
        *first, last = (f"'{each}'" for each in expected)
        names = f"{', '.join(first)} or {last}" if first else last
        raise RuntimeError(f"Expected ASGI message {names} but got '{kind}'.")
