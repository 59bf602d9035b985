"""The page of the status in a real browser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from pages import HERE, Example, judge_views, play, playing, running
from server import RedisServer

pytestmark = pytest.mark.browser

SERVER = HERE / "status_server.py"


@pytest.fixture
def status() -> Iterator[Example]:
    with running("status", program=SERVER) as example:
        yield example


def test_numbers_move_as_connections_come_and_go(status: Example, tmp_path: Path) -> None:
    seen = play(status, "numbers", tmp_path)
    assert seen["address"] == f"{status.url}status"  # the token does not stay there
    assert seen["opened"] == "3"
    assert seen["durations"] == "2 connections that are gone"
    assert seen["closed"] == ["1005no code1", "4000of the application1"]
    assert not seen["topics"]
    assert seen["workers"] == 1
    assert seen["points"] >= 3
    assert seen["requests"] == ["/status", "/", "/oak"]


def test_nothing_is_shown_without_the_token(status: Example, tmp_path: Path) -> None:
    seen = play(status, "token", tmp_path)
    assert seen["without"] == {"board": False, "wrong": False, "kept": None, "numbers": 0}
    assert seen["wrong"] == {"board": False, "wrong": True, "kept": None, "numbers": 0}
    assert seen["other"] is None


def test_it_comes_back_when_the_server_does(status: Example, tmp_path: Path) -> None:
    with playing(status, "restarted", tmp_path) as scenario:
        scenario.wait_for("live")
        status.stop()
        scenario.wait_for("lost")
        status.start()
        seen = scenario.seen()
    assert seen["stale"] < 1
    assert seen["isAnother"]
    assert seen["opened"] == "1"
    assert all("ERR_CONNECTION_REFUSED" in text for text in seen["refused"])


def test_it_tells_that_the_broker_is_away(redis: RedisServer, tmp_path: Path) -> None:
    with (
        running("status", "--broker", redis.url, program=SERVER) as status,
        playing(status, "broker", tmp_path) as scenario,
    ):
        scenario.wait_for("live")
        redis.kill()
        scenario.wait_for("away")
        asyncio.run(redis.start())
        seen = scenario.seen()
    assert seen["before"] == seen["after"] == "0 with 0 subscriptions"
    assert seen["away"] == "0 with 0 subscriptions, and the broker is away"


def test_policy_refuses_what_is_not_the_pages_own(status: Example, tmp_path: Path) -> None:
    seen = play(status, "policy", tmp_path)
    assert seen["works"] == [False, False]
    assert seen["reported"] == 2


def test_light_dark_and_narrow(tmp_path: Path) -> None:
    with running("status", "--busy", program=SERVER) as status:
        judge_views(play(status, "screenshots", tmp_path)["views"])
