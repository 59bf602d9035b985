"""Server: the connections behind a listening socket, their handlers, and their end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from inspect import isawaitable
from socket import socket
from types import TracebackType
from typing import Final, Protocol, Self

from ..codec.close import encode_close
from ..exceptions import (
    BrokerError,
    ConnectionClosed,
    HandshakeError,
    InvalidHeader,
    InvalidState,
    TopicRefused,
)
from ..handshake.forwarded import TrustedProxies
from ..handshake.http11 import Request, Response
from ..handshake.server import refusal
from ..pubsub.publication import Position
from ..pubsub.topic import Slow
from ..sansio.server import ServerConnection
from ..sansio.state import CONNECTING, OPEN
from .acceptor import Acceptor
from .address import host_of
from .admission import Admission
from .beside import Site
from .bind import set_user_timeout
from .clock import clock_of
from .data import Data
from .flow import Waiters
from .log import one_line, who
from .probes import Probes
from .protocol import ProtocolCore, WebSocketProtocol
from .record import Record, ServerStats
from .settings import Settings, check_timeout
from .signals import on_stop_signal
from .timer import Deadline
from .topics import Topics
from .upgrade import Hooks, answer, ask_hooks
from .websocket import WebSocket

__all__ = ["Handler", "Server", "is_failure"]

Handler = Callable[[WebSocket], Awaitable[None]]

_TASK_NAME: Final = "wsproto_async connection"
_LAST_GRACE: Final = 1.0  # seconds for handlers to end after they were cancelled
_TURNED_AWAY: Final = 1.0  # seconds for who is turned away to read why
_SHUTTING_DOWN: Final = "server is shutting down"
_CLOSING: Final = 0.01  # seconds; then the loop gets a turn
_GLANCE: Final = 0.02  # seconds


class Listener(Protocol):
    """What accepts connections until it is closed."""

    def close(self) -> None: ...


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
        admission: Admission,
        probes: Probes,
        proxies: TrustedProxies,
        topics: Topics,
        cancel_on_disconnect: bool,
    ) -> None:
        self._handler = handler
        self._make_connection = make_connection
        self._hooks = hooks
        self._settings = settings
        self._log = settings.log
        self._admission = admission
        self._probes = probes
        self._proxies = proxies
        self._topics = topics
        self._cancels_on_disconnect = cancel_on_disconnect
        self._record = Record(settings.log)
        self._loop = asyncio.get_running_loop()
        self._listeners: list[Listener] = []
        self._beside: list[Acceptor] = []
        self._sockets: tuple[socket, ...] = ()
        self._port: int | None = None
        self._websockets: dict[ProtocolCore, WebSocket] = {}
        self._lingering: set[asyncio.Task[None]] = set()  # whose connections are gone
        # One of each for all connections.
        self._on_task_done = self._task_done
        self._context = copy_context()
        self._gone = Waiters()
        self._closing: asyncio.Task[None] | None = None
        self._site: Site | None = None
        self._of_site: set[ProtocolCore] = set()

    def make_protocol(self) -> WebSocketProtocol:
        """Return the protocol for a new connection: a factory for ``loop.create_server``."""
        return WebSocketProtocol(self, self._make_connection(), self._settings, self._loop)

    def have_beside(self, site: Site) -> None:
        """Let ``site`` answer the requests that it owns, from now until the end."""
        self._site = site

    def listen_with(self, listener: Listener, *sockets: socket) -> None:
        """Take over what accepts the connections of ``sockets``."""
        self._listeners.append(listener)
        self._sockets += sockets
        address = self._sockets[0].getsockname() if self._sockets else None
        self._port = address[1] if isinstance(address, tuple) else None

    def listen_beside(self, sockets: Sequence[socket]) -> None:
        """Accept on these listening sockets too, in place of those of the call before.

        They are closed when nothing is accepted on them any more. What cannot be watched is closed
        at once: the log tells.
        """
        for acceptor in self._beside:
            acceptor.close()
        own = self._listeners[0]
        assert isinstance(own, Acceptor)
        self._beside = []
        for sock in sockets:
            set_user_timeout(sock, self._settings.send_timeout)
            try:
                self._beside.append(own.beside(sock))
            except OSError as exc:
                self._log.warning("cannot accept on a lent socket: %s", exc)

    def listening(self, is_tls: bool) -> None:
        """All that accepts connections is there."""
        if self._site is not None:
            self._site.start(is_tls)

    def stop_listening(self) -> None:
        """Accept no more connections."""
        for listener in (*self._listeners, *self._beside):
            listener.close()

    # What it is

    @property
    def sockets(self) -> tuple[socket, ...]:
        """The listening sockets."""
        return self._sockets

    @property
    def port(self) -> int:
        """The port of the first listening socket: what ``port=0`` has become.

        Raises InvalidState on a Unix socket and in memory, where there is none.
        """
        if self._port is None:
            raise InvalidState("a server that does not listen on TCP has no port")
        return self._port

    @property
    def connections(self) -> frozenset[WebSocket]:
        """The open connections of the application at this moment."""
        return frozenset(
            [
                ws
                for protocol, ws in self._websockets.items()
                if protocol.connection.state is OPEN and protocol not in self._of_site
            ]
        )

    def is_serving(self) -> bool:
        """Tell if new connections are accepted."""
        return bool(self._listeners) and self._closing is None

    def stats(self) -> ServerStats:
        """Return the server's numbers."""
        return self._record.stats(self._websockets.values(), self._topics.stats())

    # Topics

    @property
    def topics(self) -> Mapping[str, frozenset[WebSocket]]:
        """The topics that somebody in this process has subscribed to, and who, at this moment."""
        return self._topics.audiences

    def publish(
        self,
        topic: str,
        message: Data,
        *,
        text: bool | None = None,
        compress: bool | None = None,
        exclude: WebSocket | None = None,
        key: str = "",
        slow: Slow | None = None,
        idempotency_key: str = "",
    ) -> Awaitable[Position | None]:
        """Send one message to all subscribers of ``topic``, in all processes that share the broker.

        It does not have to be awaited: the message is on its way. Awaiting tells that the broker
        has it, gives its :class:`Position`, None without a history, and waits while too much is
        still to be delivered. Who publishes without end has to await.

        - ``message``, ``text`` and ``compress`` are as for :meth:`WebSocket.send`, fragments
          excepted, up to 16 MiB. It is encoded and framed once for all connections alike.
        - ``exclude``: a connection of this server that does not get it.
        - ``slow``: what is done about slow subscribers, if not what :class:`Topic` says for all of
          the topic's; ``key``, up to 255 bytes: with ``"latest"``, what it is the latest of.
        - ``idempotency_key``, up to 255 bytes: a second message on the topic with the same one,
          within 300 s, is not published, and gives the position of the first. So whoever does not
          know if publishing succeeded can do it once more.

        Messages of one publisher on one topic arrive in their order; with ``"latest"`` those of one
        key do. They leave at the end of the loop's turn: what is sent to a connection in the same
        turn overtakes them. Raises TopicRefused at once for a topic or a key that cannot be, and
        ValueError, TypeError and UnicodeError for what else cannot be published. Awaiting
        raises BrokerError if the message may not have been published. Cancelling does not take it
        back.
        """
        return self._topics.publisher.publish(
            topic, message, text, compress, exclude, key, slow, idempotency_key
        )

    def members(self, topic: str) -> Awaitable[dict[str, str]]:
        """Return who is on a topic, in all processes: their names, by ``ws.id.hex``.

        Members are those who have subscribed with ``member=``. Of a process that has crashed they
        are gone after 30 s. Awaiting raises BrokerError if the broker does not answer.
        """
        return self._topics.members(topic)

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

    def close(
        self,
        code: int = 1001,
        reason: str = "",
        grace: float | None = 10,
        spread: float = 0,
    ) -> None:
        """Begin to close the server; ``wait_closed`` waits for the end. Does nothing if closing.

        No more connections are accepted, handshakes under way are answered by 503, open
        connections closed with ``code`` and ``reason``: evenly over ``spread`` seconds, so that not
        all clients connect elsewhere at once; 0, the default, is at once. From then on handlers
        have ``grace`` seconds to end, None for as long as they like; then they are cancelled and
        the connections aborted.

        Raises ValueError for a code or a reason that may not be sent, and for a negative time.
        """
        encode_close(code, reason)
        check_timeout("grace", grace)
        check_timeout("spread", spread)
        if self._closing is not None:
            return
        self.stop_listening()
        self._closing = self._loop.create_task(self._shut_down(code, reason, grace, spread))
        self._gone.wake()

    async def wait_closed(self) -> None:
        """Wait until all connections and handlers have ended, after ``close``."""
        while self._closing is None:
            await self._gone.wait()
        await asyncio.shield(self._closing)

    async def open_topics(self) -> None:
        """Connect to the broker; raises BrokerError."""
        await self._topics.start()

    async def close_topics(self) -> None:
        """Leave the broker."""
        await self._topics.close()

    async def _shut_down(self, code: int, reason: str, grace: float | None, spread: float) -> None:
        for protocol in tuple(self._websockets):
            if protocol.connection.state is CONNECTING:
                self._turn_away_at_end(protocol)
        await self._close_all(code, reason, spread)
        if not await self._are_gone_within(grace):
            self._end_now()
            if not await self._are_gone_within(_LAST_GRACE):
                self._log.warning(
                    "handlers ignore cancellation, and nobody waits for them any longer: %d",
                    len(self._lingering),
                )
        if self._site is not None:
            await self._site.close()
        await self._topics.close()
        self._log.close()

    async def _close_all(self, code: int, reason: str, spread: float) -> None:
        protocols = [each for each in self._websockets if each.is_opened]
        now = clock_of(self._loop)
        begun = now()
        until = begun + _CLOSING
        for number, protocol in enumerate(protocols):
            if protocol.is_lost:
                continue
            left = now()
            pause = max(begun + spread * number / len(protocols) - left, 0)
            if pause or left >= until:
                await asyncio.sleep(pause)
                back = now()
                others = back - left - pause
                until = back + max(others, _CLOSING)  # half of the time, if the loop is busy
            protocol.close(code, reason)

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

    async def wait_for_handshakes(self) -> None:
        """Wait until no opening handshake is under way; best after ``stop_listening``."""
        while under_way := _connecting(self._websockets):
            while under_way := _connecting(under_way):  # noqa: ASYNC110 - nobody announces the last
                await asyncio.sleep(_GLANCE)

    # Called by the protocols

    def connection_made(self, protocol: ProtocolCore) -> None:
        self._websockets[protocol] = WebSocket(protocol, self)
        oldest = self._admission.begin(protocol)
        if oldest is not None:
            self._record.shed += 1
            self._turn_away(oldest, "too many handshakes")
        if self._closing is not None:
            self._turn_away_at_end(protocol)

    def handshake_received(self, protocol: ProtocolCore, message: Request | Response) -> None:
        self._admission.requested(protocol)
        run = self._run(protocol, self._websockets[protocol])
        task = self._loop.create_task(run, name=_TASK_NAME, context=self._context.copy())
        protocol.task = task
        task.add_done_callback(self._on_task_done, context=self._context)

    def handshake_failed(self, protocol: ProtocolCore) -> None:
        connection = protocol.connection
        assert isinstance(connection, ServerConnection)
        if connection.request is not None and connection.response is not None:  # another host
            with suppress(InvalidHeader):
                self._find_client(protocol, connection.request)
            self._record.answered(protocol, connection.response, connection.error)
        else:
            self._record.failed(protocol, connection.error or "hung up")
        self._linger(protocol)

    def handshake_expired(self, protocol: ProtocolCore) -> None:
        if protocol.task is None:
            self._log.debug("handshake timed out: %s", who(protocol))
            protocol.abort()
        else:
            self._turn_away(protocol, "handshake timed out")

    def connection_lost(self, protocol: ProtocolCore) -> None:
        ws = self._websockets.pop(protocol)
        self._of_site.discard(protocol)
        self._record.gone(ws)
        if protocol.audiences is not None:
            self._topics.drop(protocol, ws)
        self._admission.end(protocol)
        if protocol.task is not None and not protocol.task.done():
            self._lingering.add(protocol.task)
            if not protocol.is_opened or (
                self._cancels_on_disconnect and not protocol.is_closed_by_user
            ):
                protocol.task.cancel()
        self._gone.wake()

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._lingering.discard(task)
        self._gone.wake()

    # One connection

    def _turn_away(self, protocol: ProtocolCore, why: str) -> None:
        """Answer 503, and do not wait long for the peer to read it."""
        if protocol.connection.state is not CONNECTING:
            return
        if protocol.task is not None:
            protocol.task.cancel()
        self._refuse(protocol, refusal(_unavailable(why)), why)
        protocol.set_deadline(_TURNED_AWAY, Deadline.CLOSE)

    def _turn_away_at_end(self, protocol: ProtocolCore) -> None:
        """The server is closing. Who has not asked for anything yet may be a probe."""
        if protocol.task is None and self._probes.are_there():
            protocol.set_deadline(_TURNED_AWAY, Deadline.OPEN)
        else:
            self._turn_away(protocol, _SHUTTING_DOWN)

    def _refuse(self, protocol: ProtocolCore, response: Response, why: object) -> None:
        self._record.answered(protocol, response, why)
        self._linger(protocol)
        assert isinstance(protocol.connection, ServerConnection)
        protocol.connection.send_response(response)
        protocol.begin_end()

    def _linger(self, protocol: ProtocolCore) -> None:
        """Who is refused may stay to read why, as long as there are not too many."""
        oldest = self._admission.refused(protocol)
        if oldest is not None:
            oldest.abort()

    async def _run(self, protocol: ProtocolCore, ws: WebSocket) -> None:
        site = self._site
        if site is not None:
            if site.owns(ws.request):
                self._of_site.add(protocol)
            else:
                site = None
        if not await self._open(protocol, ws, site):
            return
        code, reason = 1011, ""
        try:
            handling = self._handler(ws) if site is None else site.handle(ws)
            if not isawaitable(handling):
                raise TypeError(f"handler returned {type(handling).__name__}, not an awaitable")
            await protocol.drive(handling)
            code = 1000
        except asyncio.CancelledError:
            code = 1001
            raise
        except Exception as exc:
            if is_failure(ws, exc):
                self._log.exception("connection handler failed", who(protocol), exc)
            elif ws.state is OPEN:
                is_refused = _is_only(exc, TopicRefused)
                code = TopicRefused.code if is_refused else BrokerError.code
                reason = "topic refused" if is_refused else "broker unavailable"
                self._log.info("%s: %s: %s", reason, who(protocol), one_line(exc))
        finally:
            protocol.is_closed_by_user = True
            protocol.close(code, reason)
        await protocol.wait_lost()

    async def _open(self, protocol: ProtocolCore, ws: WebSocket, site: Site | None) -> bool:
        """Answer the request and tell if the connection is open."""
        connection = protocol.connection
        assert isinstance(connection, ServerConnection)
        why: Exception | None = None
        try:
            response = self._answer_at_once(protocol, ws, site)
        except HandshakeError as exc:
            response, why = refusal(exc), exc
        if response is None:
            asking = ask_hooks(ws, connection, self._hooks) if site is None else site.answer(ws)
            response = await answer(ws, asking, self._log)
            why = connection.error
        if connection.state is not CONNECTING:
            return False  # the peer has gone, or the time is over
        if response.status != 101:
            self._refuse(protocol, response, why or response.reason)
            if self._closing is not None:
                protocol.set_deadline(_TURNED_AWAY, Deadline.CLOSE)
            return False
        connection.send_response(response)
        self._record.opened(ws)
        protocol.handshake_completed()
        return True

    def _answer_at_once(
        self, protocol: ProtocolCore, ws: WebSocket, site: Site | None
    ) -> Response | None:
        """Return the response to a probe; else let the request in, or raise HandshakeError."""
        is_ready = self._closing is None and not self._admission.is_full()
        response = self._probes.answer(ws.request, is_ready)
        if response is not None:
            return response
        if self._closing is not None:
            raise _unavailable(_SHUTTING_DOWN)
        client = self._find_client(protocol, ws.request)
        why = None if site is not None else self._admission.admit(protocol, client)
        if why is not None:
            self._record.shed += 1
            raise _unavailable(why)
        return None

    def _find_client(self, protocol: ProtocolCore, request: Request) -> str:
        """Return the address that the request comes from; raises InvalidHeader."""
        address = protocol.client_address or protocol.transport.get_extra_info("peername")
        host = host_of(address)
        client = self._proxies.client(host, request.headers)
        if client != host:
            protocol.client_address = client, 0
        return client


def _connecting(protocols: Iterable[ProtocolCore]) -> list[ProtocolCore]:
    return [each for each in protocols if each.connection.state is CONNECTING]


def _unavailable(why: str) -> HandshakeError:
    return HandshakeError(why, status=503, headers=[("Retry-After", "5")])


def is_failure(ws: WebSocket, exc: Exception) -> bool:
    """Tell if what a handler raised is its own fault.

    It may leave it to us that its connection was closed, that its peer wanted a topic that cannot
    be, or that the broker is away.
    """
    if _is_only(exc, TopicRefused) or _is_only(exc, BrokerError):
        return False
    return ws.state is OPEN or not _is_only(exc, ConnectionClosed)


def _is_only(exc: Exception, kind: type[Exception]) -> bool:
    if isinstance(exc, ExceptionGroup):
        return exc.split(kind)[1] is None
    return isinstance(exc, kind)
