"""The page of the tokens in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import judge_views, play, running

pytestmark = pytest.mark.browser


def test_answers_come_token_by_token_until_they_are_stopped(tmp_path: Path) -> None:
    with running("tokens") as tokens:
        seen = play(tokens, "conversation", tmp_path)
    assert seen["prompts"] == ["What is <b>backpressure</b>?", "And cancellation?", "Or limits?"]
    sent = [each.strip() for each in seen["tokens"].split("\nstopped\n")]
    assert sent == [*seen["answers"], ""]
    assert [answer.split(".")[0] for answer in seen["answers"]] == [
        "On backpressure",
        "On cancellation",
        "On limits",
    ]
    assert all(figures.startswith("Stopped · ") for figures in seen["figures"])
    assert (seen["focused"], seen["stopIsShown"], seen["busy"]) == ("prompt", False, 0)


def test_answer_that_comes_to_its_end(tmp_path: Path) -> None:
    with running("tokens", "--rate", "1000") as tokens:
        seen = play(tokens, "complete", tmp_path)
    (answer,), (figures,) = seen["answers"], seen["figures"]
    assert re.fullmatch(r"On backpressure\.( \w+(,? \w+)*\.){6,10}", answer)
    assert re.fullmatch(r"\d+ tokens · \d+ per second · first after \d+ ms", figures)


def test_light_dark_and_narrow(tmp_path: Path) -> None:
    with running("tokens") as tokens:
        judge_views(play(tokens, "screenshots", tmp_path)["views"])
