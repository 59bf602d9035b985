"""The page of the uploads in a real browser."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Example, judge_views, play, running

pytestmark = pytest.mark.browser


@pytest.fixture
def upload() -> Iterator[Example]:
    with running("upload") as example:
        yield example


def test_files_arrive_as_they_are(upload: Example, tmp_path: Path) -> None:
    seen = play(upload, "files", tmp_path)
    assert seen["results"] == [
        f"Arrived · SHA-256 on both sides {hashlib.sha256(content).hexdigest()}"
        for content in ((tmp_path / name).read_bytes() for name in seen["names"])
    ]
    assert seen["state"] == "5 of 5 arrived"


def test_cancelled_and_tried_again(upload: Example, tmp_path: Path) -> None:
    seen = play(upload, "cancelled", tmp_path)
    assert seen["third"] == "Waiting"
    assert seen["cancelled"] == ["Cancelled", "Cancelled"]
    assert seen["state"] == "2 of 3 arrived"


def test_too_large_file_is_refused(upload: Example, tmp_path: Path) -> None:
    seen = play(upload, "refused", tmp_path)
    assert seen["result"] == "Failed · a file has up to 1024 MiB here"


def test_light_dark_and_narrow(upload: Example, tmp_path: Path) -> None:
    judge_views(play(upload, "screenshots", tmp_path)["views"])
