"""The page of the whiteboard in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Example, judge_views, play, running

pytestmark = pytest.mark.browser


@pytest.fixture
def whiteboard() -> Iterator[Example]:
    with running("whiteboard") as example:
        yield example


def test_all_see_the_same_and_undo_what_is_their_own(whiteboard: Example, tmp_path: Path) -> None:
    seen = play(whiteboard, "shared", tmp_path)
    # Color and pen, and where it begins and ends in tenths of the board.
    line, dot = [1, 1, 1, 2, 9, 2], [4, 2, 5, 8, 5, 8]
    assert seen["late"]["strokes"] == [line, dot]
    assert seen["late"]["red"] == ["194,53,43,255", "0,0,0,0"]
    assert seen["undone"] == [line]
    assert seen["gone"] == ["0,0,0,0", "0,0,0,0"]


def test_two_fingers_draw_two_strokes(whiteboard: Example, tmp_path: Path) -> None:
    seen = play(whiteboard, "touch", tmp_path)
    assert [stroke[2:4] for stroke in seen["strokes"]] == [[2, 2], [2, 8]]
    assert seen["strokes"][0][4:] == [8, 8]


def test_light_dark_and_narrow(whiteboard: Example, tmp_path: Path) -> None:
    judge_views(play(whiteboard, "screenshots", tmp_path)["views"])
