"""What one direction of a connection says, in a form that can be compared and read."""

from __future__ import annotations

from typing import Final

from ..codec.opcodes import OP_PING, OP_PONG, Opcode
from ..codec.parser import FrameParser
from ..exceptions import ProtocolError

__all__ = ["Transcript", "is_head"]

_OF_ONE_CONNECTION: Final = ("sec-websocket-key:", "sec-websocket-accept:", "date:")
_COMPRESSED: Final = 0x40
_LETTERS: Final = frozenset(b"CDEFGHIJKLMNOPQRSTUVWXYZ")
"""What heads begin with, and no frame: each would be a reserved opcode, or a compressed control."""


def is_head(data: bytes) -> bool:
    """Tell if what ``data`` begins with is a request or a response, and no frame."""
    return data[0] in _LETTERS


class Transcript:
    """The head, if there is one, and the frames of one direction, each as soon as it is complete.

    Left out is what is another one for each connection: masking keys, ``Sec-WebSocket-Key``,
    ``Sec-WebSocket-Accept`` and ``Date``; and pings and pongs, which go by the clock.
    """

    def __init__(self, masked: bool) -> None:
        self.items: list[str] = []
        self._head = b""
        self._is_in_head: bool | None = None  # not known before something has come
        self._payload = b""
        self._frames = bytearray()
        self._rest: bytearray | None = None  # of which nothing can be understood
        self._parser = FrameParser(masked)
        self._parser.allow_rsv(_COMPRESSED)

    def feed(self, data: bytes) -> None:
        """Take more of what is said."""
        if self._is_in_head is None and data:
            self._is_in_head = is_head(data)
        if self._is_in_head:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._is_in_head = False
            lines = head.decode("latin-1").split("\r\n")
            self.items.append("; ".join(line for line in lines if not _is_of_one(line)))
            if head.startswith(b"HTTP/") and b" 101 " not in head[:14]:
                self._rest = bytearray()  # the body of a refusal
        if self._rest is not None:
            self._rest += data
            return
        self._frames += data
        self._parser.feed(data)
        try:
            while self._read_frame():
                pass
        except ProtocolError as exc:
            self._rest = self._frames[len(self._frames) - self._parser.buffered() :]
            self.items.append(f"a violation: {exc}")

    def _read_frame(self) -> bool:
        """Read on; tell if there was something to read."""
        parser = self._parser
        if not parser.in_frame:
            if not parser.read_header():
                return False
            self._payload = b""
        part = parser.read_payload()
        if part is None:
            return False
        self._payload += part
        if not parser.in_frame and parser.opcode not in (OP_PING, OP_PONG):
            more = "" if parser.fin else " and more"
            self.items.append(f"{Opcode(parser.opcode).name} {self._payload!r}{more}")
        return True

    @property
    def is_closed(self) -> bool:
        """Tell if the last was a Close: nothing follows it."""
        return bool(self.items) and self.items[-1].startswith(Opcode.CLOSE.name)

    def end(self) -> list[str]:
        """Return all that was said, what has only begun included."""
        if self._is_in_head:
            return [f"the beginning of a head {self._head!r}"]
        if self._rest:
            return [*self.items, repr(bytes(self._rest))]
        if self._parser.in_frame:
            name = Opcode(self._parser.opcode).name
            return [*self.items, f"the beginning of {name} {self._payload!r}"]
        if begun := self._parser.buffered():
            return [*self.items, f"the beginning of a frame, {begun} bytes"]
        return self.items


def _is_of_one(line: str) -> bool:
    return line.lower().startswith(_OF_ONE_CONNECTION)
