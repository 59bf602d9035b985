"""The payload of a Close frame (RFC 6455 5.5.1): a code and a reason, or nothing."""

from __future__ import annotations

from typing import Final

from ..exceptions import ProtocolError
from .opcodes import is_sendable_close_code

__all__ = ["MAX_REASON_SIZE", "Close", "decode_close", "encode_close"]

# A control frame's payload holds at most 125 bytes, two of which are the code.
MAX_REASON_SIZE: Final = 123

_MEANINGS: Final = {
    1000: "OK",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no status received",
    1006: "abnormal closure",
    1007: "invalid data",
    1008: "policy violation",
    1009: "message too big",
    1010: "mandatory extension",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
    1015: "TLS handshake failure",
}


class Close:
    """A Close frame, or the way in which a connection ended.

    ``code`` is 1005 for a Close frame without a code and 1006 for an end without a Close frame;
    neither is ever sent. ``str()`` gives for example ``1001 (going away) bye``.
    """

    __slots__ = ("code", "reason")

    def __init__(self, code: int, reason: str = "") -> None:
        self.code = code
        self.reason = reason

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Close):
            return NotImplemented
        return self.code == other.code and self.reason == other.reason

    def __hash__(self) -> int:
        return hash((self.code, self.reason))

    def __repr__(self) -> str:
        return f"Close({self.code}, {self.reason!r})"

    def __str__(self) -> str:
        meaning = _MEANINGS.get(self.code)
        if meaning is None:
            meaning = "registered" if 3000 <= self.code < 4000 else "private use"
        return f"{self.code} ({meaning}) {self.reason}".rstrip()


def encode_close(code: int, reason: str = "") -> bytes:
    """Return the payload of a Close frame.

    Raises ValueError for a code that may not be sent, and for a reason over 123 bytes of UTF-8
    or with a lone surrogate.
    """
    if not is_sendable_close_code(code):
        raise ValueError(f"close code {code} may not be sent: use 1000 or 3000-4999")
    payload = reason.encode()
    if len(payload) > MAX_REASON_SIZE:
        raise ValueError(
            f"close reason has {len(payload)} bytes of UTF-8, at most {MAX_REASON_SIZE} fit"
        )
    return code.to_bytes(2, "big") + payload


def decode_close(payload: bytes) -> Close:
    """Read the payload of a Close frame.

    Raises ProtocolError: 1002 for a code that may not be sent, 1007 for a reason that is not
    UTF-8. The rule that one byte is no payload stands with the header's rules.
    """
    if not payload:
        return Close(1005)
    code = int.from_bytes(payload[:2], "big")
    if not is_sendable_close_code(code):
        raise ProtocolError(f"close code {code} may not be sent")
    try:
        return Close(code, payload[2:].decode())
    except UnicodeDecodeError:
        raise ProtocolError("close reason is not UTF-8", 1007) from None
