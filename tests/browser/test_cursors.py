"""The page of the cursors in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Example, judge_views, play, running

pytestmark = pytest.mark.browser


@pytest.fixture
def cursors() -> Iterator[Example]:
    with running("cursors") as example:
        yield example


def test_each_page_sees_where_the_others_point(cursors: Example, tmp_path: Path) -> None:
    seen = play(cursors, "move", tmp_path)
    assert seen["shown"] == pytest.approx([0.6, 0.1], abs=0.01)
    assert seen["own"] == 1
    assert seen["left"] == 0


def test_arrow_keys_move_the_cursor(cursors: Example, tmp_path: Path) -> None:
    assert play(cursors, "keyboard", tmp_path)["focused"] == "board"


def test_light_dark_and_narrow(cursors: Example, tmp_path: Path) -> None:
    judge_views(play(cursors, "screenshots", tmp_path)["views"])
