"""Publications as bytes: what comes out is what went in, and garbage is a ValueError."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsproto_async.pubsub import Kind, Position, Publication
from wsproto_async.pubsub.broker import MAX_PAYLOAD
from wsproto_async.pubsub.wire import decode, decode_all, encode

KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=255).filter(
    lambda key: len(key.encode()) <= 255
)
SLOW = st.sampled_from([None, "close", "wait", "drop-oldest", "drop-newest", "latest"])


@st.composite
def publications(draw: st.DrawFn) -> Publication:
    is_text = draw(st.booleans())
    text = st.text(st.characters(exclude_categories=["Cs"])).map(str.encode)
    return Publication(
        "news",
        draw(text if is_text else st.binary()),
        is_text,
        kind=draw(st.sampled_from(Kind)),
        key=draw(KEYS),
        slow=draw(SLOW),
        compress=draw(st.sampled_from([None, True, False])),
        exclude=draw(st.one_of(st.just(b""), st.binary(min_size=16, max_size=16))),
    )


def inner(publication: Publication) -> bytes:
    """What ``decode`` takes, which the length stands before."""
    data = encode(publication)
    assert int.from_bytes(data[:4]) == len(data) - 4
    return data[4:]


def fields(publication: Publication) -> dict[str, object]:
    return {name: getattr(publication, name) for name in Publication.__slots__}


@given(publications())
def test_round_trip(publication: Publication) -> None:
    position = Position("a", 7)
    assert fields(decode("news", inner(publication), position)) == fields(publication.at(position))


@given(st.lists(publications(), min_size=1), st.booleans())
def test_several_follow_each_other(several: list[Publication], have_positions: bool) -> None:
    data = b"".join(map(encode, several))
    first = Position("a", 7) if have_positions else None
    found = decode_all("news", data, first)
    positions = [Position("a", 7 + number) if first else None for number in range(len(several))]
    expected = [each.at(position) for each, position in zip(several, positions, strict=True)]
    assert list(map(fields, found)) == list(map(fields, expected))


@given(st.lists(publications(), min_size=1), st.data())
def test_of_several_the_last_can_be_lacking_as_a_whole_alone(
    several: list[Publication], data: st.DataObject
) -> None:
    ends = list(accumulate(len(encode(each)) for each in several))
    end = data.draw(st.one_of(st.sampled_from(ends), st.integers(0, ends[-1])))
    cut = b"".join(map(encode, several))[:end]
    if end in ends:
        assert len(decode_all("news", cut)) == ends.index(end) + 1
    else:
        with pytest.raises(ValueError, match="cut off"):
            decode_all("news", cut)


@given(publications(), st.data())
def test_every_beginning_of_one_is_another_or_none(
    publication: Publication, data: st.DataObject
) -> None:
    whole = inner(publication)
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    try:
        shorter = decode("news", cut)
    except ValueError:
        return
    assert inner(shorter) == cut


@given(st.one_of(st.binary(max_size=400), st.binary(max_size=400).map(lambda rest: b"\x01" + rest)))
@example(b"")
@example(b"\x01\x00\x0c\x00\x00")
@example(b"\x01\x00\x00\x00\x01\xff")
@example(b"\x01\x00\x01\x00\x00\xff")
def test_garbage(data: bytes) -> None:
    try:
        publication = decode("news", data)
    except ValueError:
        return
    assert inner(publication) == data


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x02\x00\x00\x00\x00", "version 2"),
        (b"\x00\x00\x00\x00\x00", "version 0"),
        (b"\x01\x03\x00\x00\x00", "unknown"),
        (b"\x01\x00\x10\x00\x00", "unknown"),
        (b"\x01\x00\x0c\x00\x00", "unknown"),
        (b"\x01\x00\x00\x06\x00", "unknown"),
        (b"\x01\x00\x00\x00", "cut off"),
        (b"\x01\x00\x02\x00\x00" + bytes(15), "cut off"),
        (b"\x01\x00\x00\x00\x02a", "cut off"),
    ],
)
def test_what_is_refused_says_why(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        decode("news", data)


def test_what_holds_the_loop_for_long_is_refused() -> None:
    tiny = encode(Publication("news", b"", False))
    assert len(decode_all("news", tiny * 1024)) == 1024
    with pytest.raises(ValueError, match="too many"):
        decode_all("news", tiny * 1025)


def test_16_mib_and_no_more() -> None:
    largest = Publication("news", bytes(MAX_PAYLOAD), False, exclude=bytes(16), key="a" * 255)
    assert len(decode("news", inner(largest)).payload) == MAX_PAYLOAD
    with pytest.raises(ValueError, match="too large"):
        decode("news", inner(largest) + b"a")
