"""The body of the response with which a server refuses (RFC 9112 6.3, 7.1), up to a limit."""

from __future__ import annotations

import re
from typing import Final

from .headers import Headers, parse_list

__all__ = ["MAX_BODY_SIZE", "BodyReader"]

MAX_BODY_SIZE: Final = 2**20  # bytes; what goes beyond is cut off

_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;.*)?")
_MAX_CHUNK_LINE: Final = 8192


class BodyReader:
    """Collects a body whose framing ``headers`` describe; without any it lasts until EOF."""

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
