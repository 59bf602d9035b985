"""The client's end of a connection: its opening handshake."""

from __future__ import annotations

from collections.abc import Sequence

from ..exceptions import HandshakeError, InvalidMessage, InvalidState
from ..extensions.base import Extension
from ..handshake.body import BodyReader
from ..handshake.client import build_upgrade_request, check_response, generate_key
from ..handshake.extensions import check_extensions, finalize_extension
from ..handshake.headers import HeadersLike
from ..handshake.http11 import MAX_INTERIM, HeadReader, Request, Response, parse_status_line
from ..handshake.uri import WebSocketURI, parse_uri
from .connection import Connection
from .events import Close, Event
from .state import Cause

__all__ = ["ClientConnection"]


class ClientConnection(Connection):
    """A client's end of a connection.

    ``send_request`` begins. The first event is the :class:`Response` with status 101 that opens
    the connection; if the handshake fails, the only event is ``Close(1006)`` and ``error`` is the
    :class:`HandshakeError`. ``key`` is meant for tests: a fresh random one is the default.

    ``subprotocols`` and ``extensions`` are those offered, the most preferred first.

    Raises ValueError for a bad URI, subprotocol or header.
    """

    __slots__ = (
        "_extensions",
        "_interim",
        "_is_requested",
        "_key",
        "_offered",
        "request",
        "response",
        "subprotocol",
    )

    def __init__(
        self,
        uri: str | WebSocketURI,
        *,
        subprotocols: Sequence[str] = (),
        extensions: Sequence[Extension] = (),
        origin: str | None = None,
        additional_headers: HeadersLike = (),
        user_agent_header: str | None = None,
        key: str | None = None,
        max_size: int | None = 2**20,
        max_fragments: int | None = 2**14,
    ) -> None:
        super().__init__(is_client=True, max_size=max_size, max_fragments=max_fragments)
        self._key = generate_key() if key is None else key
        self._offered = subprotocols
        self._extensions = check_extensions(extensions)
        self._http = HeadReader(parse_status_line)
        self._interim = 0
        self._is_requested = False
        self.request: Request = build_upgrade_request(
            parse_uri(uri) if isinstance(uri, str) else uri,
            self._key,
            subprotocols=subprotocols,
            extensions=extensions,
            origin=origin,
            additional_headers=additional_headers,
            user_agent_header=user_agent_header,
        )
        self.response: Response | None = None
        self.subprotocol: str | None = None

    def send_request(self) -> None:
        """Send the upgrade request, first of all; raises InvalidState the second time."""
        if self._is_requested:
            raise InvalidState("the request has been sent already")
        self._is_requested = True
        self._write(self.request.serialize())

    def _parse_handshake(self) -> Event | None:
        try:
            response = self._read_response()
            if response is None:
                return None
            self.subprotocol = check_response(response, self._key, self._offered)
            self._use_extension(finalize_extension(response.headers, self._extensions))
        except HandshakeError as exc:
            self.error = exc
            self.eof_due = True
            self._advance(Cause.HANDSHAKE_FAILED)
            return self._end(Close(1006))
        self._is_shaking_hands = False
        self._advance(Cause.HANDSHAKE_COMPLETED)
        return response

    def _read_response(self) -> Response | None:
        while isinstance(self._http, HeadReader):
            found = self._http.read()
            if found is None:
                if self._eof:
                    raise InvalidMessage("connection closed before the response was complete")
                return None
            (status, reason), headers = found
            rest = self._http.rest()
            if status == 101:
                self.response = Response(status, reason, headers)
                self._http_ended(rest)
                return self.response
            if status >= 200:
                self.response = Response(status, reason, headers)
                self._http = BodyReader(status, headers)
            else:
                # RFC 9110 15.2: interim responses come before the final one.
                self._interim += 1
                if self._interim > MAX_INTERIM:
                    raise InvalidMessage(f"over {MAX_INTERIM} interim responses")
                self._http = HeadReader(parse_status_line)
            self._http.feed(rest)
        return self._read_body()

    def _read_body(self) -> Response | None:
        assert isinstance(self._http, BodyReader)
        assert self.response is not None
        body = self._http.read(self._eof)
        if body is None:
            return None
        self.response.body = body
        return self.response
