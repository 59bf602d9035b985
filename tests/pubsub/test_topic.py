"""What an application may say about its topics."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.pubsub import Retention, Topic
from wsproto_async.pubsub.topic import check_key, check_slow, check_topic

NAMES = ["a", "room/1", "ü", "日本", "a b", "😀" * 63, "x" * 255, ":", "{a}"]
NO_NAMES = ["", "*", "a*", "*a", "x" * 256, "ü" * 128, "a\n", "\x00", "\x7f", "\ud800", "\u2028"]


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str) -> None:
    check_topic(name)
    assert Topic(name).matches(name)
    assert not Topic(name).matches(name + "a")


@pytest.mark.parametrize("name", NO_NAMES)
def test_no_names(name: str) -> None:
    with pytest.raises(
        ValueError, match="no name for a topic, which has 1 to 255 bytes, printable"
    ):
        check_topic(name)


@pytest.mark.parametrize("name", [None, 1, b"a", ["a"]], ids=repr)
def test_names_are_strings(name: Any) -> None:
    with pytest.raises(TypeError):
        check_topic(name)
    with pytest.raises(TypeError):
        Topic(name)


@given(st.text(max_size=300))
def test_what_names_a_topic_can_be_encoded_and_printed(name: str) -> None:
    try:
        check_topic(name)
    except ValueError:
        return
    assert 1 <= len(name.encode()) <= 255
    assert name.isprintable()
    assert "*" not in name


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("*", "anything", True),
        ("room/*", "room/1", True),
        ("room/*", "room/", True),
        ("room/*", "room", False),
        ("room/*", "a room/1", False),
        ("room", "room", True),
        ("room", "room/1", False),
        ("Room", "room", False),
    ],
)
def test_patterns(pattern: str, name: str, matches: bool) -> None:
    assert Topic(pattern).matches(name) is matches


@pytest.mark.parametrize("pattern", ["", "**", "a*b", "*a", "a**", "a\n*", "x" * 256 + "*"])
def test_no_patterns(pattern: str) -> None:
    with pytest.raises(ValueError, match="no name for a topic"):
        Topic(pattern)


def test_defaults() -> None:
    topic = Topic("news")
    assert (topic.slow, topic.max_bytes, topic.max_age) == ("close", None, None)
    assert topic.retention is None
    assert topic.presence is False
    assert repr(topic) == "Topic('news')"


def test_a_history_is_kept_for_300_s() -> None:
    assert Topic("news", history=5).retention == Retention(5, 300)
    assert Topic("news", history=5, history_age=1.5).retention == Retention(5, 1.5)
    assert Topic("news", history=0, history_age=1.5).retention is None


@pytest.mark.parametrize(
    "options",
    [
        {"slow": "fast"},
        {"slow": None},
        {"max_bytes": 0},
        {"max_bytes": -1},
        {"max_age": 0},
        {"max_age": float("nan")},
        {"history": -1},
        {"history": 1.5},
        {"history": None},
        {"history_age": 0},
        {"history_age": -1},
    ],
    ids=repr,
)
def test_what_cannot_be(options: Any) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        Topic("news", **options)


@pytest.mark.parametrize("options", [{"max_bytes": "1"}, {"history_age": None}], ids=repr)
def test_what_is_of_another_type(options: Any) -> None:
    with pytest.raises(TypeError):
        Topic("news", **{"history": 1, **options})


@pytest.mark.parametrize("name", ["wrap", "on_subscribe", "on_unsubscribe", "on_slow", "on_gap"])
def test_callbacks_are_plain_functions(name: str) -> None:
    async def callback(*args: object) -> None: ...

    for value in (callback, 3, ""):
        with pytest.raises(TypeError, match=f"{name} must be a plain function"):
            Topic("news", **{name: value})
    assert getattr(Topic("news", **{name: print}), name) is print


def test_keys() -> None:
    for key in ("", "a" * 255, "\n", "*"):
        check_key("key", key)
    for key in ("a" * 256, "ü" * 128, "\ud800"):
        with pytest.raises(ValueError):
            check_key("key", key)
    for other in (None, 1, b"a"):
        with pytest.raises(TypeError, match="key must be a str"):
            check_key("key", other)  # type: ignore[arg-type]


def test_policies() -> None:
    for slow in ("close", "wait", "drop-oldest", "drop-newest", "latest"):
        check_slow(slow)
    with pytest.raises(ValueError, match="close, wait, drop-oldest, drop-newest, latest"):
        check_slow("Close")
