"""Masking is XOR with four bytes (RFC 6455 5.3), whatever the size and the seams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.codec.mask import apply_mask

KEYS = st.binary(min_size=4, max_size=4)
KEY = b"\x01\x80\xff\x00"


def naive(data: bytes, key: bytes) -> bytes:
    return bytes(byte ^ key[i % 4] for i, byte in enumerate(data))


def sample(size: int) -> bytes:
    return bytes(i * 7 % 256 for i in range(size))


def test_the_masked_example_of_rfc_6455_5_7() -> None:
    assert apply_mask(b"Hello", b"\x37\xfa\x21\x3d") == b"\x7f\x9f\x4d\x51\x58"


@pytest.mark.parametrize(
    "size",
    [*range(9), 125, 126, 127, 65535, 65536, 65537, 65538, 65539, 131071, 131072, 131073, 200_003],
)
def test_every_size(size: int) -> None:
    masked = apply_mask(sample(size), KEY)
    assert type(masked) is bytes
    assert masked == naive(sample(size), KEY)


@given(st.binary(max_size=300), KEYS, st.integers(0, 300), st.integers(0, 400))
def test_a_part_of_the_data(data: bytes, key: bytes, start: int, end: int) -> None:
    start = min(start, len(data), end)
    assert apply_mask(data, key, start, end) == naive(data[start:end], key)


@pytest.mark.parametrize("size", [65535, 65536, 65537, 150_001])
def test_a_large_part_of_the_data(size: int) -> None:
    data = sample(size + 100)
    assert apply_mask(data, KEY, 50, 50 + size) == naive(data[50 : 50 + size], KEY)


@pytest.mark.parametrize("position", range(4))
def test_every_byte_of_the_key_alone(position: int) -> None:
    for value in range(256):
        key = bytes(value if i == position else 0 for i in range(4))
        assert apply_mask(bytes(8), key) == key * 2


def test_the_data_stays_as_it_was() -> None:
    data = sample(100)
    apply_mask(data, KEY)
    assert data == sample(100)


@given(st.binary(max_size=300), KEYS)
def test_it_equals_the_naive_loop(data: bytes, key: bytes) -> None:
    assert apply_mask(data, key) == naive(data, key)


@given(st.binary(max_size=300), KEYS)
def test_twice_is_nothing(data: bytes, key: bytes) -> None:
    assert apply_mask(apply_mask(data, key), key) == data


@given(st.binary(max_size=300), KEYS, st.integers(0, 300))
def test_parts_are_masked_with_the_key_rotated_by_what_went_before(
    data: bytes, key: bytes, seam: int
) -> None:
    turn = min(seam, len(data)) % 4
    parts = apply_mask(data[:seam], key), apply_mask(data[seam:], key[turn:] + key[:turn])
    assert b"".join(parts) == naive(data, key)
