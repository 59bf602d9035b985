"""Every exception that this package raises on its own account.

::

    WebSocketError
     ├── HandshakeError                 the opening handshake failed; .status answers it
     │    ├── InvalidMessage            the HTTP head breaks RFC 9112
     │    ├── InvalidHeader             a header is missing, doubled or malformed
     │    ├── InvalidUpgrade            plain HTTP, or not an upgrade to WebSocket 13
     │    ├── InvalidOrigin             the page's origin is not allowed
     │    ├── InvalidHost               the host asked for is not allowed
     │    ├── InvalidSubprotocol        the peer chose what was not offered
     │    ├── InvalidExtension          the peer agreed to what was not offered
     │    ├── ProxyError                the proxy gives no tunnel; .response, if there was one
     │    └── InvalidStatus             the server answered other than 101; .response
     │         └── InvalidRedirect      a redirect that is not followed
     ├── ProtocolError                  the peer broke RFC 6455; .code is the close code to send
     ├── ConcurrencyError               two calls that exclude each other
     ├── InvalidState                   the call does not fit the connection's state
     ├── TopicRefused                   no topic can be so, or no more; .code is 1008
     ├── BrokerError                    the broker of topics is away; .code is 1013
     └── ConnectionClosed               .code .reason .received .sent
          ├── ConnectionClosedOK        closed with 1000 or 1001
          └── ConnectionClosedError     closed with another code, or cut off (1006)

Wrong arguments raise ``TypeError`` or ``ValueError``, a timeout ``TimeoutError``, and a network
that cannot be reached ``OSError``, as everywhere in Python.
An exception carries its answer: failing a connection is sending ``exc.code`` or ``exc.status``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .codec.close import Close
    from .handshake.http11 import Response

__all__ = [
    "BrokerError",
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "HandshakeError",
    "InvalidExtension",
    "InvalidHeader",
    "InvalidHost",
    "InvalidMessage",
    "InvalidOrigin",
    "InvalidRedirect",
    "InvalidState",
    "InvalidStatus",
    "InvalidSubprotocol",
    "InvalidUpgrade",
    "ProtocolError",
    "ProxyError",
    "TopicRefused",
    "WebSocketError",
]


class WebSocketError(Exception):
    """Base class of all exceptions of this package."""


class HandshakeError(WebSocketError):
    """The opening handshake failed.

    ``status`` is the HTTP status that a server answers with, ``headers`` the header fields that
    go with that status, such as ``Allow`` with a 405.
    """

    status = 400

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status
        self.headers = headers


class InvalidMessage(HandshakeError):
    """The HTTP request or response breaks RFC 9112, or exceeds a limit on its size."""


class InvalidHeader(HandshakeError):
    """A header field of the handshake is missing, doubled or malformed."""


class InvalidUpgrade(HandshakeError):
    """The message does not upgrade the connection to version 13 of the WebSocket protocol."""

    status = 426


class InvalidOrigin(HandshakeError):
    """The request comes from a page whose origin is not allowed."""

    status = 403


class InvalidHost(HandshakeError):
    """The request is for a host that the server does not answer for."""

    status = 421


class InvalidSubprotocol(HandshakeError):
    """The server chose a subprotocol that the client did not offer."""

    status = 500


class InvalidExtension(HandshakeError):
    """The server agreed to an extension, or to parameters of one, that the client did not offer."""


class InvalidStatus(HandshakeError):
    """The server refused the upgrade; ``response`` is its answer, with up to 1 MiB of its body."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"server answered {response.status} {response.reason} instead of 101")
        self.response = response


class InvalidRedirect(InvalidStatus):
    """The server redirects too often, from ``wss:`` to ``ws:``, or to no WebSocket URI."""

    def __init__(self, response: Response, where: str) -> None:
        super().__init__(response)
        self.args = (f"server answered {response.status} and redirects {where}",)


class ProxyError(HandshakeError):
    """The proxy did not open the tunnel; ``response`` is an HTTP proxy's answer, without body."""

    def __init__(self, message: str, response: Response | None = None) -> None:
        super().__init__(message)
        self.response = response


class ProtocolError(WebSocketError):
    """The peer broke a rule of RFC 6455; ``code`` is the close code for it."""

    def __init__(self, message: str, code: int = 1002) -> None:
        super().__init__(message)
        self.code = code


class ConcurrencyError(WebSocketError):
    """Two tasks called what only one may call at a time."""


class InvalidState(WebSocketError):
    """The call does not fit the state that the connection is in."""


class TopicRefused(WebSocketError, ValueError):
    """What was asked for of a topic cannot be, or not by this connection.

    Its name, a key or a member's name cannot be, it has been subscribed to already, or there would
    be more subscriptions or topics than there may be. Such wishes come from peers mostly: if a
    handler raises this, the connection is closed with ``code``, 1008, and nothing is logged as an
    error.
    """

    code = 1008


class BrokerError(WebSocketError):
    """The broker cannot be reached, or has not confirmed what it was asked for.

    A handler that raises this has not failed: its connection is closed with ``code``, 1013, so that
    the client comes again later, and nothing is logged as an error.
    """

    code = 1013


class ConnectionClosed(WebSocketError):
    """The connection is closing or closed.

    ``received`` and ``sent`` are the two Close frames, None for one that was never seen;
    ``code`` and ``reason`` are those of the connection: the received ones, 1006 if it was cut off.
    """

    def __init__(
        self, received: Close | None, sent: Close | None, *, received_first: bool = False
    ) -> None:
        self.received = received
        self.sent = sent
        self.received_first = received_first
        super().__init__(received, sent)

    @property
    def code(self) -> int:
        """The connection's close code (RFC 6455 7.1.5); 1006 if no Close frame was received."""
        return 1006 if self.received is None else self.received.code

    @property
    def reason(self) -> str:
        """The peer's close reason (RFC 6455 7.1.6); empty if it gave none."""
        return "" if self.received is None else self.received.reason

    def __str__(self) -> str:
        received = f"received {self.received}" if self.received else "no close frame received"
        sent = f"sent {self.sent}" if self.sent else "no close frame sent"
        if self.received and self.sent:
            first, second = (received, sent) if self.received_first else (sent, received)
            return f"{first}; then {second}"
        if self.received or self.sent:
            return f"{received}; {sent}"
        return "no close frame received or sent"


class ConnectionClosedOK(ConnectionClosed):
    """The closing handshake completed with 1000 (OK) or 1001 (going away) from both sides.

    Or without a code, 1005: that is how a browser's ``close()`` closes if it is given none.
    """


class ConnectionClosedError(ConnectionClosed):
    """The connection was cut off, or closed with a code that tells of an error."""
