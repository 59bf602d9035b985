"""Every rule of RFC 6455 5.2-5.5 about a frame's header, each byte of it tried; the encoder."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.codec.frames import (
    check_first_byte,
    check_long_length,
    check_second_byte,
    check_short_length,
    encode_frame,
    encode_header,
)
from wsproto_async.exceptions import ProtocolError

# FIN and opcode: what may begin a frame between messages, and inside a fragmented one.
VALID_FIRST_BYTES = {
    False: {0x01, 0x02, 0x81, 0x82, 0x88, 0x89, 0x8A},
    True: {0x00, 0x80, 0x88, 0x89, 0x8A},
}

# Length of the payload -> header of an unmasked binary frame.
HEADERS = {
    0: b"\x82\x00",
    1: b"\x82\x01",
    125: b"\x82\x7d",
    126: b"\x82\x7e\x00\x7e",
    127: b"\x82\x7e\x00\x7f",
    255: b"\x82\x7e\x00\xff",
    256: b"\x82\x7e\x01\x00",
    65535: b"\x82\x7e\xff\xff",
    65536: b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00",
    65537: b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x01",
    2**20 + 3: b"\x82\x7f\x00\x00\x00\x00\x00\x10\x00\x03",
}


def xor(payload: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))


@pytest.mark.parametrize("message_open", [False, True])
def test_every_first_byte(message_open: bool) -> None:
    accepted = set()
    for first in range(256):
        try:
            check_first_byte(first, message_open)
        except ProtocolError as exc:
            assert exc.code == 1002
        else:
            accepted.add(first)
    assert accepted == VALID_FIRST_BYTES[message_open]


@pytest.mark.parametrize(
    ("first", "message_open", "text"),
    [
        (0xC1, False, "reserved bits are set"),
        (0xA2, False, "reserved bits are set"),
        (0x99, False, "reserved bits are set"),
        (0x83, False, "opcode 0x3 is reserved"),
        (0x8B, True, "opcode 0xb is reserved"),
        (0x08, False, "control frame is fragmented"),
        (0x09, True, "control frame is fragmented"),
        (0x80, False, "continuation frame without a message to continue"),
        (0x00, False, "continuation frame without a message to continue"),
        (0x81, True, "new message before the fragmented one ended"),
        (0x02, True, "new message before the fragmented one ended"),
    ],
)
def test_a_wrong_first_byte_is_explained(first: int, message_open: bool, text: str) -> None:
    with pytest.raises(ProtocolError, match=f"^{text}$"):
        check_first_byte(first, message_open)


@pytest.mark.parametrize("masked", [True, False], ids=["client's", "server's"])
@pytest.mark.parametrize("first", sorted(set().union(*VALID_FIRST_BYTES.values())), ids=hex)
def test_every_second_byte(first: int, masked: bool) -> None:
    mask_bit = 0x80 if masked else 0
    lengths = set(range(128))
    if first >= 0x88:
        lengths -= {126, 127}
    if first == 0x88:
        lengths -= {1}
    accepted = set()
    for second in range(256):
        try:
            check_second_byte(first, second, masked)
        except ProtocolError as exc:
            assert exc.code == 1002
        else:
            accepted.add(second)
    assert accepted == {mask_bit | length for length in lengths}


@pytest.mark.parametrize(
    ("first", "second", "masked", "text"),
    [
        (0x82, 0x00, True, "client frame is not masked"),
        (0x82, 0x80, False, "server frame is masked"),
        (0x89, 0x7E, False, "control frame is longer than 125 bytes"),
        (0x8A, 0xFF, True, "control frame is longer than 125 bytes"),
        (0x88, 0x81, True, "close frame holds half a close code"),
    ],
)
def test_a_wrong_second_byte_is_explained(first: int, second: int, masked: bool, text: str) -> None:
    with pytest.raises(ProtocolError, match=f"^{text}$") as caught:
        check_second_byte(first, second, masked)
    assert caught.value.code == 1002


@pytest.mark.parametrize("third", range(256))
def test_the_most_significant_bit_of_a_long_length_is_zero(third: int) -> None:
    if third < 0x80:
        check_long_length(bytes((third,)))
        return
    with pytest.raises(ProtocolError, match=r"^payload length has its most significant bit set$"):
        check_long_length(bytes((third,)))


NOT_FEWEST = "^payload length is not encoded in the fewest bytes$"


@pytest.mark.parametrize("length", [0, 1, 124, 125])
def test_a_short_length_does_not_fit_in_one_byte(length: int) -> None:
    with pytest.raises(ProtocolError, match=NOT_FEWEST) as caught:
        check_short_length(length)
    assert caught.value.code == 1002


@pytest.mark.parametrize("length", [126, 127, 255, 256, 65535])
def test_a_short_length_may_be_any_other(length: int) -> None:
    check_short_length(length)


@pytest.mark.parametrize("length", [0, 1, 125, 126, 65535])
@pytest.mark.parametrize("arrived", range(1, 9))
def test_a_long_length_does_not_fit_in_two_bytes(length: int, arrived: int) -> None:
    encoded = length.to_bytes(8, "big")[:arrived]
    if arrived < 6:
        check_long_length(encoded)  # it may still become big enough
        return
    with pytest.raises(ProtocolError, match=NOT_FEWEST) as caught:
        check_long_length(encoded)
    assert caught.value.code == 1002


@pytest.mark.parametrize("length", [65536, 65537, 2**24, 2**32, 2**48, 2**56, 2**62, 2**63 - 1])
@pytest.mark.parametrize("arrived", range(1, 9))
def test_a_long_length_may_be_any_other(length: int, arrived: int) -> None:
    check_long_length(length.to_bytes(8, "big")[:arrived])


@pytest.mark.parametrize(
    ("opcode", "payload", "fin", "frame"),
    [
        (0x1, b"Hello", True, b"\x81\x05Hello"),
        (0x1, b"Hel", False, b"\x01\x03Hel"),
        (0x0, b"lo", True, b"\x80\x02lo"),
        (0x9, b"Hello", True, b"\x89\x05Hello"),
        (0xA, b"Hello", True, b"\x8a\x05Hello"),
        (0x2, bytes(256), True, b"\x82\x7e\x01\x00" + bytes(256)),
        (0x2, bytes(65536), True, b"\x82\x7f\0\0\0\0\0\x01\0\0" + bytes(65536)),
    ],
    ids=["text", "first fragment", "last fragment", "ping", "pong", "256 bytes", "64 KiB"],
)
def test_the_unmasked_examples_of_rfc_6455_5_7(
    opcode: int, payload: bytes, fin: bool, frame: bytes
) -> None:
    assert encode_frame(opcode, payload, fin=fin, masked=False) == frame


@pytest.mark.parametrize(("length", "header"), HEADERS.items())
def test_the_header_says_the_length_in_the_fewest_bytes(length: int, header: bytes) -> None:
    payload = bytes(i % 251 for i in range(length))
    assert encode_frame(0x2, payload, masked=False) == header + payload
    assert encode_header(0x2, length) == header
    assert encode_header(0x1, length, fin=False, rsv=0x40) == b"\x41" + header[1:]


@pytest.mark.parametrize(("length", "header"), HEADERS.items())
def test_a_masked_frame_holds_its_key_and_the_payload_masked_with_it(
    length: int, header: bytes
) -> None:
    payload = bytes(i % 251 for i in range(length))
    frame = encode_frame(0x2, payload, masked=True)
    size = len(header)
    assert frame[:size] == bytes((header[0], header[1] | 0x80)) + header[2:]
    key, masked_payload = frame[size : size + 4], frame[size + 4 :]
    assert xor(masked_payload, key) == payload


def test_each_masking_key_is_fresh() -> None:
    keys = {encode_frame(0x2, b"", masked=True)[2:] for _ in range(100)}
    assert len(keys) == 100


@given(st.sampled_from([0x0, 0x1, 0x2, 0x8, 0x9, 0xA]), st.booleans(), st.booleans())
def test_the_first_byte_is_fin_and_opcode_and_no_reserved_bit(
    opcode: int, fin: bool, masked: bool
) -> None:
    assert encode_frame(opcode, b"x", fin=fin, masked=masked)[0] == (0x80 if fin else 0) | opcode


def test_what_we_encode_passes_our_own_checks() -> None:
    for first, masked in itertools.product(sorted(VALID_FIRST_BYTES[False]), (True, False)):
        frame = encode_frame(first & 0x0F, b"ab", fin=first >= 0x80, masked=masked)
        check_first_byte(frame[0], False)
        check_second_byte(frame[0], frame[1], masked)
