"""The page of the example for FastAPI, under uvicorn, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Example, judge_views, play, running

pytestmark = pytest.mark.browser


@pytest.fixture
def poll() -> Iterator[Example]:
    with running("fastapi") as example:
        yield example


def test_votes_are_on_every_page(poll: Example, tmp_path: Path) -> None:
    seen = play(poll, "vote", tmp_path)
    assert seen["texts"] == ["Apple0 · 0 %", "Cherry0 · 0 %", "Fig2 · 67 %", "Pear1 · 33 %"]
    assert [float(width) for width in seen["widths"]] == pytest.approx([0, 0, 2 / 3, 1 / 3])
    assert set(seen["paths"]) == {"/votes"}


def test_light_dark_and_narrow(poll: Example, tmp_path: Path) -> None:
    judge_views(play(poll, "screenshots", tmp_path)["views"])
