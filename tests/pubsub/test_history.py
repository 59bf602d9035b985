"""What is kept of topics, for how long, and of how many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.pubsub import Position, Publication, Retention, history
from wsproto_async.pubsub.history import Histories

KEPT = Retention(5, 10.0)


def publish(
    histories: Histories, text: str, now: float, topic: str = "news", kept: Retention = KEPT
) -> Position:
    position = histories.append(Publication(topic, text.encode(), True), kept, now).position
    assert position is not None
    return position


def read(
    histories: Histories, since: Position | None, now: float, topic: str = "news"
) -> list[str] | None:
    found = histories.read(topic, since, now).publications
    return None if found is None else [each.payload.decode() for each in found]


def test_offsets_follow_each_other() -> None:
    histories = Histories()
    start = histories.read("news", None, 0).position
    assert start.offset == 0
    positions = [publish(histories, str(number), 0) for number in range(3)]
    assert positions == [Position(start.epoch, offset) for offset in (1, 2, 3)]
    assert histories.read("news", None, 0).position == positions[-1]


def test_what_is_read_is_all_or_nothing() -> None:
    histories = Histories()
    start = histories.read("news", None, 0).position
    positions = [start, *(publish(histories, str(number), 0) for number in range(8))]
    for position in positions:
        missed = [str(number) for number in range(position.offset, 8)]
        assert read(histories, position, 0) == (missed if len(missed) <= KEPT.size else None)
    assert read(histories, Position(start.epoch, 9), 0) is None
    assert read(histories, Position(start.epoch, -1), 0) is None
    assert read(histories, Position("another", 8), 0) is None
    assert read(histories, None, 0) == []


def test_what_is_too_old_is_gone() -> None:
    histories = Histories()
    first = publish(histories, "1", 0)
    second = publish(histories, "2", 5)
    assert read(histories, Position(first.epoch, 0), 9.9) == ["1", "2"]
    assert read(histories, Position(first.epoch, 0), 10) is None
    assert read(histories, first, 10) == ["2"]
    assert read(histories, first, 15) is None
    assert read(histories, second, 15) == []


def test_topics_do_not_mix() -> None:
    histories = Histories()
    publish(histories, "a", 0, "a")
    position = publish(histories, "b", 0, "b")
    assert position.offset == 1
    assert read(histories, Position(position.epoch, 0), 0, "b") == ["b"]


def test_a_topic_of_which_nothing_is_left_is_forgotten() -> None:
    histories = Histories()
    old = publish(histories, "1", 0)
    publish(histories, "other", 10, "other")
    assert histories.read("news", None, 10).position.epoch != old.epoch
    assert read(histories, old, 10) is None
    assert publish(histories, "2", 10) == Position(publish(histories, "3", 10).epoch, 1)


def test_a_topic_in_use_is_not() -> None:
    """Its subscribers would take that for a gap."""
    histories = Histories({"news", "quiet"})
    quiet = histories.read("quiet", None, 0).position
    old = publish(histories, "1", 0)
    for now in range(10, 1000, 10):
        publish(histories, "other", now, "other")
        publish(histories, "third", now, "third", Retention(5, 1))
    assert read(histories, old, 1000) == []
    assert publish(histories, "2", 1000) == Position(old.epoch, 2)
    assert publish(histories, "1", 1000, "quiet") == Position(quiet.epoch, 1)


def test_a_topic_that_is_not_in_use_any_more_is_forgotten_some_time() -> None:
    in_use = {"news"}
    histories = Histories(in_use)
    old = publish(histories, "1", 0)
    publish(histories, "other", 10, "other")
    in_use.clear()
    publish(histories, "other", 100, "other")
    assert histories.read("news", None, 100).position.epoch != old.epoch


def test_a_topic_on_which_nothing_was_published_is_forgotten_at_once() -> None:
    in_use = {"news"}
    histories = Histories(in_use)
    start = histories.read("news", None, 0).position
    histories.release("news")
    histories.release("never")
    assert publish(histories, "1", 0) == Position(start.epoch, 1)
    histories.release("news")
    assert read(histories, start, 0) == ["1"]


def test_no_epoch_comes_twice() -> None:
    histories = Histories()
    epochs = set()
    for now in range(0, 2000, 20):
        epochs.add(publish(histories, "1", now).epoch)
        publish(histories, "1", now + 10, "other")
    assert len(epochs) == 100
    assert publish(Histories(), "1", 2000).epoch not in epochs


@pytest.mark.parametrize("in_use", [(), {f"topic {number}" for number in range(20)}])
def test_of_too_many_topics_the_oldest_are_forgotten(
    monkeypatch: pytest.MonkeyPatch, in_use: set[str]
) -> None:
    monkeypatch.setattr(history, "_MAX_TOPICS", 10)
    histories = Histories(in_use)
    positions = [publish(histories, "1", 0, f"topic {number}") for number in range(20)]
    for number, position in enumerate(positions):
        assert read(histories, position, 0, f"topic {number}") == ([] if number >= 10 else None)


def test_keys_are_remembered_for_300_s() -> None:
    histories = Histories()
    assert histories.published("news", "key", 0) is None
    histories.remember("news", "key", None, 0)
    assert histories.published("news", "key", 299.9) == (None,)
    assert histories.published("news", "other", 299.9) is None
    assert histories.published("other", "key", 299.9) is None
    assert histories.published("news", "key", 300) is None


def test_what_is_kept_for_no_time_is_forgotten_at_once() -> None:
    histories = Histories()
    position = publish(histories, "0", 1.0, kept=Retention(5, 1e-300))
    assert read(histories, position, 1.0) is None


def test_of_too_many_keys_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_MAX_KEYS", 10)
    histories = Histories()
    for number in range(10):
        histories.remember("news", str(number), None, 0)
    assert histories.published("news", "0", 300) is None
    histories.remember("news", "0", None, 299)  # it is the newest now
    for number in range(10, 19):
        histories.remember("news", str(number), None, 299)
    assert histories.published("news", "0", 299) == (None,)
    histories.remember("news", "19", None, 299)
    assert histories.published("news", "0", 299) is None


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(0, 5), st.integers(1, 4), st.floats(1, 20)),
        max_size=40,
    )
)
def test_a_model(steps: list[tuple[str, float, int, float]]) -> None:
    """Whatever is published when, with whatever retention: what is read was kept, and is all."""
    histories = Histories()
    published: dict[str, list[tuple[Position, str, float]]] = {"a": [], "b": [], "c": []}
    now = 0.0
    for number, (topic, pause, size, age) in enumerate(steps):
        now += pause
        kept = Retention(size, age)
        position = publish(histories, str(number), now, topic, kept)
        published[topic].append((position, str(number), now + age))
        for since, _, _ in published[topic]:
            found = read(histories, since, now, topic)
            after = [
                text
                for place, text, _ in published[topic]
                if place.epoch == since.epoch and place.offset > since.offset
            ]
            if found is not None:
                assert found == after
        assert read(histories, position, now, topic) == []
