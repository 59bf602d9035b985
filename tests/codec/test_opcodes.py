"""The numbers of RFC 6455 5.2 and 7.4, each of them."""

from __future__ import annotations

import pytest

from wsproto_async.codec import opcodes
from wsproto_async.codec.opcodes import (
    CloseCode,
    Opcode,
    is_control,
    is_known_opcode,
    is_sendable_close_code,
)

DATA = {"CONTINUATION": 0x0, "TEXT": 0x1, "BINARY": 0x2}
CONTROL = {"CLOSE": 0x8, "PING": 0x9, "PONG": 0xA}

CLOSE_CODES = {
    "NORMAL_CLOSURE": 1000,
    "GOING_AWAY": 1001,
    "PROTOCOL_ERROR": 1002,
    "UNSUPPORTED_DATA": 1003,
    "NO_STATUS_RCVD": 1005,
    "ABNORMAL_CLOSURE": 1006,
    "INVALID_DATA": 1007,
    "POLICY_VIOLATION": 1008,
    "MESSAGE_TOO_BIG": 1009,
    "MANDATORY_EXTENSION": 1010,
    "INTERNAL_ERROR": 1011,
    "SERVICE_RESTART": 1012,
    "TRY_AGAIN_LATER": 1013,
    "BAD_GATEWAY": 1014,
    "TLS_HANDSHAKE": 1015,
}
SENDABLE = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}


def test_opcodes() -> None:
    assert {opcode.name: opcode.value for opcode in Opcode} == DATA | CONTROL


@pytest.mark.parametrize("name", DATA | CONTROL)
def test_the_loop_s_constants_are_plain_ints_of_the_same_value(name: str) -> None:
    constant = getattr(opcodes, f"OP_{name}")
    assert type(constant) is int
    assert constant == Opcode[name]


@pytest.mark.parametrize("opcode", range(16))
def test_every_opcode_is_known_or_reserved_control_or_data(opcode: int) -> None:
    assert is_known_opcode(opcode) is (opcode in (DATA | CONTROL).values())
    # RFC 6455 5.2: 3-7 are reserved for data frames, B-F for control frames.
    assert is_control(opcode) is (opcode >= 8)


def test_close_codes() -> None:
    assert {code.name: code.value for code in CloseCode} == CLOSE_CODES


def test_every_close_code_may_be_sent_or_not() -> None:
    assert {code for code in range(-1, 0x10001) if is_sendable_close_code(code)} == SENDABLE
