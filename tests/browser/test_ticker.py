"""The page of the ticker in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from operator import gt
from pathlib import Path

import pytest
from pages import Example, judge_views, play, running

pytestmark = pytest.mark.browser


@pytest.fixture
def ticker() -> Iterator[Example]:
    with running("ticker") as example:
        yield example


def test_slow_page_skips_old_prices_and_gets_the_newest(ticker: Example, tmp_path: Path) -> None:
    seen = play(ticker, "freeze", tmp_path)
    totals = seen["totals"]
    assert totals["disordered"] == 0
    assert totals["skipped"] == sum(seen["each"])
    assert all(map(gt, seen["each"], seen["before"]))  # of each symbol
    assert "were skipped, each in favour of a newer one" in seen["result"]
    assert seen["number"] > seen["first"] + 100  # the newest came


def test_light_dark_and_narrow(ticker: Example, tmp_path: Path) -> None:
    judge_views(play(ticker, "screenshots", tmp_path)["views"])
