"""What a server or a client has answered so far, read strictly: a fault of its own is one too."""

from __future__ import annotations

import zlib

from .wire import BINARY, CLOSE, CONTINUATION, PONG, RSV1, TEXT, Frame

CUT_OFF = "it ends inside a frame"
NEVER_SENT = frozenset({*range(1000), 1004, 1006, 1015, *range(5000, 65536)})  # RFC 6455 7.4
MAX_ANSWER = 2**24  # bytes; nobody's answer to a row is longer
_TAIL = b"\0\0\xff\xff"  # RFC 7692 7.2.2


class Received:
    """The answer as it comes in: first a head, unless it ``is_open`` already, then frames.

    ``masked`` is what the answering end's frames have to be; with ``deflated`` its messages may
    be compressed.
    """

    def __init__(
        self, *, is_open: bool = False, masked: bool = False, deflated: bool = False
    ) -> None:
        self.is_open = is_open
        self._inflater = zlib.decompressobj(-15) if deflated else None
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.body = b""
        self.frames: list[Frame] = []  # whole messages and control frames
        self.close: Frame | None = None  # the last of them
        self.is_over = False
        self.is_cut_off = False  # nobody is there any more, not even to drop what comes
        self.fault: str | None = None
        self._masked = masked
        self._buffer = bytearray()
        self._begun: Frame | None = None
        self._is_compressed = False

    def feed(self, data: bytes) -> None:
        """Take more of the answer; none is its end."""
        if not data:
            self.is_over = True
            if not self.is_open:
                self._read_body()
            elif self._buffer:
                self.fault = CUT_OFF
            return
        self._buffer += data
        if len(self._buffer) > MAX_ANSWER:
            self.fault = "it is endless"
        while not self.is_open and self.status is None and b"\r\n\r\n" in self._buffer:
            self._read_head()
        while self.is_open and self.fault is None and self._read_frame():
            pass

    @property
    def is_verdict(self) -> bool:
        """Tell if the connection has been refused or closed, or is about to be."""
        refused = self.status is not None and self.status != 101
        return refused or self.close is not None or self.is_over

    def _read_head(self) -> None:
        text, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        start, *lines = text.decode("latin-1").split("\r\n")
        version, _, status = start.partition(" ")
        if not version.startswith("HTTP/1.") or not status[:3].isdecimal():
            self.fault = f"no HTTP response: {start[:40]!r}"
            self.status = 0
            return
        self._buffer[:] = rest
        number = int(status[:3])
        if 100 <= number < 200 and number != 101:
            return
        self.status = number
        self.headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        self.is_open = number == 101
        if "permessage-deflate" in self.headers.get("sec-websocket-extensions", ""):
            self._inflater = zlib.decompressobj(-15)

    def _read_body(self) -> None:
        length = self.headers.get("content-length", "")
        self.body = bytes(self._buffer)
        if length.isdecimal() and len(length) < 20 and len(self.body) > int(length):
            self.fault = "something follows the response"

    def _read_frame(self) -> bool:
        """Take one frame; False if it is not there yet."""
        data = self._buffer
        if len(data) < 2:
            return False
        first, second = data[0], data[1]
        length, pos = second & 0x7F, 2
        if length >= 126:
            pos = 4 if length == 126 else 10
            if len(data) < pos:
                return False
            length = int.from_bytes(data[2:pos], "big")
            if length < (126 if pos == 4 else 65536):
                self.fault = "a length is not minimal"
        if bool(second & 0x80) is not self._masked:
            self.fault = "MASK is wrong"
        may_be_marked = self._inflater is not None and first & 0x0F in (TEXT, BINARY)
        if first & (0x30 if may_be_marked else 0x70):
            self.fault = "reserved bits are set"
        key = b""
        if self._masked:
            key, pos = bytes(data[pos : pos + 4]), pos + 4
        if len(data) < pos + length:
            return False
        payload = bytes(data[pos : pos + length])
        if key:
            payload = bytes(byte ^ key[i & 3] for i, byte in enumerate(payload))
        del data[: pos + length]
        self._take(first, Frame(first & 0x0F, payload))
        return True

    def _take(self, first: int, frame: Frame) -> None:
        if self.close is not None:
            self.fault = "frames follow a Close frame"
        if frame.opcode >= CLOSE:
            if not first & 0x80 or len(frame.payload) > 125 or frame.opcode > PONG:
                self.fault = "a control frame is wrong"
            if frame.opcode == CLOSE:
                self.close = frame
                if len(frame.payload) == 1 or frame.close_code in NEVER_SENT:
                    self.fault = "a close code may not be sent"
            self.frames.append(frame)
            return
        begun = self._begun
        if begun is None:
            self._is_compressed = bool(first & RSV1)
        if (frame.opcode == CONTINUATION) is (begun is None) or frame.opcode > 2:
            self.fault = "fragments are out of order"
            return
        if begun is not None:
            frame = Frame(begun.opcode, begun.payload + frame.payload)
        self._begun = None if first & 0x80 else frame
        if self._begun is None:
            if self._is_compressed and self._inflater is not None:
                try:
                    data = self._inflater.decompress(frame.payload + _TAIL, MAX_ANSWER)
                except zlib.error:
                    self.fault = "what it compresses cannot be decompressed"
                    return
                frame = Frame(frame.opcode, data)
            self.frames.append(frame)

    def __str__(self) -> str:
        parts = []
        if self.status is not None:
            close = "close" in self.headers.get("connection", "").lower()
            lacks = self.status != 101 and not close
            parts.append(f"{self.status}{' without Connection: close' if lacks else ''}")
        for frame in self.frames[:4]:
            if frame.opcode == CLOSE:
                parts.append(f"Close {frame.close_code}")
            elif frame.opcode == PONG:
                parts.append("Pong")
            else:
                kind = "text" if frame.opcode == TEXT else "binary"
                parts.append(f"{kind} of {len(frame.payload)} bytes")
        if len(self.frames) > 4:
            parts.append("...")
        if self.fault is not None:
            parts.append(f"({self.fault})")
        parts.append("hung up" if self.is_over else "still connected")
        if self.is_cut_off:
            parts.append("cut off")
        return ", ".join(parts)
