"""Publications, and the positions that clients keep."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.pubsub import Kind, Position, Publication
from wsproto_async.pubsub.publication import MAX_EPOCH, MAX_OFFSET

EPOCHS = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=MAX_EPOCH)
OFFSETS = st.integers(0, MAX_OFFSET)


@given(EPOCHS, OFFSETS)
def test_a_position_is_what_its_text_says(epoch: str, offset: int) -> None:
    position = Position(epoch, offset)
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "a",
        "a:",
        ":1",
        "a:-1",
        "a:+1",
        "a:01",
        "a:1 ",
        " a:1",
        "a:1\n",
        "a:1.0",
        "a:1e3",
        "a:٣",
        "A:1",
        "ü:1",
        "a:1:1",
        "a" * 33 + ":1",
        f"a:{MAX_OFFSET + 1}",
        "a:" + "9" * 16,
        "a:" + "9" * 10_000,
    ],
)
def test_no_positions(text: str) -> None:
    with pytest.raises(ValueError, match="not a position"):
        Position.parse(text)


@given(
    st.one_of(st.text(), st.binary(), st.integers(), st.none(), st.lists(st.text()), st.floats())
)
def test_anything_that_a_client_may_say(said: Any) -> None:
    """From JSON it can be of any type."""
    try:
        position = Position.parse(said)
    except ValueError:
        return
    assert str(position) == said


def test_a_publication_elsewhere_is_the_same_but_for_its_position() -> None:
    publication = Publication(
        "news",
        b"text",
        True,
        kind=Kind.JOIN,
        key="key",
        slow="wait",
        compress=False,
        exclude=bytes(16),
        position=Position("a", 1),
    )
    moved = publication.at(Position("b", 2))
    assert moved.position == Position("b", 2)
    for name in Publication.__slots__:
        if name != "position":
            assert getattr(moved, name) == getattr(publication, name)


def test_the_message_is_what_was_published() -> None:
    assert Publication("news", "€".encode(), True).message == "€"
    assert Publication("news", b"\xff", False).message == b"\xff"


def test_a_publication_does_not_print_what_it_says() -> None:
    publication = Publication("news", b"secret", True, position=Position("a", 1))
    assert repr(publication) == "<Publication news a:1 MESSAGE 6 bytes>"
    assert repr(Publication("news", b"", False)) == "<Publication news MESSAGE 0 bytes>"
