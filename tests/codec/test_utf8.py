"""UTF-8 in pieces is right when the whole is, and wrong at the first byte that cannot be mended."""

from __future__ import annotations

import itertools
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.codec.utf8 import Utf8Decoder
from wsproto_async.exceptions import ProtocolError

# The well-formed byte sequences: table 3-7 of the Unicode Standard.
TAIL = range(0x80, 0xC0)
WELL_FORMED = [
    (range(0x00, 0x80),),
    (range(0xC2, 0xE0), TAIL),
    (range(0xE0, 0xE1), range(0xA0, 0xC0), TAIL),
    (range(0xE1, 0xED), TAIL, TAIL),
    (range(0xED, 0xEE), range(0x80, 0xA0), TAIL),
    (range(0xEE, 0xF0), TAIL, TAIL),
    (range(0xF0, 0xF1), range(0x90, 0xC0), TAIL, TAIL),
    (range(0xF1, 0xF4), TAIL, TAIL, TAIL),
    (range(0xF4, 0xF5), range(0x80, 0x90), TAIL, TAIL),
]
# Lead bytes and the edges of what may follow them.
EDGES = bytes.fromhex("00 41 7f 80 8f 90 9f a0 bf c0 c1 c2 df e0 e1 ec ed ee ef f0 f1 f3 f4 f5 ff")


def first_wrong(data: bytes) -> int | None:
    """The index of the first byte after which no continuation makes ``data`` UTF-8."""
    rows, depth = WELL_FORMED, 0
    for index, byte in enumerate(data):
        rows = [row for row in rows if byte in row[depth]]
        if not rows:
            return index
        depth += 1
        if depth == len(rows[0]):
            rows, depth = WELL_FORMED, 0
    return None


def rejected_at(data: bytes) -> int | None:
    """The index of the byte at which the decoder, fed byte by byte, rejects ``data``."""
    decoder = Utf8Decoder()
    for index in range(len(data)):
        try:
            decoder.decode(data[index : index + 1], False)
        except ProtocolError:
            return index
    return None


def decode(pieces: list[bytes]) -> str:
    decoder = Utf8Decoder()
    text = "".join(decoder.decode(piece, False) for piece in pieces)
    return text + decoder.decode(b"", True)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("text", ["", "x", "κόσμε", "€", "\U0001f44b", "\0\x7f\x80߿ࠀ￿𐀀\U0010ffff"])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_text_in_pieces(text: str, size: int) -> None:
    assert decode(cut(text.encode(), size)) == text


@pytest.mark.parametrize("size", [11, 65536])
def test_every_character_there_is(size: int) -> None:
    text = "".join(map(chr, itertools.chain(range(0xD800), range(0xE000, sys.maxunicode + 1))))
    assert decode(cut(text.encode(), size)) == text


@pytest.mark.parametrize(
    ("pieces", "texts", "pendings"),
    [
        ([b"\xe2", b"\x82", b"\xac"], ["", "", "€"], [1, 2, 0]),
        ([b"a\xf0\x9f\x91", b"\x8bb"], ["a", "\U0001f44bb"], [3, 0]),
        ([b"\xc3", b"\xa9\xc3", b"\xa9"], ["", "é", "é"], [1, 1, 0]),
        ([b"", b"x", b""], ["", "x", ""], [0, 0, 0]),
    ],
)
def test_a_character_comes_with_its_last_byte(
    pieces: list[bytes], texts: list[str], pendings: list[int]
) -> None:
    decoder = Utf8Decoder()
    assert decoder.pending == 0
    for piece, text, pending in zip(pieces, texts, pendings, strict=True):
        assert decoder.decode(piece, False) == text
        assert decoder.pending == pending


@pytest.mark.parametrize(
    ("what", "data", "index"),
    [
        ("a continuation byte alone", b"a\x80", 1),
        ("a byte that never occurs", b"\xff", 0),
        ("'/' in two bytes", b"\xc0\xaf", 0),
        ("'/' in three bytes", b"\xe0\x80\xaf", 1),
        ("'/' in four bytes", b"\xf0\x80\x80\xaf", 1),
        ("a surrogate", b"ok\xed\xa0\x80", 3),
        ("beyond U+10FFFF", b"\xf4\x90\x80\x80", 1),
        ("far beyond it", b"\xf5\x80\x80\x80", 0),
        ("a character cut by another", b"\xe2\x82x", 2),
        ("a lead byte after a lead byte", b"\xf0\x9f\xf0", 2),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("tail", [b"", b" more text"], ids=["", "with a tail"])
def test_wrong_bytes(what: str, data: bytes, index: int, tail: bytes) -> None:
    decoder = Utf8Decoder()
    decoder.decode(data[:index], False)
    with pytest.raises(ProtocolError, match=r"^text is not UTF-8$") as caught:
        decoder.decode(data[index : index + 1] + tail, False)
    assert caught.value.code == 1007


@pytest.mark.parametrize("data", [b"\xe2", b"a\xe2\x82", b"\xf0\x9f\x91"], ids=repr)
@pytest.mark.parametrize("at_once", [True, False])
def test_text_that_ends_inside_a_character(data: bytes, at_once: bool) -> None:
    decoder = Utf8Decoder()
    if not at_once:
        decoder.decode(data, False)
    with pytest.raises(ProtocolError) as caught:
        decoder.decode(data if at_once else b"", True)
    assert caught.value.code == 1007


def test_every_pair_of_bytes_is_rejected_at_the_first_wrong_one() -> None:
    for pair in itertools.product(range(256), repeat=2):
        assert rejected_at(bytes(pair)) == first_wrong(bytes(pair)), bytes(pair).hex()


def test_all_edges_are_rejected_at_the_first_wrong_byte() -> None:
    for edges in itertools.product(EDGES, repeat=3):
        for data in (bytes(edges), b"\xf0" + bytes(edges), b"\xf4" + bytes(edges)):
            assert rejected_at(data) == first_wrong(data), data.hex()


@given(st.lists(st.binary(max_size=6) | st.text(max_size=3).map(str.encode), max_size=8))
def test_it_agrees_with_bytes_decode(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    try:
        expected: str | None = whole.decode()
    except UnicodeDecodeError:
        expected = None
    try:
        found: str | None = decode(pieces)
    except ProtocolError:
        found = None
    assert found == expected


@given(st.text(max_size=5), st.binary(max_size=6))
def test_it_rejects_at_the_first_wrong_byte(text: str, noise: bytes) -> None:
    data = text.encode() + noise
    assert rejected_at(data) == first_wrong(data)
