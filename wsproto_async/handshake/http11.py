"""The head of an HTTP/1.1 message, strictly by RFC 9112: what an upgrade needs and no more.

A line is judged when it is complete, and for its length before that; nothing is ever read twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Generic, TypeVar

from ..exceptions import InvalidMessage
from .headers import Headers, HeadersLike, parse_fields

__all__ = [
    "MAX_FIELDS",
    "MAX_HEAD_SIZE",
    "MAX_INTERIM",
    "MAX_LINE_SIZE",
    "HeadReader",
    "Request",
    "Response",
    "parse_request_line",
    "parse_status_line",
    "without_query",
]

MAX_LINE_SIZE: Final = 8192  # bytes in the start line or in a header line
MAX_FIELDS: Final = 100
MAX_HEAD_SIZE: Final = 65536  # bytes in the whole head
MAX_INTERIM: Final = 8  # responses before the final one (RFC 9110 15.2)

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# A client sends '#' never, and other visible characters raw: browsers leave '|' or '{' as typed.
_REQUEST_LINE: Final = re.compile(rb"(" + _TOKEN + rb") ([!\"$-~]+) HTTP/([0-9])\.([0-9])")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([0-9]) ([1-5][0-9]{2}) ([\t\x20-\x7e\x80-\xff]*)")
_FIELD_NAME: Final = re.compile(_TOKEN)
_NOT_IN_VALUE: Final = re.compile(rb"[^\t\x20-\x7e\x80-\xff]")
_PHRASES: Final = {int(status): status.phrase for status in HTTPStatus}
_FIRST_BYTE: Final = re.compile(rb"[A-Za-z]")


class Request:
    """The client's half of the opening handshake, or a plain HTTP request.

    ``method`` is ``"GET"`` or ``"HEAD"``, ``path`` the requested path with its query as sent,
    ``headers`` a :class:`Headers`.
    """

    __slots__ = ("headers", "method", "path")

    def __init__(self, path: str, headers: Headers, *, method: str = "GET") -> None:
        self.method = method
        self.path = path
        self.headers = headers

    def __repr__(self) -> str:
        return f"<Request {self.method} {without_query(self.path)}>"

    def serialize(self) -> bytes:
        """Return the request as it goes over the wire."""
        return _serialize_head(f"{self.method} {self.path} HTTP/1.1", self.headers)


class Response:
    """The server's half of the opening handshake, or the answer to a plain HTTP request.

    ``body`` may be text, which is sent as UTF-8, labelled ``text/plain`` unless ``headers`` say
    otherwise. ``reason`` is the standard phrase by default. ``Content-Length`` and
    ``Connection: close`` are added when it is sent. Raises ValueError for a status outside
    200-599 (101 is the handshake's own) and for headers that HTTP cannot carry.
    """

    __slots__ = ("body", "headers", "reason", "status")

    def __init__(
        self,
        status: int,
        reason: str | None = None,
        headers: HeadersLike = (),
        body: bytes | str = b"",
    ) -> None:
        if status != 101 and not 200 <= status <= 599:
            raise ValueError(f"status {status} is not that of a final response")
        self.status = int(status)
        if reason is None:
            reason = _PHRASES.get(status, "")
        elif _NOT_IN_VALUE.search(reason.encode("latin-1")):
            raise ValueError("reason phrase holds a character that HTTP cannot carry")
        self.reason = reason
        self.headers = Headers(headers)
        if isinstance(body, str):
            body = body.encode()
            if "Content-Type" not in self.headers:
                self.headers.add("Content-Type", "text/plain; charset=utf-8")
        self.body = body

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.reason}>"

    def serialize(self, *, with_body: bool = True) -> bytes:
        """Return the response as it goes over the wire; the answer to HEAD leaves the body out."""
        head = _serialize_head(f"HTTP/1.1 {self.status} {self.reason}", self.headers)
        return head + self.body if with_body else head


def without_query(path: str) -> str:
    """Return a path for a log: without its query, which is where tokens are."""
    path, question_mark, _ = path.partition("?")
    return f"{path}?..." if question_mark else path


def _serialize_head(start_line: str, headers: Headers) -> bytes:
    return f"{start_line}\r\n{headers.serialize()}\r\n".encode("latin-1")


def parse_request_line(line: bytes) -> tuple[str, str]:
    """Return method and target (RFC 9112 3).

    Raises InvalidMessage: 400 for bad syntax, 505 for HTTP other than 1.1 and its successors,
    405 for a method other than GET and HEAD.
    """
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise InvalidMessage("malformed request line")
    method, target, major, minor = match.groups()
    if major != b"1" or minor == b"0":
        raise InvalidMessage("HTTP/1.1 is required", status=505)
    if method not in (b"GET", b"HEAD"):
        raise InvalidMessage(
            f"method {method.decode()} is not supported",
            status=405,
            headers=[("Allow", "GET, HEAD")],
        )
    return "GET" if method == b"GET" else "HEAD", target.decode()


def parse_status_line(line: bytes) -> tuple[int, str]:
    """Return status and reason phrase (RFC 9112 4); raises InvalidMessage."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise InvalidMessage("malformed status line")
    # RFC 9110 7.8: HTTP/1.0 cannot upgrade.
    if match[1] == b"0" and match[2] == b"101":
        raise InvalidMessage("server upgrades in HTTP/1.0")
    return int(match[2]), match[3].decode("latin-1")


def _parse_field(line: bytes) -> tuple[str, str]:
    name, colon, value = line.partition(b":")
    # RFC 9112 5.1: no white space before the colon; 5.2: no folded lines.
    if not colon or not _FIELD_NAME.fullmatch(name):
        raise InvalidMessage("malformed header line")
    value = value.strip(b" \t")
    if _NOT_IN_VALUE.search(value):
        raise InvalidMessage(f"value of header {name.decode()} holds a control character")
    return name.decode(), value.decode("latin-1")


Start = TypeVar("Start")


class HeadReader(Generic[Start]):
    """Collects the head of one message.

    ``parse_start_line`` reads its first line; what it returned is ``start``, None before.
    """

    __slots__ = ("_buffer", "_line_start", "_pairs", "_parse_start_line", "_scanned", "start")

    def __init__(self, parse_start_line: Callable[[bytes], Start]) -> None:
        self._parse_start_line = parse_start_line
        self._buffer = bytearray()
        self._line_start = 0
        self._scanned = 0
        self.start: Start | None = None
        self._pairs: list[tuple[str, str]] = []

    @property
    def buffered(self) -> int:
        """How many bytes are held."""
        return len(self._buffer)

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Append to the input."""
        self._buffer += data

    def read(self) -> tuple[Start, Headers] | None:
        """Return the start line and the headers once the head is complete, None until then.

        Raises InvalidMessage: 414 for a long request line, 431 for a long header line, many
        headers or a large head, and what ``parse_start_line`` raises.
        """
        # A TLS handshake on a plain port, for one, has no line to wait for.
        if self._buffer and self.start is None and not _FIRST_BYTE.match(self._buffer):
            raise InvalidMessage("not an HTTP message")
        if not self._scanned:
            headers = self._read_at_once()
            if headers is not None and self.start is not None:
                return self.start, headers
        while True:
            end = self._buffer.find(b"\n", self._scanned)
            self._check_size(len(self._buffer) if end < 0 else end)
            if end < 0:
                self._scanned = len(self._buffer)
                return None
            line = bytes(self._buffer[self._line_start : end])
            self._line_start = self._scanned = end + 1
            # RFC 9112 2.2 allows a bare LF to be taken for a line end; that helps only smugglers.
            if not line.endswith(b"\r"):
                raise InvalidMessage("line does not end in CRLF")
            line = line[:-1]
            if self.start is None:
                self.start = self._parse_start_line(line)
            elif line:
                if len(self._pairs) == MAX_FIELDS:
                    raise InvalidMessage(f"more than {MAX_FIELDS} headers", status=431)
                self._pairs.append(_parse_field(line))
            else:
                return self.start, Headers.of_checked(self._pairs)

    def _read_at_once(self) -> Headers | None:
        """Read a head that has come whole, is short, and has nothing wrong with it."""
        end = self._buffer.find(b"\r\n\r\n")
        if not 0 < end < MAX_LINE_SIZE:
            return None
        line_end = self._buffer.find(b"\n") + 1
        fields = parse_fields(self._buffer[line_end : end + 2].decode("latin-1"), MAX_FIELDS)
        line = bytes(self._buffer[:line_end])
        if fields is None or not line.endswith(b"\r\n"):
            return None
        self.start = self._parse_start_line(line[:-2])
        self._line_start = end + 4
        return fields

    def _check_size(self, end: int) -> None:
        if end > self._line_start and self._buffer[end - 1] == 0x0D:
            end -= 1
        limit = min(MAX_LINE_SIZE, MAX_HEAD_SIZE - self._line_start)
        if end - self._line_start <= limit:
            return
        if self.start is None:
            raise InvalidMessage(f"start line over {MAX_LINE_SIZE} bytes", status=414)
        if limit == MAX_LINE_SIZE:
            raise InvalidMessage(f"header line over {MAX_LINE_SIZE} bytes", status=431)
        raise InvalidMessage(f"head over {MAX_HEAD_SIZE} bytes", status=431)

    def rest(self) -> bytes:
        """Return what followed the head."""
        return bytes(self._buffer[self._line_start :])
