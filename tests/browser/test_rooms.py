"""The page of the rooms in a real browser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import Example, judge_views, play, playing, running
from server import RedisServer

pytestmark = pytest.mark.browser

GAP = "Messages may be missing here: the server has not kept them"


@pytest.fixture
def rooms() -> Iterator[Example]:
    with running("rooms") as example:
        yield example


def test_two_pages_in_a_room(rooms: Example, tmp_path: Path) -> None:
    seen = play(rooms, "twoPages", tmp_path)
    said = ["Ada hello <img src=nowhere>", "Grace hello yourself"]
    assert seen["first"] == ["Grace came in", *said]
    assert seen["second"] == said
    assert seen["people"] == ["Ada", "Grace"]
    assert seen["peopleAfterwards"] == ["Ada"]
    assert (seen["elsewhere"], seen["peopleElsewhere"]) == ([], ["Eve"])
    assert seen["images"] == 0


def test_who_comes_or_reloads_sees_the_last_messages(rooms: Example, tmp_path: Path) -> None:
    seen = play(rooms, "history", tmp_path)
    assert seen["newcomer"] == [f"Ada number {number}." for number in range(11, 61)]
    numbers = [f"Ada number {number}." for number in range(12, 61)]
    assert seen["reloaded"] == [*numbers, "Grace I have read all of it", "Grace again"]
    assert seen["title"] == "kitchen · Rooms"


def test_who_goes_to_another_room_is_in_that_one(rooms: Example, tmp_path: Path) -> None:
    seen = play(rooms, "rooms", tmp_path)
    assert seen["lines"] == ["Eve it is dark in here"]
    assert (seen["title"], seen["hash"]) == ("cellar · Rooms", "#cellar")


def test_after_a_lost_connection_what_was_missed_comes_once(rooms: Example, tmp_path: Path) -> None:
    seen = play(rooms, "missed", tmp_path)
    assert seen["state"].startswith("Connection lost")
    assert seen["unsaid"] == ["Grace said meanwhile"]
    missed = [f"Ada missed {number}." for number in range(1, 101)]
    lines = ["Ada before", *missed, "Grace said meanwhile"]
    assert seen["first"] == lines
    assert seen["second"] == lines


def test_what_is_said_while_the_connection_breaks_is_said_once(
    rooms: Example, tmp_path: Path
) -> None:
    seen = play(rooms, "cutWhileSaying", tmp_path)
    assert seen["first"] == ["Grace once", "Ada and then"]
    assert seen["second"] == ["Grace once", "Ada and then"]


def test_server_that_is_started_anew_has_forgotten_and_the_page_says_so(
    rooms: Example, tmp_path: Path
) -> None:
    with playing(rooms, "restarted", tmp_path) as scenario:
        scenario.wait_for("said before")
        rooms.stop()
        scenario.wait_for("said while it was away")
        rooms.start()
        seen = scenario.seen()
    assert seen["lines"] == ["Ada before", GAP, "Ada while it was away"]


def test_several_processes_with_a_broker_that_is_started_anew(
    redis: RedisServer, tmp_path: Path
) -> None:
    with (
        running("rooms", "--workers", "4", "--broker", redis.url) as rooms,
        playing(rooms, "brokerRestarted", tmp_path) as scenario,
    ):
        scenario.wait_for("said before")
        redis.kill()
        scenario.go_on()
        scenario.wait_for("said while it was away")
        asyncio.run(redis.start())
        seen = scenario.seen()
    lines = ["Ada before", GAP, "Ada while it was away", "Grace after"]
    assert seen["first"] == ["Grace came in", *lines]
    assert seen["second"] == lines


def test_who_leaves_while_the_broker_is_away_is_not_shown_any_more(
    redis: RedisServer, tmp_path: Path
) -> None:
    with (
        running("rooms", "--workers", "2", "--broker", redis.url) as rooms,
        playing(rooms, "brokerAway", tmp_path) as scenario,
    ):
        scenario.wait_for("all are there")
        redis.kill()
        scenario.go_on()
        scenario.wait_for("Eve has left")
        asyncio.run(redis.start())
        seen = scenario.seen()
    assert seen["lines"] == ["Eve came in", "Grace came in"]


def test_room_that_cannot_be_is_refused(rooms: Example, tmp_path: Path) -> None:
    seen = play(rooms, "refused", tmp_path)
    assert seen["state"] == "The server refused: no such room or name"


def test_keyboard_alone(rooms: Example, tmp_path: Path) -> None:
    seen = play(rooms, "keyboard", tmp_path)
    assert [step["id"] for step in seen["steps"]] == ["room", "name", "text", "log"]
    assert all(step["outlined"] for step in seen["steps"])
    assert seen["log"] == "Messages"


def test_light_dark_and_narrow(rooms: Example, tmp_path: Path) -> None:
    judge_views(play(rooms, "screenshots", tmp_path)["views"])
