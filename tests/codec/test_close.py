"""The payload of a Close frame (RFC 6455 5.5.1, 7.4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.codec.close import MAX_REASON_SIZE, Close, decode_close, encode_close
from wsproto_async.exceptions import ProtocolError

CODES = st.sampled_from([*range(1000, 1004), *range(1007, 1015)]) | st.integers(3000, 4999)
REASONS = st.text(max_size=123).filter(lambda reason: len(reason.encode()) <= 123)

# The edges of every range that RFC 6455 7.4 and the registry leave out.
NEVER_SENT = [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1999, 2000, 2999, 5000, 5001, 65535]


def close_payload(code: int, reason: bytes = b"") -> bytes:
    return code.to_bytes(2, "big") + reason


@pytest.mark.parametrize(
    ("code", "reason", "payload"),
    [
        (1000, "", b"\x03\xe8"),
        (1001, "bye", b"\x03\xe9bye"),
        (3000, "né", b"\x0b\xb8n\xc3\xa9"),
        (4999, "\U0001f44b", b"\x13\x87\xf0\x9f\x91\x8b"),
    ],
)
def test_the_payload_is_the_code_and_the_reason(code: int, reason: str, payload: bytes) -> None:
    assert encode_close(code, reason) == payload
    assert decode_close(payload) == Close(code, reason)


def test_no_payload_is_no_code() -> None:
    assert decode_close(b"") == Close(1005)


def test_the_reason_is_empty_by_default() -> None:
    assert encode_close(1000) == encode_close(1000, "")
    assert Close(1000) == Close(1000, "")


@pytest.mark.parametrize("code", [*NEVER_SENT, -1, 65536])
def test_a_code_that_may_not_be_sent_is_not_sent(code: int) -> None:
    with pytest.raises(ValueError, match=f"^close code {code} may not be sent"):
        encode_close(code)


@pytest.mark.parametrize("code", NEVER_SENT)
@pytest.mark.parametrize("reason", [b"", b"bye", b"\xff"], ids=repr)
def test_a_code_that_may_not_be_sent_breaks_the_protocol(code: int, reason: bytes) -> None:
    with pytest.raises(ProtocolError, match=f"^close code {code} may not be sent$") as caught:
        decode_close(close_payload(code, reason))
    assert caught.value.code == 1002


@pytest.mark.parametrize("character", ["x", "é", "€", "\U0001f44b"])
def test_a_reason_fits_up_to_123_bytes_of_utf8(character: str) -> None:
    size = len(character.encode())
    fits = character * (MAX_REASON_SIZE // size)
    filled = fits + "x" * (MAX_REASON_SIZE - len(fits.encode()))
    assert len(encode_close(1000, filled)) == 125
    assert decode_close(encode_close(1000, filled)) == Close(1000, filled)
    with pytest.raises(ValueError, match=r"^close reason has 124 bytes of UTF-8, at most 123 fit$"):
        encode_close(1000, filled + "x")


def test_a_reason_with_a_lone_surrogate_is_not_sent() -> None:
    with pytest.raises(UnicodeEncodeError):
        encode_close(1000, "\ud800")


@pytest.mark.parametrize(
    "reason",
    [b"\xff", b"\x80", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"cut \xe2\x82"],
    ids=repr,
)
def test_a_reason_that_is_not_utf8_is_invalid_data(reason: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"^close reason is not UTF-8$") as caught:
        decode_close(close_payload(1000, reason))
    assert caught.value.code == 1007


@given(CODES, REASONS)
def test_what_is_encoded_is_decoded(code: int, reason: str) -> None:
    assert decode_close(encode_close(code, reason)) == Close(code, reason)


@given(st.binary(min_size=2, max_size=125))
def test_any_payload_is_valid_or_answered_with_1002_or_1007(payload: bytes) -> None:
    try:
        close = decode_close(payload)
    except ProtocolError as exc:
        assert exc.code in (1002, 1007)
    else:
        assert encode_close(close.code, close.reason) == payload


def test_close_frames_compare_by_value() -> None:
    assert Close(1000, "bye") == Close(1000, "bye")
    assert hash(Close(1000, "bye")) == hash(Close(1000, "bye"))
    assert Close(1000, "bye") != Close(1001, "bye")
    assert Close(1000, "bye") != Close(1000)
    assert Close(1000) != 1000
    assert len({Close(1000), Close(1000, ""), Close(1001)}) == 2


@pytest.mark.parametrize(
    ("close", "text"),
    [
        (Close(1000), "1000 (OK)"),
        (Close(1001, "bye"), "1001 (going away) bye"),
        (Close(1002), "1002 (protocol error)"),
        (Close(1003), "1003 (unsupported data)"),
        (Close(1005), "1005 (no status received)"),
        (Close(1006), "1006 (abnormal closure)"),
        (Close(1007), "1007 (invalid data)"),
        (Close(1008), "1008 (policy violation)"),
        (Close(1009), "1009 (message too big)"),
        (Close(1010), "1010 (mandatory extension)"),
        (Close(1011), "1011 (internal error)"),
        (Close(1012), "1012 (service restart)"),
        (Close(1013), "1013 (try again later)"),
        (Close(1014), "1014 (bad gateway)"),
        (Close(1015), "1015 (TLS handshake failure)"),
        (Close(3000), "3000 (registered)"),
        (Close(3999), "3999 (registered)"),
        (Close(4000), "4000 (private use)"),
        (Close(4999, "so long"), "4999 (private use) so long"),
    ],
    ids=str,
)
def test_a_close_frame_explains_itself(close: Close, text: str) -> None:
    assert str(close) == text


def test_repr_shows_line_breaks_escaped() -> None:
    assert repr(Close(1000, "a\nb")) == "Close(1000, 'a\\nb')"
