"""What waits for a slow connection: bounded, and what is dropped is told."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from wsproto_async.aio.outbox import CLOSED, DROPPED, OVERHEAD, Outbox, Policy

SIZE = 100  # of a frame, with what it takes to remember it
LIMIT = 10 * SIZE * 10  # room for as many as a test puts in, unless it says otherwise


class Told:
    """An outbox, and what it tells."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.outbox = Outbox(limit, self, float)
        self.told: list[tuple[str, str, str]] = []

    def policy(
        self,
        slow: str,
        topic: str = "news",
        *,
        key: str = "",
        max_bytes: int | None = None,
        max_age: float | None = None,
    ) -> Policy:
        return Policy(topic, slow, max_bytes, max_age, key, self.tell)

    @staticmethod
    def tell(owner: Any, policy: Policy, what: str) -> None:
        owner.told.append((policy.topic, policy.key, what))

    def put(self, name: str, policy: Policy, held: int = 0, now: float = 0) -> None:
        self.outbox.put(frame(name), policy, held, now)

    def take_all(self, now: float = 0) -> list[str]:
        found = []
        while (taken := self.outbox.take(now)) is not None:
            found.append(taken.rstrip(b".").decode())
        return found


def frame(name: str, size: int = SIZE) -> bytes:
    return name.encode().ljust(size, b".")


def room(count: int) -> int:
    return count * (SIZE + OVERHEAD)


@pytest.mark.parametrize("slow", ["close", "wait", "drop-oldest", "drop-newest"])
def test_what_there_is_room_for_waits_in_its_order(slow: str) -> None:
    box = Told(room(3))
    for name in "abc":
        box.put(name, box.policy(slow))
    assert len(box.outbox) == 3
    assert box.outbox.size == room(3)
    assert box.take_all() == ["a", "b", "c"]
    assert box.outbox.size == 0
    assert box.told == []


@pytest.mark.parametrize(
    ("slow", "left", "told"),
    [
        ("close", ["a", "b", "c"], [("news", "", CLOSED)]),
        ("wait", ["a", "b", "c"], [("news", "", CLOSED)]),
        ("drop-newest", ["a", "b", "c"], [("news", "", DROPPED)]),
        ("drop-oldest", ["b", "c", "d"], [("news", "", DROPPED)]),
    ],
)
def test_one_more_than_there_is_room_for(slow: str, left: list[str], told: list) -> None:
    box = Told(room(3))
    for name in "abcd":
        box.put(name, box.policy(slow))
    assert box.told == told
    assert box.take_all() == left


@pytest.mark.parametrize("slow", ["drop-oldest", "drop-newest"])
def test_a_byte_decides(slow: str) -> None:
    box = Told(room(2))
    for name in "ab":
        box.put(name, box.policy(slow))
    assert box.told == []
    box = Told(room(2) - 1)
    for name in "ab":
        box.put(name, box.policy(slow))
    assert box.told == [("news", "", DROPPED)]


def test_what_the_transport_holds_counts() -> None:
    box = Told(room(3))
    box.put("a", box.policy("drop-newest"), held=room(2))
    box.put("b", box.policy("drop-newest"), held=room(2))
    box.put("c", box.policy("drop-newest"), held=room(1))
    assert box.take_all() == ["a", "c"]


def test_each_message_has_the_bound_of_its_topic() -> None:
    box = Told(room(10))
    for name in "abc":
        box.put(name, box.policy("drop-newest", "small", max_bytes=room(2)))
    box.put("d", box.policy("drop-newest"))
    assert box.take_all() == ["a", "b", "d"]


def test_only_messages_of_its_own_topic_are_pushed_out() -> None:
    box = Told(room(3))
    box.put("a", box.policy("drop-oldest", "one"))
    box.put("b", box.policy("drop-oldest", "other"))
    box.put("c", box.policy("drop-oldest", "one"))
    box.put("d", box.policy("drop-oldest", "other"))
    box.put("e", box.policy("drop-oldest", "third"))
    assert box.told == [("other", "", DROPPED), ("third", "", DROPPED)]
    assert box.take_all() == ["a", "c", "d"]


def test_what_can_never_fit_pushes_nothing_out() -> None:
    box = Told(room(3))
    for name in "ab":
        box.put(name, box.policy("drop-oldest"))
    box.outbox.put(bytes(room(3)), box.policy("drop-oldest"), 0, 0)
    box.outbox.put(bytes(room(3)), box.policy("latest"), 0, 0)
    assert box.told == [("news", "", DROPPED)] * 2
    assert box.take_all() == ["a", "b"]


def test_who_cannot_make_enough_room_pushes_nothing_out() -> None:
    box = Told(room(3))
    box.put("a", box.policy("drop-oldest", "other"))
    box.put("b", box.policy("drop-oldest", "other"))
    box.put("c", box.policy("drop-oldest"))
    box.outbox.put(frame("large", SIZE + room(1)), box.policy("drop-oldest"), 0, 0)
    assert box.told == [("news", "", DROPPED)]
    assert box.take_all() == ["a", "b", "c"]


def test_what_is_large_pushes_out_as_many_as_it_needs() -> None:
    box = Told(room(4))
    for name in "abcd":
        box.put(name, box.policy("drop-oldest"))
    box.outbox.put(frame("large", SIZE + room(2)), box.policy("drop-oldest"), 0, 0)
    assert box.told == [("news", "", DROPPED)] * 3
    assert box.take_all() == ["d", "large"]


# Latest


def test_of_each_key_the_latest_waits_where_the_first_did() -> None:
    box = Told()
    for name, key in [("a1", "a"), ("b1", "b"), ("a2", "a"), ("c1", "c"), ("a3", "a")]:
        box.put(name, box.policy("latest", key=key))
    assert box.told == [("news", "a", DROPPED)] * 2
    assert box.outbox.size == room(3)
    assert box.take_all() == ["a3", "b1", "c1"]
    box.put("a4", box.policy("latest", key="a"))
    assert box.take_all() == ["a4"]


def test_keys_of_two_topics_are_two() -> None:
    box = Told()
    box.put("a", box.policy("latest", "one", key="key"))
    box.put("b", box.policy("latest", "other", key="key"))
    assert box.take_all() == ["a", "b"]


def test_a_latest_one_that_grows_pushes_others_out() -> None:
    box = Told(room(3))
    for name in "abc":
        box.put(name, box.policy("latest", key=name))
    box.outbox.put(frame("b2", SIZE + room(1)), box.policy("latest", key="b"), 0, 0)
    assert box.told == [("news", "a", DROPPED), ("news", "b", DROPPED)]
    assert box.outbox.size == room(3)
    assert box.take_all() == ["b2", "c"]


def test_a_latest_one_that_cannot_fit_leaves_the_one_before() -> None:
    """Better an old value than none."""
    box = Told(room(2))
    box.put("a1", box.policy("latest", key="a"))
    box.put("a2", box.policy("latest", key="a"), held=room(2))
    assert box.told == [("news", "a", DROPPED)]
    assert box.take_all() == ["a1"]


def test_a_latest_one_replaces_none_of_another_policy() -> None:
    box = Told()
    box.put("a", box.policy("drop-oldest", key="key"))
    box.put("b", box.policy("latest", key="key"))
    box.put("c", box.policy("drop-newest", key="key"))
    assert box.take_all() == ["a", "b", "c"]


# Age


def test_what_is_too_old_is_dropped() -> None:
    box = Told()
    box.put("a", box.policy("drop-oldest", max_age=10), now=0)
    box.put("b", box.policy("drop-oldest"), now=0)
    box.put("c", box.policy("drop-oldest", max_age=10), now=5)
    assert box.take_all(now=15) == ["b", "c"]
    assert box.told == [("news", "", DROPPED)]


@pytest.mark.parametrize("slow", ["drop-newest", "drop-oldest", "latest"])
def test_what_is_too_old_makes_room(slow: str) -> None:
    box = Told(room(2))
    for name, now in (("a", 0), ("b", 1), ("c", 11.5)):
        box.put(name, box.policy(slow, key=name, max_age=10), now=now)
    assert box.told == [("news", name, DROPPED) for name in "ab"]
    assert box.take_all(now=12) == ["c"]


def test_a_latest_one_is_as_old_as_its_value() -> None:
    box = Told()
    box.put("a1", box.policy("latest", max_age=10), now=0)
    box.put("a2", box.policy("latest", max_age=10), now=8)
    assert box.take_all(now=15) == ["a2"]


@pytest.mark.parametrize("slow", ["close", "wait"])
@pytest.mark.parametrize("is_put", [True, False])
def test_one_that_closes_and_is_too_old_is_the_end(slow: str, is_put: bool) -> None:
    """Nothing behind it is sent: the end is missing, not the middle."""
    box = Told()
    box.put("a", box.policy(slow), now=0)
    box.put("b", box.policy(slow, max_age=10), now=0)
    box.put("c", box.policy(slow), now=0)
    assert box.outbox.take(10) == frame("a")
    if is_put:
        box.put("d", box.policy(slow), now=10.1)
    else:
        assert box.outbox.take(10.1) is None
    assert box.told == [("news", "", CLOSED)]
    assert box.take_all(now=10.1) == []
    assert box.told == [("news", "", CLOSED)]


# Who is told may do anything


@pytest.mark.parametrize("slow", ["drop-oldest", "drop-newest", "latest"])
@pytest.mark.parametrize("does", ["takes all", "puts one in"])
def test_whoever_is_told_may_use_the_outbox(slow: str, does: str) -> None:
    taken: list[bytes] = []

    def tell(owner: object, policy: Policy, what: str) -> None:
        assert what == DROPPED
        if does == "takes all":
            while (found := outbox.take(0)) is not None:
                taken.append(found)
        elif not taken:
            taken.append(b"")
            outbox.put(frame("e"), policy, 0, 0)

    outbox = Outbox(room(2), None, float)
    policy = Policy("news", slow, None, None, "", tell)
    for name in "abcd":
        outbox.put(frame(name), policy, 0, 0)
    assert taken
    assert outbox.size == room(len(outbox)) <= room(2)


# A model


class Boxes(RuleBasedStateMachine):
    """Whatever is put in with whatever policy: an outbox is what this list is."""

    @initialize()
    def begin(self) -> None:
        self.box = Told(room(5))
        self.waiting: list[tuple[str, Policy, float, int]] = []
        self.dropped = 0
        self.number = 0
        self.now = 0.0

    @rule(pause=st.sampled_from([0.5, 3.0, 20.0]))
    def wait(self, pause: float) -> None:
        self.now += pause

    @rule(
        slow=st.sampled_from(["drop-oldest", "drop-newest", "latest"]),
        topic=st.sampled_from("xy"),
        key=st.sampled_from(["", "k", "l"]),
        max_age=st.sampled_from([None, 5.0]),
        size=st.sampled_from([SIZE, SIZE + room(1), SIZE + room(6)]),
        held=st.sampled_from([0, room(1), room(4)]),
    )
    def put(
        self, slow: str, topic: str, key: str, max_age: float | None, size: int, held: int
    ) -> None:
        self.number += 1
        policy = self.box.policy(slow, topic, key=key, max_age=max_age)
        name = str(self.number)
        self.drop_old()
        self.box.outbox.put(frame(name, size), policy, held, self.now)
        self.model_put(name, policy, size, held)

    def model_put(self, name: str, policy: Policy, size: int, held: int) -> None:
        same = [
            each
            for each in self.waiting
            if policy.slow == each[1].slow == "latest"
            and (each[1].topic, each[1].key) == (policy.topic, policy.key)
        ]
        others = [each for each in self.waiting if each not in same]
        limit = room(5) - held - size - OVERHEAD
        pushable = [each for each in others if each[1].topic == policy.topic]
        if policy.slow == "drop-newest":
            pushable = []
        pushed_out = []
        while sum(each[3] + OVERHEAD for each in others) > limit:
            if not pushable:
                self.dropped += 1
                return
            pushed_out.append(pushable.pop(0))
            others.remove(pushed_out[-1])
        self.dropped += len(pushed_out) + len(same)
        entry = (name, policy, self.now, size)
        place = self.waiting.index(same[0]) if same else len(self.waiting)
        self.waiting[place : place + 1] = [entry]
        self.waiting = [each for each in self.waiting if each not in pushed_out]

    def drop_old(self) -> None:
        while self.waiting:
            _, policy, since, _ = self.waiting[0]
            if policy.max_age is None or self.now <= since + policy.max_age:
                break
            del self.waiting[0]
            self.dropped += 1

    @rule()
    def take(self) -> None:
        self.drop_old()
        taken = self.box.outbox.take(self.now)
        if not self.waiting:
            assert taken is None
            return
        assert taken is not None
        assert taken.rstrip(b".").decode() == self.waiting.pop(0)[0]

    @invariant()
    def agrees(self) -> None:
        outbox = self.box.outbox
        assert len(outbox) == len(self.waiting)
        assert outbox.size == sum(size + OVERHEAD for *_, size in self.waiting) <= room(5)
        assert len(self.box.told) == self.dropped


TestBoxes = Boxes.TestCase
TestBoxes.settings = settings(max_examples=100, stateful_step_count=30)
