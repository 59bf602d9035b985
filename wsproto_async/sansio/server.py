"""The server's end of a connection: its opening handshake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from ..exceptions import HandshakeError, InvalidMessage, InvalidState
from ..extensions.base import Codec, Extension
from ..handshake.body import BodyWriter
from ..handshake.extensions import accept_extension, check_extensions
from ..handshake.headers import check_field_once, parse_tokens
from ..handshake.host import AllowedHosts, check_host
from ..handshake.http11 import HeadReader, Request, Response, parse_request_line
from ..handshake.origin import Origins, check_origin
from ..handshake.server import (
    accept_response,
    begin_response,
    build_request,
    check_upgrade,
    finish_response,
    refusal,
    select_subprotocol,
)
from .connection import Connection
from .events import Close, Event
from .state import Cause

__all__ = ["ServerConnection"]

_COMPLETED: Final = Cause.HANDSHAKE_COMPLETED


class ServerConnection(Connection):
    """A server's end of a connection.

    The first event is the :class:`Request`. Answer it with ``send_response``: with what
    ``accept`` or ``reject`` returns, or with a :class:`Response` of your own for plain HTTP.
    A request that is not valid HTTP is refused at once; then the only event is ``Close(1006)``.

    ``subprotocols`` are those supported, the most preferred first; ``extensions`` as well, of
    which a connection uses one at most. ``origins`` and ``allowed_hosts`` are explained at
    :func:`wsproto_async.serve`. ``server_header`` is the value of Server in responses.
    """

    __slots__ = (
        "_allowed_hosts",
        "_body",
        "_codec_accepted",
        "_extensions",
        "_origins",
        "_server_header",
        "_subprotocols",
        "request",
        "response",
        "subprotocol",
    )

    def __init__(
        self,
        *,
        origins: Origins = "same-origin",
        allowed_hosts: AllowedHosts = None,
        subprotocols: Sequence[str] = (),
        extensions: Sequence[Extension] = (),
        server_header: str | None = None,
        max_size: int | None = 2**20,
        max_fragments: int | None = 2**14,
    ) -> None:
        super().__init__(is_client=False, max_size=max_size, max_fragments=max_fragments)
        self._origins = origins
        self._allowed_hosts = allowed_hosts
        self._subprotocols = subprotocols
        self._extensions = check_extensions(extensions)
        if server_header is not None:
            check_field_once("Server", server_header)
        self._body: BodyWriter | None = None  # of a refusal, while it is sent
        self._codec_accepted: Codec | None = None
        self._server_header = server_header
        self._http = HeadReader(parse_request_line)
        self.request: Request | None = None
        self.response: Response | None = None
        self.subprotocol: str | None = None

    def _parse_handshake(self) -> Event | None:
        # What follows the request waits for the response.
        return self._read_request(self._http) if isinstance(self._http, HeadReader) else None

    def _read_request(self, head: HeadReader[tuple[str, str]]) -> Event | None:
        try:
            found = head.read()
            if found is None:
                if self._eof:
                    self.error = InvalidMessage("connection closed before the request was complete")
                    return self._end(Close(1006))
                return None
            start, headers = found
            self.request = request = build_request(start, headers)
            check_host(request, self._allowed_hosts)
        except HandshakeError as exc:
            self.error = exc
            self._respond(refusal(exc), None if head.start is None else head.start[0])
            return Close(1006)
        self._http_ended(head.rest())
        return request

    def accept(self, select: Callable[[Sequence[str]], str | None] | None = None) -> Response:
        """Return the response that the request deserves: 101, or a refusal if it is not valid.

        ``select`` takes the offered subprotocols and returns one of them, or None, in place of
        the list of supported ones. Raises what it raises, ValueError if it returns what was not
        offered, and InvalidState before the request.
        """
        request = self.request
        if request is None:
            raise InvalidState("there is no request to accept")
        try:
            key = check_upgrade(request)
            check_origin(request, self._origins)
            offered = parse_tokens(request.headers, "Sec-WebSocket-Protocol")
            extension, codec = accept_extension(request.headers, self._extensions)
        except HandshakeError as exc:
            self.error = exc
            return refusal(exc)
        if select is None:
            self.subprotocol = select_subprotocol(offered, self._subprotocols)
        else:
            chosen = select(offered)
            if chosen is not None and chosen not in offered:
                raise ValueError(f"subprotocol {chosen!r} was not offered: {offered}")
            self.subprotocol = chosen
        self._codec_accepted = codec
        return accept_response(key, self.subprotocol, extension)

    def reject(self, status: int, text: str = "") -> Response:
        """Return a response that refuses the request; raises ValueError if ``status`` cannot."""
        if status == 101:
            raise ValueError("status 101 accepts")
        return Response(status, body=text)

    def send_response(self, response: Response) -> None:
        """Answer the request; 101 opens the connection, anything else ends it without an event.

        A refusal may come before the request. Raises InvalidState for a second response and for
        a 101 without a request.
        """
        self._check_unanswered(response)
        self._respond(response, None if self.request is None else self.request.method)

    def begin_refusal(self, response: Response) -> None:
        """Refuse the request by a response whose body follows, by ``send_body``.

        It goes in chunks if there is no Content-Length. Raises InvalidState for a second
        response, and ValueError for a status that has no body and a Content-Length that is none.
        """
        self._check_unanswered(response)
        response = begin_response(response, self._server_header)
        self._body = BodyWriter(response.headers)
        self.response = response
        self._write(response.serialize())
        self._refused()

    def send_body(self, data: bytes, *, more_body: bool) -> None:
        """Send a part of the body, the last one without ``more_body``.

        Raises InvalidState if none is to be sent, and ValueError for more or less in all than
        Content-Length says.
        """
        if self._body is None:
            raise InvalidState("no response waits for its body")
        self._write(self._body.encode(data, more_body=more_body))
        if not more_body:
            self._body = None
            self.eof_due = True

    def _check_unanswered(self, response: Response) -> None:
        if self.response is not None:
            raise InvalidState("the request has been answered already")
        if response.status == 101 and self.request is None:
            raise InvalidState("there is no request to accept")

    def _refused(self) -> None:
        self._advance(Cause.HANDSHAKE_FAILED)
        self._end(Close(1006))

    def _respond(self, response: Response, method: str | None) -> None:
        self.response = response = finish_response(response, self._server_header)
        codec = self._codec_accepted
        if (
            codec is not None
            and response.status == 101
            and "Sec-WebSocket-Extensions" in response.headers
        ):
            self._use_extension(codec)
        response.headers.pack()
        self._write(response.serialize(with_body=method != "HEAD"))
        if response.status == 101:
            self._is_shaking_hands = False
            self._advance(_COMPLETED)
            assert self.request is not None
            self.request.headers.pack()
        else:
            self.eof_due = True
            self._refused()
