"""The frame's header: every rule of RFC 6455 5.2-5.5 about it, and the encoder.

Each check needs no more bytes than the rule does, so that a violation is seen at the first byte
that proves it, long before the payload.
"""

from __future__ import annotations

import os
from functools import cache

from ..exceptions import ProtocolError
from .mask import join_frame, make_header
from .opcodes import OP_CLOSE, OP_CONTINUATION, is_control, is_known_opcode

__all__ = [
    "check_first_byte",
    "check_long_length",
    "check_second_byte",
    "check_short_length",
    "encode_frame",
    "encode_header",
    "usual_first_bytes",
]


def check_first_byte(first: int, message_open: bool, rsv: int = 0) -> None:
    """Check FIN, RSV1-3 and the opcode; ``message_open`` tells of a fragmented message under way.

    ``rsv`` are the reserved bits with which an extension marks a message, all or none of them.
    Raises ProtocolError.
    """
    opcode = first & 0x0F
    # 5.2: RSV1-3 MUST be 0 unless an extension gives them a meaning; RFC 7692 6: one for the
    # message stands in its first frame.
    if first & 0x70 and (first & 0x70 != rsv or opcode == OP_CONTINUATION or is_control(opcode)):
        raise ProtocolError("reserved bits are set")
    if not is_known_opcode(opcode):
        raise ProtocolError(f"opcode {opcode:#x} is reserved")
    if is_control(opcode):
        # 5.5: control frames MUST NOT be fragmented.
        if not first & 0x80:
            raise ProtocolError("control frame is fragmented")
    # 5.4: the fragments of one message MUST NOT be interleaved with another's.
    elif opcode == OP_CONTINUATION:
        if not message_open:
            raise ProtocolError("continuation frame without a message to continue")
    elif message_open:
        raise ProtocolError("new message before the fragmented one ended")


@cache
def usual_first_bytes(message_open: bool, rsv: int) -> bytes:
    """Return a table of 256: true where ``check_first_byte`` lets a data frame begin."""
    table = bytearray(256)
    for first in range(256):
        try:
            check_first_byte(first, message_open, rsv)
        except ProtocolError:
            continue
        table[first] = not is_control(first & 0x0F)
    return bytes(table)


def check_second_byte(first: int, second: int, masked: bool) -> None:
    """Check MASK against ``masked``, the only value right for this direction, and the length.

    Raises ProtocolError.
    """
    # 5.1: a client MUST mask, a server MUST NOT.
    if bool(second & 0x80) is not masked:
        raise ProtocolError("client frame is not masked" if masked else "server frame is masked")
    if is_control(first & 0x0F):
        length = second & 0x7F
        # 5.5: control frames MUST have a payload length of 125 bytes or less.
        if length > 125:
            raise ProtocolError("control frame is longer than 125 bytes")
        # 5.5.1: if there is a body, its first two bytes MUST be the code.
        if length == 1 and first & 0x0F == OP_CLOSE:
            raise ProtocolError("close frame holds half a close code")


def check_short_length(length: int) -> None:
    """Check a payload length that stands in 2 bytes; raises ProtocolError."""
    # 5.2: the minimal number of bytes MUST be used.
    if length < 126:
        raise ProtocolError("payload length is not encoded in the fewest bytes")


def check_long_length(encoded: bytes) -> None:
    """Check what has arrived of the 8 bytes of a payload length; raises ProtocolError."""
    # 5.2: the most significant bit MUST be 0, the minimal number of bytes MUST be used.
    if encoded[0] & 0x80:
        raise ProtocolError("payload length has its most significant bit set")
    if len(encoded) >= 6 and not any(encoded[:6]):
        raise ProtocolError("payload length is not encoded in the fewest bytes")


def encode_frame(
    opcode: int, payload: bytes, masked: bool, fin: bool = True, rsv: int = 0
) -> bytes:
    """Return a whole frame; ``masked`` applies a fresh unpredictable key (RFC 6455 5.3, 10.3)."""
    first = opcode | rsv | 0x80 if fin else opcode | rsv
    return join_frame(first, payload, os.urandom(4) if masked else b"")


def encode_header(opcode: int, length: int, fin: bool = True, rsv: int = 0) -> bytes:
    """Return what comes before the payload of a frame that is not masked."""
    return make_header(opcode | rsv | 0x80 if fin else opcode | rsv, length, 0)
