"""The page of the dashboard in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Example, judge_views, play, running

pytestmark = pytest.mark.browser


@pytest.fixture
def dashboard() -> Iterator[Example]:
    with running("dashboard") as example:
        yield example


def test_who_comes_sees_what_was_before_and_what_happens(
    dashboard: Example, tmp_path: Path
) -> None:
    seen = play(dashboard, "live", tmp_path)
    assert seen["history"]
    assert seen["connections"] == "2"
    assert re.fullmatch(r"Messages received: [1-9][\d,]* per s", seen["received"])
    assert seen["crosses"] == 6  # on all charts, where the pointer is on one


def test_light_dark_and_narrow(dashboard: Example, tmp_path: Path) -> None:
    judge_views(play(dashboard, "screenshots", tmp_path)["views"])
