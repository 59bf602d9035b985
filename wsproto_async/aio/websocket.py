"""WebSocket: what a handler, or a client, holds in its hands."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID, uuid4

from typing_extensions import Unpack

from ..codec.close import encode_close
from ..exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidState
from ..handshake.headers import Headers
from ..handshake.http11 import Request, Response, without_query
from ..sansio.state import CLOSED, State
from .calls import receive_message, receive_next, send_message
from .data import Data, encode_data
from .settings import Timeouts
from .tasks import connection_tasks

if TYPE_CHECKING:
    import asyncio
    from typing import Self

    from ..pubsub.publication import Position
    from .protocol import ProtocolCore
    from .server import Server
    from .topics import Subscription, Topics

__all__ = ["WebSocket", "WebSocketCore"]


class WebSocketCore:
    """All of a :class:`WebSocket` but the room for attributes of its user's."""

    __slots__ = ("_id", "_protocol", "server")

    server: Server | None
    """The server that accepted the connection; None on a client."""

    def __init__(self, protocol: ProtocolCore, server: Server | None = None) -> None:
        self._protocol = protocol
        self._id: UUID | None = None
        self.server = server

    def __repr__(self) -> str:
        path = without_query(self.path)
        return f"<WebSocket {path} {self.state.name} peer={self.remote_address}>"

    # Receiving

    def recv(self, decode: bool | None = None) -> Coroutine[Any, Any, str | bytes]:
        """Receive one message: ``str`` for text, ``bytes`` for binary.

        ``decode=True`` gives ``str`` for binary messages too, ``decode=False`` ``bytes`` for
        text. What has arrived can be received after the connection was closed.

        Raises ConnectionClosed when there will be no more messages, ConcurrencyError if another
        task is receiving, InvalidState if ``recv_streaming`` was left in the middle of a message,
        UnicodeDecodeError if ``decode=True`` meets bytes that are not UTF-8; the message can
        then be received otherwise. Cancelling loses no message.
        """
        return receive_message(self._protocol, decode)

    async def recv_streaming(self) -> AsyncIterator[str | bytes]:
        """Receive one message piece by piece, as it arrives, without ever holding it whole.

        Pieces are ``str`` or ``bytes`` and may be smaller or larger than the peer's frames. When
        nobody asks for the next one, the peer is made to wait. ``max_size`` bounds the message
        still: lift it for messages of any size.

        Left or cancelled in the middle, call it again for the rest of the message. Raises as
        ``recv`` does; a message that is cut off raises ConnectionClosedError.
        """
        protocol = self._protocol
        while not self._has_rest():
            if part := protocol.take_part():
                protocol.is_partly_received = True
                yield part
            else:
                try:
                    await protocol.begin_wait(part=True)
                finally:
                    protocol.end_wait()
        rest = protocol.take_message()
        was_partly_received, protocol.is_partly_received = protocol.is_partly_received, False
        if rest or not was_partly_received:
            yield rest

    def _has_rest(self) -> bool:
        protocol = self._protocol
        try:
            return protocol.has_message(part=True)
        except ConnectionClosedOK as exc:
            if not protocol.is_partly_received:
                raise
            raise ConnectionClosedError(
                exc.received, exc.sent, received_first=exc.received_first
            ) from None

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Coroutine[Any, Any, str | bytes]:
        return receive_next(self._protocol)

    # Sending

    def send(
        self,
        message: Data | Iterable[Data] | AsyncIterable[Data],
        text: bool | None = None,
        compress: bool | None = None,
    ) -> Coroutine[Any, Any, None]:
        """Send one message: ``str`` as text, bytes-like as binary.

        ``text=True`` sends UTF-8 bytes as text, ``text=False`` a ``str`` as binary. Where the
        connection compresses, ``compress`` overrides the threshold on the message's size: False
        for what is compressed already, or holds a secret beside text of the peer's. An iterable
        or async iterable of either is sent as one message with a fragment for each item; other
        messages wait until it is complete, one sent from inside the iterable for ever. An error
        in its middle, cancelling included, closes the connection with 1011, since half a message
        cannot be taken back.

        Waits while more than ``write_limit`` bytes, or 24 writes, wait for the peer. Raises
        ConnectionClosed, TypeError for other types, UnicodeError for text that is not UTF-8: then
        nothing has been sent, nor if the call is cancelled.
        """
        return send_message(self._protocol, message, text, compress)

    async def ping(self, data: Data | None = None) -> Awaitable[float]:
        """Send a ping; await what this returns to get the latency in seconds.

        ``data`` is at most 125 bytes, random by default; two pings on their way must differ.
        Connections ping by themselves every ``ping_interval``: see ``latency``.

        Raises ConnectionClosed, ConcurrencyError if the same data is on its way already, and
        ValueError if it is too long. Cancelling the wait for the pong has no effect on others.
        """
        return await self._protocol.keepalive.ping(
            self._protocol, None if data is None else encode_data(data, None)[1]
        )

    async def pong(self, data: Data = b"") -> None:
        """Send an unsolicited pong, a one-way sign of life; at most 125 bytes.

        Pings are answered without this. Raises ConnectionClosed, and ValueError if too long.
        """
        await self._protocol.keepalive.pong(self._protocol, encode_data(data, None)[1])

    # Topics

    def subscribe(
        self,
        topic: str,
        *,
        since: Position | str | None = None,
        last: int = 0,
        member: str | None = None,
    ) -> Awaitable[Subscription]:
        """Receive nothing, but have the peer sent what is published on ``topic``, as it comes.

        It begins at once. Awaiting tells that nothing published from then on can be missed: see
        :class:`Subscription`. The end of the connection ends it, and so does ``unsubscribe``.

        - ``topic``: up to 255 bytes of UTF-8, printable and without ``*``.
        - ``since``: where a client left off, a position or what it says of one: it is sent all that
          was published after it, in order, or ``recovered`` is False and nothing of it, as for what
          is no position.
        - ``last``: without a ``since``, and instead of nothing of it, it is sent up to so many of
          the last messages that are kept.
        - ``member``: makes it a member by this name, up to 255 bytes, seen by ``server.members()``;
          others on the topic are told by ``Topic.wrap``.

        Raises TopicRefused for what names no topic or no member, if it has subscribed to that
        already, and for one more than ``max_subscriptions`` or ``max_topics``; InvalidState for
        ``since`` or ``last`` without a history and a ``member`` without presence, on a client, and
        under uvicorn; ValueError for a negative ``last``; ConnectionClosed.
        Awaiting waits for a broker that is away, and raises BrokerError if it refuses, or does not
        tell what was missed: then, and if it is cancelled, there is no subscription.
        """
        return self._topics().subscribe(cast("WebSocket", self), topic, since, last, member)

    def unsubscribe(self, topic: str) -> None:
        """Undo ``subscribe``; does nothing if there is no such subscription."""
        self._topics().unsubscribe(self._protocol, topic)

    @property
    def topics(self) -> frozenset[str]:
        """The topics it has subscribed to."""
        return frozenset(self._protocol.audiences or ())

    def _topics(self) -> Topics:
        if self.server is None:
            raise InvalidState("topics are a server's of serve: a client has none, nor has uvicorn")
        return self.server._topics

    # The end

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection and wait until it is gone, for at most ``close_timeout`` seconds.

        ``code`` is one that RFC 6455 7.4 allows to send, or 3000-4999; ``reason`` has at most
        123 bytes of UTF-8. Does nothing but wait if the connection is closing already. Messages
        that have arrived can be received afterwards; those that still arrive may be dropped.

        Raises ValueError for a wrong code or reason, before anything is sent. Cancelling stops
        the wait, not the closing.
        """
        encode_close(code, reason)
        self._protocol.sender.check_thread()
        self._protocol.is_closed_by_user = True
        self._protocol.close(code, reason)
        await self._protocol.wait_lost()

    def abort(self) -> None:
        """Drop the connection at once, with everything not yet sent; the peer sees 1006."""
        self._protocol.sender.check_thread()
        self._protocol.is_closed_by_user = True
        self._protocol.abort()

    async def wait_closed(self) -> None:
        """Wait until the connection is gone, whoever closes it. Cancelling has no effect on it."""
        await self._protocol.wait_lost()

    def tasks(self) -> AbstractAsyncContextManager[asyncio.TaskGroup]:
        """Return a task group for tasks that live as long as the connection: ``async with``.

        It is an :class:`asyncio.TaskGroup`, which is cancelled as well, its body included, when the
        connection is gone. It then ends without an error after 1000 and 1001, and raises
        ConnectionClosedError otherwise; an ExceptionGroup only if a task failed for another reason.
        """
        return connection_tasks(self._protocol)

    def set_timeouts(self, **timeouts: Unpack[Timeouts]) -> None:
        """Change timeouts of this connection: those of :func:`serve`, by the same names.

        ``close_timeout``, ``ping_interval``, ``ping_timeout``, ``send_timeout`` and
        ``frame_timeout`` in seconds; None lifts one. The next ping is due ``ping_interval``
        from now; what else is under way is judged by the old values.

        Raises TypeError for another name, and ValueError for what is no number of seconds.
        """
        self._protocol.set_timeouts(timeouts)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc_type is None:
            await self.close(1000)
        else:  # an error, or cancelled or interrupted
            await self.close(1011 if issubclass(exc_type, Exception) else 1001)

    # What it is

    @property
    def state(self) -> State:
        """CONNECTING, OPEN, CLOSING or CLOSED."""
        return self._protocol.connection.state

    @property
    def id(self) -> UUID:
        """A unique identifier, made when it is asked for."""
        if self._id is None:
            self._id = uuid4()
        return self._id

    @property
    def request(self) -> Request:
        """The client's half of the opening handshake."""
        request = self._protocol.connection.request
        assert request is not None
        return request

    @property
    def response(self) -> Response | None:
        """The server's half of the opening handshake; None before it."""
        return self._protocol.connection.response

    @property
    def path(self) -> str:
        """The requested path with its query, as sent."""
        return self.request.path

    @property
    def headers(self) -> Headers:
        """The headers of the request."""
        return self.request.headers

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol agreed on; None if there is none."""
        return self._protocol.connection.subprotocol

    @property
    def close_code(self) -> int | None:
        """The code that the peer closed with, 1006 if it was cut off; None while not closed."""
        close = self._protocol.connection.close_received
        if close is not None:
            return close.code
        return 1006 if self.state is CLOSED else None

    @property
    def close_reason(self) -> str | None:
        """The reason that the peer closed with; None while not closed."""
        close = self._protocol.connection.close_received
        if close is not None:
            return close.reason
        return "" if self.state is CLOSED else None

    @property
    def local_address(self) -> Any:
        """This end's address: ``(host, port)``, with two more items for IPv6; a path for Unix."""
        return self.transport.get_extra_info("sockname")

    @property
    def remote_address(self) -> Any:
        """The peer's address, in the same form.

        For a proxy that :func:`serve` trusts, that of its client, with port 0 if it names none.
        """
        client = self._protocol.client_address
        return self.transport.get_extra_info("peername") if client is None else client

    @property
    def latency(self) -> float:
        """The round-trip time of the last ping that was answered, in seconds; 0 before."""
        return self._protocol.keepalive.latency

    @property
    def transport(self) -> asyncio.Transport:
        """The transport, for what it knows: ``get_extra_info("ssl_object")`` and the like."""
        return self._protocol.transport

    @property
    def buffered_amount(self) -> int:
        """How many bytes were sent and have not left for the network yet."""
        return self._protocol.sender.buffered_amount()


class WebSocket(WebSocketCore):
    """One connection, on a server or on a client.

    One task at a time may receive; any number may send. Cancelling any call at any moment loses
    no message and never leaves half a frame behind. From another thread than the event loop's each
    raises RuntimeError. Iterate over a WebSocket to receive until it
    is closed with 1000 or 1001; use it as a context manager to close it at the end.

    You may set attributes of your own on it, such as the user that you authenticated.
    """

    # Not in the core: a compiled class would make a dictionary for each connection.
    __slots__ = ("__dict__", "__weakref__")

    username: str
    """Who :func:`basic_auth` has let in; not there without it."""
