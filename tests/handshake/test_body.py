"""The body of a refusal: its framing, its limit, and whatever is wrong with it still shown."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.handshake.body import MAX_BODY_SIZE, BodyReader, BodyWriter
from wsproto_async.handshake.headers import Headers

Fields = list[tuple[str, str]]

WHOLE = 2**30
every_split = pytest.mark.parametrize("size", [1, 5, WHOLE], ids=["bytes", "fives", "whole"])


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def cut_at(data: bytes, seams: list[int]) -> list[bytes]:
    edges = [0, *sorted(seam % (len(data) + 1) for seam in seams), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def read(
    status: int, fields: Fields, chunks: list[bytes], *, eof: bool = False
) -> tuple[bytes | None, int]:
    """Feed until the body is complete; return it, and how many chunks that took."""
    reader = BodyReader(status, Headers(fields))
    for count, chunk in enumerate(chunks):
        if (body := reader.read(False)) is not None:
            return body, count
        reader.feed(chunk)
    return reader.read(eof), len(chunks)


def length(value: str) -> Fields:
    return [("Content-Length", value)]


CHUNKED = [("Transfer-Encoding", "chunked")]

LONG = b";".ljust(8191, b"x")  # after one digit, as much as a chunk's first line holds

COMPLETE: list[tuple[str, Fields, bytes, bytes]] = [
    # (what, header fields, bytes of which the last one completes the body, the body)
    ("a length", length("5"), b"hello", b"hello"),
    ("a length of 1", length("1"), b"x", b"x"),
    ("leading zeros", length("005"), b"hello", b"hello"),
    ("one chunk", CHUNKED, b"5\r\nhello\r\n0\r\n", b"hello"),
    ("chunks", CHUNKED, b"2\r\nhe\r\n3\r\nllo\r\n0\r\n", b"hello"),
    (
        "hexadecimal",
        CHUNKED,
        b"A\r\n0123456789\r\n00b\r\nabcdefghijk\r\n0\r\n",
        b"0123456789abcdefghijk",
    ),
    ("line ends in a chunk", CHUNKED, b"6\r\n\r\n0\r\n\r\r\n0\r\n", b"\r\n0\r\n\r"),
    ("chunk extensions", CHUNKED, b'2 ;a="b"\r\nhe\r\n3;c\r\nllo\r\n0;last\r\n', b"hello"),
    ("a long line", CHUNKED, b"2%b\r\nhe\r\n0%b\r\n" % (LONG, LONG), b"he"),
    ("no chunk", CHUNKED, b"0\r\n", b""),
    ("codings", [("Transfer-Encoding", "gzip, Chunked")], b"1\r\nx\r\n0\r\n", b"x"),
    ("chunks go before a length", [*CHUNKED, *length("1")], b"2\r\nhe\r\n0\r\n", b"he"),
    # What is malformed ends the body.
    ("no chunk size", CHUNKED, b"\r\n", b""),
    ("no number", CHUNKED, b"x\r\n", b""),
    ("a sign", CHUNKED, b"2\r\nhe\r\n+3\r\n", b"he"),
    ("a huge number", CHUNKED, b"2\r\nhe\r\n100000000\r\n", b"he"),
    ("a chunk after its end", CHUNKED, b"2\r\nhello\r\n", b"he"),
    ("an endless line", CHUNKED, b"12" + LONG, b""),
    ("an endless line later", CHUNKED, b"2\r\nhe\r\n03" + LONG, b"he"),
]

UNTIL_EOF: list[tuple[str, Fields]] = [
    ("no framing", []),
    ("another coding", [("Transfer-Encoding", "gzip")]),
    ("chunks are not the last coding", [("Transfer-Encoding", "chunked, gzip")]),
    ("no number", length("x")),
    ("a sign", length("+5")),
    ("two lengths", length("5, 6")),
    ("an empty length", length("")),
    ("digits beyond ASCII", length("\xb2")),
    ("a coding goes before a length", [("Transfer-Encoding", "gzip"), *length("1")]),
]


@pytest.mark.parametrize(
    ("fields", "data", "body"),
    [case[1:] for case in COMPLETE],
    ids=[case[0] for case in COMPLETE],
)
@pytest.mark.parametrize("tail", [b"", b"Trailer: x\r\n\r\nHTTP/1.1 101 "], ids=["", "tail"])
@every_split
def test_a_body_is_complete_with_its_last_byte(
    fields: Fields, data: bytes, body: bytes, tail: bytes, size: int
) -> None:
    assert read(403, fields, cut(data[:-1], size))[0] is None
    found, count = read(403, fields, cut(data + tail, size))
    assert found == body
    if size == 1:
        assert count == len(data), "complete with that byte and no other"


@pytest.mark.parametrize(
    "fields", [case[1] for case in UNTIL_EOF], ids=[case[0] for case in UNTIL_EOF]
)
@every_split
def test_a_body_without_framing_lasts_until_the_end(fields: Fields, size: int) -> None:
    assert read(403, fields, cut(b"5\r\nhello", size))[0] is None
    assert read(403, fields, cut(b"5\r\nhello", size), eof=True)[0] == b"5\r\nhello"
    assert read(403, fields, [], eof=True)[0] == b""


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (204, []),
        (204, CHUNKED),
        (304, []),
        (304, length("5")),
        (403, length("0")),
        (200, length("00")),
    ],
)
@pytest.mark.parametrize("tail", [b"", b"hello", b"5\r\nhello\r\n"])
def test_no_body(status: int, fields: Fields, tail: bytes) -> None:
    reader = BodyReader(status, Headers(fields))
    assert reader.read(False) == b""
    reader.feed(tail)
    assert reader.read(False) == reader.read(True) == b""


@pytest.mark.parametrize(
    ("fields", "data", "body"),
    [
        (length("10"), b"hello", b"hello"),
        (length("10"), b"", b""),
        (CHUNKED, b"", b""),
        (CHUNKED, b"5", b""),
        (CHUNKED, b"5\r\nhel", b"hel"),
        (CHUNKED, b"5\r\nhello\r", b"hello"),
        (CHUNKED, b"5\r\nhello\r\n2\r\n", b"hello"),
        (CHUNKED, b"5\nhello", b""),
    ],
)
@every_split
def test_what_has_come_of_a_body_that_was_cut_off(
    fields: Fields, data: bytes, body: bytes, size: int
) -> None:
    assert read(403, fields, cut(data, size)) == (None, len(cut(data, size)))
    assert read(403, fields, cut(data, size), eof=True)[0] == body


# The limit


def chunked(body: bytes, size: int) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in cut(body, size))


@pytest.mark.parametrize("piece", [997, WHOLE])
@pytest.mark.parametrize("more", [0, 1, 70000])
@pytest.mark.parametrize(
    "framing", ["length", "huge length", "no framing", "one chunk", "many chunks"]
)
def test_a_body_is_cut_off_at_the_limit(framing: str, more: int, piece: int) -> None:
    body = b"x" * (MAX_BODY_SIZE + more)
    fields, data = {
        "length": (length(str(len(body))), body),
        "huge length": (length("9" * 5000), body),
        "no framing": ([], body),
        "one chunk": (CHUNKED, chunked(body, WHOLE)),
        "many chunks": (CHUNKED, chunked(body, 1000)),
    }[framing]
    assert read(403, fields, cut(data, piece))[0] == body[:MAX_BODY_SIZE]


def test_a_body_below_the_limit_is_not() -> None:
    body = b"x" * (MAX_BODY_SIZE - 1)
    assert read(403, [], [body]) == (None, 1)
    assert read(403, length(str(len(body))), [body])[0] == body
    assert read(403, CHUNKED, [chunked(body, WHOLE) + b"0\r\n"])[0] == body


def test_buffered_counts_what_is_held() -> None:
    reader = BodyReader(403, Headers(length("5")))
    assert reader.buffered == 0
    reader.feed(b"he")
    assert reader.buffered == 2
    reader = BodyReader(403, Headers(CHUNKED))
    reader.feed(b"5\r\nhe")
    assert reader.buffered == 2
    reader.feed(b"llo\r\n3")
    assert reader.buffered == 5 + 3


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
@pytest.mark.parametrize("fields", [length("5"), CHUNKED])
def test_any_buffer_may_be_fed(kind: type, fields: Fields) -> None:
    reader = BodyReader(403, Headers(fields))
    reader.feed(kind(b"hello" if fields == length("5") else b"5\r\nhello\r\n0\r\n"))
    assert reader.read(False) == b"hello"


# Linear time: shown by sizes at which anything else would not end


@pytest.mark.parametrize("size", [1, 4096])
def test_a_body_of_tiny_chunks_is_linear(size: int) -> None:
    body = b"x" * 2**15
    data = chunked(body, 1) + b"0\r\n"
    assert read(403, CHUNKED, cut(data, size))[0] == body


def test_a_body_byte_by_byte_is_linear() -> None:
    body = b"x" * 2**17
    assert read(403, length(str(len(body))), cut(body, 1))[0] == body
    assert read(403, CHUNKED, cut(chunked(body, WHOLE) + b"0\r\n", 1))[0] == body


# Any bytes at all

SEAMS = st.lists(st.integers(0, 2**10), max_size=8)
PARTS = st.sampled_from(
    [b"0", b"5", b"1", b"f", b";", b"x", b"\r\n", b"\r", b"\n", b"5\r\nhello\r\n", b"x" * 8190]
)


@given(st.lists(PARTS | st.binary(max_size=3), max_size=12).map(b"".join), SEAMS)
def test_any_split_of_any_chunks_gives_the_same(data: bytes, seams: list[int]) -> None:
    whole = read(403, CHUNKED, [data], eof=True)[0]
    assert read(403, CHUNKED, cut(data, 1), eof=True)[0] == whole
    assert read(403, CHUNKED, cut_at(data, seams), eof=True)[0] == whole


@given(st.binary(max_size=50), st.integers(1, 60), SEAMS)
def test_what_is_framed_is_read(body: bytes, size: int, seams: list[int]) -> None:
    data = chunked(body, size) + b"0\r\n"
    assert read(403, CHUNKED, cut_at(data, seams))[0] == body
    assert read(403, length(str(len(body))), cut_at(body, seams))[0] == body


@given(st.lists(st.binary(max_size=20), min_size=1))
def test_chunks_are_read_as_they_were_written(parts: list[bytes]) -> None:
    writer = BodyWriter(Headers())
    last = len(parts) - 1
    sent = b"".join(
        writer.encode(part, more_body=number < last) for number, part in enumerate(parts)
    )
    body, _ = read(403, [("Transfer-Encoding", "chunked")], [sent, b""])
    assert body == b"".join(parts)


def test_chunks() -> None:
    writer = BodyWriter(Headers())
    assert writer.encode(b"0123456789abcdef", more_body=True) == b"10\r\n0123456789abcdef\r\n"
    assert writer.encode(b"", more_body=True) == b""  # an empty chunk would be the last
    assert writer.encode(b"x", more_body=False) == b"1\r\nx\r\n0\r\n\r\n"


def test_known_length_is_written_as_it_is() -> None:
    writer = BodyWriter(Headers({"Content-Length": "5"}))
    assert writer.encode(b"abc", more_body=True) == b"abc"
    assert writer.encode(b"de", more_body=False) == b"de"


@pytest.mark.parametrize(("data", "more_body"), [(b"abc", True), (b"a", False), (b"abc", False)])
def test_other_than_the_known_length(data: bytes, more_body: bool) -> None:
    writer = BodyWriter(Headers({"Content-Length": "2"}))
    with pytest.raises(ValueError, match="not as long as Content-Length"):
        writer.encode(data, more_body=more_body)


@pytest.mark.parametrize("length", ["", "x", "-1", "1, 1", "\u0661"])
def test_length_that_is_none_cannot_be_written(length: str) -> None:
    with pytest.raises(ValueError, match="Content-Length"):
        BodyWriter(Headers.of_checked([("Content-Length", length)]))
