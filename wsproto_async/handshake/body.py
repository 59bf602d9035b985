"""The body of the response with which a server refuses (RFC 9112 6.3, 7.1)."""

from __future__ import annotations

import re
from typing import Final

from .headers import Headers, parse_list

__all__ = ["MAX_BODY_SIZE", "BodyReader", "BodyWriter"]

MAX_BODY_SIZE: Final = 2**20  # bytes; what goes beyond is cut off

_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?")
_MAX_CHUNK_LINE: Final = 8192


class BodyReader:
    """Collects a body whose framing ``headers`` describe, up to 1 MiB; without any until EOF."""

    __slots__ = ("_body", "_buffer", "_chunk_left", "_is_chunked", "_is_complete", "_length")

    def __init__(self, status: int, headers: Headers) -> None:
        self._buffer = bytearray()
        self._body = bytearray()
        self._chunk_left = 0
        codings = parse_list(headers, "Transfer-Encoding")
        self._is_chunked = bool(codings) and codings[-1].lower() == "chunked"
        length = headers.get("Content-Length", "")
        self._length: int | None = None
        if status in (204, 304):
            self._is_chunked = False
            self._length = 0
        elif not codings and length.isascii() and length.isdigit():
            self._length = min(int(length[:19]), MAX_BODY_SIZE)
        self._is_complete = self._length == 0

    @property
    def buffered(self) -> int:
        """How many bytes are held."""
        return len(self._buffer) + len(self._body)

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Append to the input."""
        if self._is_chunked:
            self._buffer += data
            self._unchunk()
        else:
            self._body += data
        size = MAX_BODY_SIZE if self._length is None else self._length
        if len(self._body) >= size:
            self._is_complete = True
            del self._body[size:]

    def read(self, eof: bool) -> bytes | None:
        """Return the body once it is complete, with ``eof`` what has come of it; else None."""
        return bytes(self._body) if self._is_complete or eof else None

    def _unchunk(self) -> None:
        pos = 0
        while not self._is_complete:
            if self._chunk_left:
                piece = self._buffer[pos : pos + self._chunk_left]
                self._body += piece
                self._chunk_left -= len(piece)
                pos += len(piece)
                if self._chunk_left or len(self._body) >= MAX_BODY_SIZE:
                    break
            # Before every size but the first stands the line end of the chunk before.
            start = pos + 2 if self._body else pos
            end = self._buffer.find(b"\r\n", start)
            line_end = len(self._buffer) - self._buffer.endswith(b"\r") if end < 0 else end
            is_too_long = line_end - start > _MAX_CHUNK_LINE
            if end < 0 and not is_too_long:
                break
            size = None if is_too_long else _CHUNK_SIZE.fullmatch(self._buffer, start, end)
            self._chunk_left = int(size[1], 16) if size else 0
            # A malformed chunk ends the body as the last one does: what came is worth showing.
            self._is_complete = not self._chunk_left
            pos = end + 2
        del self._buffer[:pos]


class BodyWriter:
    """Frames a body that is sent part by part: by the Content-Length in ``headers``, or in chunks.

    Raises ValueError for a Content-Length that is none.
    """

    __slots__ = ("_left",)

    def __init__(self, headers: Headers) -> None:
        length = headers.get("Content-Length")
        if length is not None and not (length.isascii() and length.isdigit()):
            raise ValueError(f"Content-Length is {length!r}")
        self._left = None if length is None else int(length)

    def encode(self, data: bytes, *, more_body: bool) -> bytes:
        """Return a part as it goes over the wire, the last one without ``more_body``.

        Raises ValueError for more or less in all than Content-Length says.
        """
        if self._left is None:
            chunk = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            return chunk if more_body else chunk + b"0\r\n\r\n"
        left = self._left - len(data)
        if left < 0 or (left and not more_body):
            raise ValueError("the body is not as long as Content-Length says")
        self._left = left
        return data
