"""The page of the game in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Example, judge_views, play, running

pytestmark = pytest.mark.browser


@pytest.fixture
def game() -> Iterator[Example]:
    with running("game") as example:
        yield example


def test_ships_go_where_they_are_steered_on_all_pages(game: Example, tmp_path: Path) -> None:
    seen = play(game, "steer", tmp_path)
    assert seen["sideways"] == 0
    assert (seen["players"], seen["gems"]) == ("2", 15)


def test_ships_go_evenly_between_the_ticks_that_came(game: Example, tmp_path: Path) -> None:
    assert play(game, "smooth", tmp_path)["shown"] == [100, 100.5, 103, 105.5, 106]


def test_light_dark_and_narrow(game: Example, tmp_path: Path) -> None:
    judge_views(play(game, "screenshots", tmp_path)["views"])
