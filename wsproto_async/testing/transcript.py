"""What one direction of a connection says, in a form that can be compared and read."""

from __future__ import annotations

from typing import Final

from ..codec.opcodes import OP_PING, OP_PONG, Opcode
from ..codec.parser import FrameParser
from ..exceptions import ProtocolError

__all__ = ["Transcript"]

_OF_ONE_CONNECTION: Final = ("sec-websocket-key:", "sec-websocket-accept:")
_COMPRESSED: Final = 0x40


class Transcript:
    """The head and the frames of one direction, each as soon as it is complete.

    Left out is what is another one for each connection: masking keys, ``Sec-WebSocket-Key`` and
    ``Sec-WebSocket-Accept``; and pings and pongs, which go by the clock.
    """

    def __init__(self, masked: bool) -> None:
        self.items: list[str] = []
        self._head = b""
        self._payload = b""
        self._is_wrong = False
        self._parser = FrameParser(masked)
        self._parser.allow_rsv(_COMPRESSED)

    def feed(self, data: bytes) -> None:
        """Take more of what is said."""
        if not self.items:
            self._head += data
            head, end, data = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            lines = head.decode("latin-1").split("\r\n")
            self.items.append("; ".join(line for line in lines if not _is_of_one(line)))
        if self._is_wrong:
            return
        self._parser.feed(data)
        try:
            while self._read_frame():
                pass
        except ProtocolError as exc:
            self._is_wrong = True
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

    def end(self) -> list[str]:
        """Return all that was said, what has only begun included."""
        if not self._is_wrong and self._parser.in_frame:
            name = Opcode(self._parser.opcode).name
            return [*self.items, f"the beginning of {name} {self._payload!r}"]
        return self.items


def _is_of_one(line: str) -> bool:
    return line.lower().startswith(_OF_ONE_CONNECTION)
