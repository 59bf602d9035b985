"""The demo page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Example, judge_views, play, playing, running

pytestmark = pytest.mark.browser


@pytest.fixture
def demo() -> Iterator[Example]:
    with running("demo") as example:
        yield example


DISCONNECTED = "1000 normal closure: disconnected by the page"


def test_connect_echo_disconnect(demo: Example, tmp_path: Path) -> None:
    seen = play(demo, "echo", tmp_path)
    assert seen["states"] == ["CLOSED", "CONNECTING", "OPEN", "CLOSING", "CLOSED"]
    assert seen["visible"]
    assert seen["announced"] == "Connected"
    (line,) = seen["lines"]
    assert line.startswith("hi → HI!!!")
    assert line.endswith(" ms")
    assert (seen["frames"]["sent"], seen["frames"]["received"]) == (["hi"], ["HI!!!"])
    assert seen["closes"] == [DISCONNECTED] * 3


def test_file_comes_back_identical(demo: Example, tmp_path: Path) -> None:
    seen = play(demo, "file", tmp_path)
    results = seen["results"]
    for name, size in [("empty.bin", 0), ("odd.bin", 2**20 + 13), ("largest.bin", 16 * 2**20)]:
        expected = f"Identical{name}: sent {size:,} bytes, {size:,} bytes echoed in "
        assert results[name].startswith(expected)
    assert results["too-large.bin"].startswith("Too large")
    # Not only the page says so: these frames passed, and none with the file that is too large.
    assert seen["sent"] == seen["received"]
    assert [int(frame.split()[0]) for frame in seen["sent"]] == [2**20 + 13, 16 * 2**20]


def test_file_that_comes_back_changed_is_told(demo: Example, tmp_path: Path) -> None:
    seen = play(demo, "tampered", tmp_path)
    assert seen["changed"].startswith("Differenteven.bin: sent 1,000 bytes, 1,000 bytes echoed")
    assert seen["shortened"].startswith("Differentodd.bin: sent 1,001 bytes, 1,000 bytes echoed")


def test_tabs_chat(demo: Example, tmp_path: Path) -> None:
    seen = play(demo, "chat", tmp_path)
    assert seen["present"] == ["2 people here", "2 people here"]
    assert seen["afterwards"] == "1 person here"
    assert seen["images"] == 0
    assert seen["lines"] == [
        "Ada joined",
        "Ada 2 joined",
        "Ada hello <img src=nowhere>",
        "Ada 2 hello yourself",
        "Ada 2 is now Grace",
        "Grace left",
    ]


def test_round_trip_times_are_plotted(demo: Example, tmp_path: Path) -> None:
    seen = play(demo, "roundTrip", tmp_path)
    assert seen["points"] >= 5
    assert seen["drawn"] == seen["points"]
    current, median, highest = (float(text.removesuffix(" ms")) for text in seen["figures"])
    assert 0 < median <= highest
    assert 0 < current <= highest
    frames = seen["frames"]
    assert frames["received"] == frames["sent"][: len(frames["received"])]


def test_round_trip_times_older_than_a_minute_are_gone(demo: Example, tmp_path: Path) -> None:
    seen = play(demo, "roundTripWindow", tmp_path)  # seventy seconds, at least a probe in each
    counts = seen["counts"]
    assert counts[:55] == list(range(2, 57))
    assert 55 <= counts[-1] <= len(counts) - 8
    assert seen["edge"] <= seen["first"] < seen["edge"] + 20


def test_keyboard_alone(demo: Example, tmp_path: Path) -> None:
    seen = play(demo, "keyboard", tmp_path)
    assert seen["kept"] == "Connect"
    assert seen["closes"] == [DISCONNECTED] * 3
    assert [step["id"] for step in seen["steps"] if not step["outlined"]] == []
    assert [step["label"] for step in seen["steps"] if not step["label"]] == []


def test_server_that_stops_says_going_away(demo: Example, tmp_path: Path) -> None:
    with playing(demo, "stopped", tmp_path) as scenario:
        scenario.wait_for("connected")
        demo.stop()
        seen = scenario.seen()
    assert [text.partition(":")[0] for text in seen["closes"]] == ["1001 going away"] * 3
    assert seen["refused"] == ["1006 could not connect"] * 3


def test_policy_refuses_what_is_not_the_pages_own(demo: Example, tmp_path: Path) -> None:
    seen = play(demo, "policy", tmp_path)
    assert seen["works"] == [False, False]
    assert seen["reported"] == 2


def test_light_dark_and_narrow(demo: Example, tmp_path: Path) -> None:
    judge_views(play(demo, "screenshots", tmp_path)["views"])
