"""The frame parser: its state is what is missing, never a second copy of the payload.

``feed`` stores, ``read_header`` and ``read_payload`` take: whoever stops taking stops the work.
Any split of the input gives the same frames, in time linear in its bytes.
"""

from __future__ import annotations

from typing import Final

from .frames import (
    check_first_byte,
    check_long_length,
    check_second_byte,
    check_short_length,
    usual_first_bytes,
)
from .mask import apply_mask
from .opcodes import OP_CLOSE, OP_CONTINUATION

__all__ = ["MAX_PAYLOAD", "FrameParser"]

# Up to this much unread input is cheaper joined with what follows than kept beside it.
_JOIN_LIMIT: Final = 256
MAX_PAYLOAD: Final = 2**63 - 1  # RFC 6455 5.2


class FrameParser:
    """Takes frames from a stream of bytes, a data frame's payload piece by piece.

    ``masked`` tells which MASK bit is right: True on a server, False on a client. After
    ``read_header`` gave True, ``opcode``, ``fin``, ``rsv`` and ``remaining`` describe the frame
    that ``in_frame`` says is open; ``remaining`` counts the bytes of payload not yet taken.
    """

    __slots__ = (
        "_allowed_rsv",
        "_backlog",
        "_data",
        "_end",
        "_is_borrowed",
        "_mask_bit",
        "_masked",
        "_masking_key",
        "_message_open",
        "_pos",
        "_usual_inside",
        "_usual_outside",
        "fin",
        "in_frame",
        "opcode",
        "remaining",
        "rsv",
    )

    def __init__(self, masked: bool) -> None:
        self._masked = masked
        self._mask_bit = 0x80 if masked else 0
        self._masking_key = b""
        self._message_open = False
        self._backlog: bytearray | None = None
        self._hold(b"")
        self.allow_rsv(0)
        self.in_frame = False
        self.opcode = OP_CONTINUATION
        self.fin = True
        self.rsv = 0
        self.remaining = 0

    def allow_rsv(self, rsv: int) -> None:
        """Let a message's first frame carry the reserved bits ``rsv``, an extension's mark."""
        self._allowed_rsv = rsv
        self._usual_outside = usual_first_bytes(False, rsv)
        self._usual_inside = usual_first_bytes(True, rsv)

    def buffered(self) -> int:
        """How many bytes were fed and not yet taken."""
        return self._end - self._pos + (0 if self._backlog is None else len(self._backlog))

    def feed(self, data: bytes) -> None:
        """Append to the input."""
        unread = self._end - self._pos
        if self._backlog is not None:
            self._backlog += data
        elif unread == 0:
            self._hold(data)
        elif unread < _JOIN_LIMIT:
            self._hold(self._data[self._pos : self._end] + data)
        else:
            self._backlog = bytearray(data)

    def borrow(self, data: bytes, size: int) -> None:
        """Append the first ``size`` bytes of ``data``, which stay the caller's after ``keep``."""
        if self.buffered():
            self.feed(data[:size])
        else:
            self._hold(data)
            self._end = size
            self._is_borrowed = True

    def keep(self) -> None:
        """Copy what has not been taken of what was borrowed."""
        if self._is_borrowed:
            self._hold(self._data[self._pos : self._end])

    def discard(self) -> None:
        """Forget the input."""
        self._hold(b"")
        self._backlog = None

    def _hold(self, data: bytes) -> None:
        self._data = data
        self._pos = 0
        self._end = len(data)
        self._is_borrowed = False

    def _refill(self) -> bool:
        """Forget what was taken and bring the backlog in; False if that brought nothing."""
        if self._pos:
            self._hold(self._data[self._pos : self._end])
        if self._backlog is None:
            return False
        self._hold(self._data[: self._end] + bytes(self._backlog))
        self._backlog = None
        return True

    def read_header(self) -> bool:
        """Take the next frame's header; False while its length is not known.

        Raises ProtocolError at the first byte that proves a violation.
        """
        data = self._data
        pos = self._pos
        if self._end - pos >= 4:
            first = data[pos]
            usual = self._usual_inside if self._message_open else self._usual_outside
            if usual[first]:
                length = data[pos + 1] ^ self._mask_bit  # over 127 if MASK is wrong
                if length < 126:
                    return self._begin_frame(first, length, pos + 2)
                if length == 126:
                    length = data[pos + 2] << 8 | data[pos + 3]
                    if length >= 126:
                        return self._begin_frame(first, length, pos + 4)
                elif length == 127 and self._end - pos >= 10 and data[pos + 2] < 0x80:
                    length = 0
                    for i in range(pos + 2, pos + 10):
                        length = length << 8 | data[i]
                    if length >= 65536:
                        return self._begin_frame(first, length, pos + 10)
        return self._read_any_header()

    def _read_any_header(self) -> bool:
        """Take a header that is split, wrong, or a control frame's."""
        data = self._data
        pos = self._pos
        available = self._end - pos
        if available:
            first = data[pos]
            check_first_byte(first, self._message_open, self._allowed_rsv)
            if available > 1:
                second = data[pos + 1]
                check_second_byte(first, second, self._masked)
                length = second & 0x7F
                if length < 126:
                    return self._begin_frame(first, length, pos + 2)
                if length == 126 and available >= 4:
                    check_short_length(data[pos + 2] << 8 | data[pos + 3])
                elif length == 127 and available > 2:
                    check_long_length(data[pos + 2 : min(pos + 10, self._end)])
        return self._refill() and self.read_header()

    def _begin_frame(self, first: int, length: int, pos: int) -> bool:
        self._pos = pos
        self.in_frame = True
        self.fin = first >= 0x80
        self.opcode = first & 0x0F
        self.rsv = first & 0x70
        self.remaining = length
        self._masking_key = b""
        if self.opcode < OP_CLOSE:
            self._message_open = not self.fin
        return True

    def read_payload(self, limit: int = MAX_PAYLOAD) -> bytes | None:
        """Take what has arrived of the open frame's payload, unmasked; None if nothing has.

        A control frame's payload comes whole; a data frame's in as many pieces as it arrives in,
        of ``limit`` bytes at most, and an empty one at the end only if the frame itself is empty.
        """
        size = min(self.remaining, limit)
        available = self._end - self._pos
        if self._masked and not self._masking_key:
            if size == self.remaining and size + 4 <= available:
                return self._read_whole_payload()
            if not self._read_masking_key():
                return None
            available = self._end - self._pos
        if size > available:
            self._refill()
            available = self._end - self._pos
            if size > available:
                if available == 0 or self.opcode >= OP_CLOSE:
                    return None
                size = available
        data = self._data
        pos = self._pos
        end = pos + size
        if end == self._end:
            self._hold(b"")  # not beside what it becomes
        else:
            self._pos = end
        self.remaining -= size
        self.in_frame = self.remaining > 0
        if not self._masked:
            return data[pos:end]
        payload = apply_mask(data, self._masking_key, pos, end)
        if self.in_frame and size % 4:
            turn = size % 4
            self._masking_key = self._masking_key[turn:] + self._masking_key[:turn]
        return payload

    def _read_whole_payload(self) -> bytes:
        """Take masking key and payload, which are both there."""
        data = self._data
        key_start = self._pos
        start = key_start + 4
        end = start + self.remaining
        if end == self._end:
            self._hold(b"")
        else:
            self._pos = end
        self.remaining = 0
        self.in_frame = False
        return apply_mask(data, data, start, end, key_start)

    def _read_masking_key(self) -> bool:
        if self._end - self._pos < 4:
            self._refill()
            if self._end < 4:
                return False
        self._masking_key = self._data[self._pos : self._pos + 4]
        self._pos += 4
        return True
