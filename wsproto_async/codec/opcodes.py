"""The numbers of RFC 6455: opcodes (5.2) and close codes (7.4), and the predicates on them."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

__all__ = ["CloseCode", "Opcode", "is_control", "is_known_opcode", "is_sendable_close_code"]


class Opcode(IntEnum):
    """What a frame is (RFC 6455 5.2)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


# Plain ints for the loop that runs once per frame.
OP_CONTINUATION: Final = 0x0
OP_TEXT: Final = 0x1
OP_BINARY: Final = 0x2
OP_CLOSE: Final = 0x8
OP_PING: Final = 0x9
OP_PONG: Final = 0xA


class CloseCode(IntEnum):
    """Why a connection was closed (RFC 6455 7.4.1 and the IANA registry)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RCVD = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_DATA = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


_NEVER_SENT = frozenset({1005, 1006, 1015})
_REGISTERED = frozenset(int(code) for code in CloseCode) - _NEVER_SENT


def is_known_opcode(opcode: int) -> bool:
    """Tell if RFC 6455 defines ``opcode``; 3-7 and 11-15 are reserved."""
    return opcode <= OP_BINARY or OP_CLOSE <= opcode <= OP_PONG


def is_control(opcode: int) -> bool:
    """Tell if ``opcode`` is that of a control frame (RFC 6455 5.5)."""
    return opcode >= OP_CLOSE


def is_sendable_close_code(code: int) -> bool:
    """Tell if ``code`` may stand in a Close frame (RFC 6455 7.4)."""
    return code in _REGISTERED or 3000 <= code <= 4999
