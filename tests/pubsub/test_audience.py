"""Who listens to a topic: each gets every message once and in order, or a gap is told."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wsproto_async.pubsub import Kind, Missed, Position, Publication, Topic
from wsproto_async.pubsub.audience import Audience

START = Position("e0", 0)


def message(offset: int, epoch: str = "e0") -> Publication:
    text = f"{epoch}:{offset}"
    return Publication("news", text.encode(), True, position=Position(epoch, offset))


def messages(*offsets: int) -> list[Publication]:
    return [message(offset) for offset in offsets]


def offsets(publications: list[Publication] | None) -> list[int] | None:
    if publications is None:
        return None
    return [each.position.offset for each in publications if each.position is not None]


def opened(history: int = 100, *subscribers: str) -> Audience[str]:
    audience: Audience[str] = Audience("news", Topic("news", history=history))
    for subscriber in subscribers:
        audience.add(subscriber)
    audience.begin_reading()
    assert audience.caught_up(Missed(START, [])) == ([], True)
    return audience


def missed(upto: int, *found: int, epoch: str = "e0") -> Missed:
    return Missed(Position(epoch, upto), messages(*found))


def lost(upto: int, epoch: str = "e0") -> Missed:
    return Missed(Position(epoch, upto), None)


# Without a history


def test_without_a_history_all_is_the_next() -> None:
    audience: Audience[str] = Audience("news", Topic("news"))
    assert not audience.is_reading
    plain = Publication("news", b"", True)
    for publication in (plain, plain, message(3), message(3), message(1)):
        assert audience.take(publication) is True
    assert audience.position is None


def test_the_targets_are_the_same_tuple_until_they_change() -> None:
    """So it can be seen that what is published in one turn goes to the same."""
    audience = opened(100, "a")
    audience.add("b")
    targets = audience.targets()
    assert targets == ("a", "b")
    assert audience.take(message(1)) is True
    audience.remove("c")
    assert audience.targets() is targets
    audience.remove("a")
    assert audience.targets() == ("b",)
    assert targets == ("a", "b")


# The next, and gaps


def test_what_comes_is_held_until_it_is_known_where_the_topic_stands() -> None:
    audience: Audience[str] = Audience("news", Topic("news", history=100))
    assert audience.take(message(7)) is False
    audience.begin_reading()
    assert audience.take(message(8)) is False
    held, is_all = audience.caught_up(Missed(Position("e0", 7), []))
    assert (offsets(held), is_all) == ([7, 8], True)
    assert audience.position == audience.start == Position("e0", 6)
    assert [audience.take(each) for each in held] == [True, True]


def test_what_comes_twice_is_dropped() -> None:
    audience = opened()
    assert [audience.take(message(offset)) for offset in (1, 2, 2, 1, 3)] == [
        True,
        True,
        False,
        False,
        True,
    ]
    assert audience.duplicates == 2


def join(name: str = "name") -> Publication:
    return Publication("news", name.encode(), True, kind=Kind.JOIN)


def test_joins_and_leaves_are_taken_as_they_come() -> None:
    audience = opened()
    assert audience.take(join()) is True
    assert audience.take(message(1)) is True
    assert audience.take(join()) is True


@pytest.mark.parametrize("upto", [4, 5, 6])
def test_joins_that_came_while_it_was_read_stand_where_they_came(upto: int) -> None:
    audience = opened()
    assert audience.take(message(4)) is None
    audience.begin_reading()
    first, second, last = join("first"), join("second"), join("last")
    for publication in (first, message(5), second, message(6), last):
        assert audience.take(publication) is False
    publications, is_all = audience.caught_up(missed(upto, *range(1, upto + 1)))
    assert is_all
    assert [each if each.position is None else each.position.offset for each in publications] == [
        *[1, 2, 3, 4],
        *[first, 5, second, 6, last],
    ]
    assert [audience.take(each) for each in publications] == [True] * 9


def test_joins_that_came_while_it_was_read_come_behind_its_gap() -> None:
    audience = opened()
    assert audience.take(message(4)) is None
    audience.begin_reading()
    came = join()
    assert audience.take(came) is False
    publications, is_all = audience.caught_up(lost(4))
    assert not is_all
    assert offsets(publications[:1]) == [4]
    assert publications[1] is came


def test_joins_push_no_message_out() -> None:
    audience = opened(3)
    audience.begin_reading()
    came = [message(1), *(join() for _ in range(5))]
    for publication in came:
        audience.take(publication)
    assert audience.caught_up(missed(0)) == (came, True)


def test_what_comes_late_does_not_turn_joins_and_leaves_round() -> None:
    audience = opened()
    audience.begin_reading()
    first, last = join("first"), join("last")
    for publication in (first, message(5), last, message(2)):
        audience.take(publication)
    publications, _ = audience.caught_up(missed(4, 1, 2, 3, 4))
    assert publications[1:3] == [first, last]
    assert offsets(publications) == [1, 2, 3, 4, 5]


def test_joins_for_which_there_is_no_room_are_a_gap() -> None:
    audience = opened(2)
    audience.begin_reading()
    for number in range(1001):
        audience.take(join(str(number)))
    publications, is_all = audience.caught_up(missed(0))
    assert [each.payload for each in publications] == [b"%d" % number for number in range(1000)]
    assert not is_all
    audience.begin_reading()
    assert audience.caught_up(missed(0)) == ([], True)


def test_what_was_missed_comes_before_what_is_held() -> None:
    audience = opened()
    assert audience.take(message(1)) is True
    assert audience.take(message(4)) is None
    assert audience.take(message(5)) is False
    audience.begin_reading()
    assert audience.take(message(6)) is False
    found, is_all = audience.caught_up(missed(5, 2, 3, 4, 5))
    assert (offsets(found), is_all) == ([2, 3, 4, 5, 6], True)
    assert all(audience.take(each) for each in found)
    assert audience.duplicates == 0


def test_a_gap_is_told_once_and_what_is_held_is_not_lost() -> None:
    audience = opened()
    assert audience.take(message(1)) is True
    assert audience.take(message(8)) is None
    audience.begin_reading()
    found, is_all = audience.caught_up(lost(8))
    assert (offsets(found), is_all) == ([8], False)
    assert [audience.take(each) for each in found] == [True]


def test_a_hole_in_what_is_held_is_read() -> None:
    audience = opened()
    assert audience.take(message(5)) is None
    assert audience.take(message(7)) is False
    audience.begin_reading()
    found, is_all = audience.caught_up(lost(7))
    assert (offsets(found), is_all) == ([5, 7], False)
    assert [audience.take(each) for each in found] == [True, None]
    audience.begin_reading()
    found, is_all = audience.caught_up(missed(7, 6, 7))
    assert (offsets(found), is_all) == ([6, 7], True)
    assert [audience.take(each) for each in found] == [True, True]


def test_a_new_epoch_is_a_gap_and_begins_with_what_has_come_of_it() -> None:
    audience = opened()
    assert audience.take(message(1)) is True
    assert audience.take(message(1, "e1")) is None
    audience.begin_reading()
    assert audience.begin_epoch(Position("e1", 1))
    audience.begin_reading()
    assert not audience.begin_epoch(Position("e1", 1))
    found, is_all = audience.caught_up(lost(1, "e1"))
    assert (offsets(found), is_all) == ([1], False)
    assert [audience.take(each) for each in found] == [True]
    assert audience.position == Position("e1", 1)


@pytest.mark.parametrize("stranger", [message(2, "old"), message(2**53 - 1)], ids=repr)
def test_what_is_in_no_history_is_read_for_once_and_dropped(stranger: Publication) -> None:
    """Else it would be read for without an end, or all that follows it taken for old."""
    audience = opened()
    assert audience.take(message(1)) is True
    assert audience.take(stranger) is None
    audience.begin_reading()
    assert audience.take(message(2)) is False
    found, is_all = audience.caught_up(missed(1))
    assert (offsets(found), is_all) == ([2], True)
    assert audience.take(found[0]) is True
    assert audience.held.refused == 1


def test_not_more_is_held_than_the_history_keeps() -> None:
    audience = opened(3)
    audience.begin_reading()
    for offset in range(1, 11):
        assert audience.take(message(offset)) is False
    found, is_all = audience.caught_up(missed(0))
    assert (offsets(found), is_all) == ([8, 9, 10], True)
    assert [audience.take(each) for each in found] == [None, False, False]


def test_what_is_held_in_disorder_is_taken_in_order() -> None:
    audience: Audience[str] = Audience("news", Topic("news", history=4))
    audience.begin_reading()
    for offset in (1, 2, 3, 4, 1, 5):
        assert audience.take(message(offset)) is False
    found, _ = audience.caught_up(Missed(Position("e0", 5), []))
    assert offsets(found) == [1, 3, 4, 5]
    assert [audience.take(each) for each in found] == [True, None, False, False]
    audience.begin_reading()
    found, is_all = audience.caught_up(lost(5))
    assert (offsets(found), is_all) == ([3, 4, 5], False)
    assert [audience.take(each) for each in found] == [True, True, True]


def test_what_came_twice_while_it_was_read_does_not_turn_it_back() -> None:
    audience = opened()
    for offset in (1, 2, 3):
        assert audience.take(message(offset)) is True
    audience.begin_reading()
    assert audience.take(message(2)) is False
    found, is_all = audience.caught_up(lost(3))
    assert is_all is False
    assert [audience.take(each) for each in found] == [False]
    assert audience.position == Position("e0", 3)


# Who joins later


def test_who_joins_gets_what_it_has_missed_and_what_came_meanwhile() -> None:
    audience = opened(100, "first")
    for offset in (1, 2, 3):
        audience.take(message(offset))
    audience.begin_join("late")
    assert len(audience) == 2
    assert sorted(audience.subscribers()) == ["first", "late"]
    audience.take(message(4))
    assert audience.targets() == ("first",)
    found, position = audience.join("late", missed(3, 2, 3))
    assert (offsets(found), position) == ([2, 3, 4], Position("e0", 4))
    audience.take(message(5))
    assert audience.targets() == ("first", "late")


def test_who_has_read_more_than_the_others_have_got_waits_for_them() -> None:
    audience = opened(100, "first")
    audience.begin_join("late")
    found, position = audience.join("late", missed(2, 1, 2))
    assert (offsets(found), position) == ([1, 2], Position("e0", 2))
    for offset in (1, 2):
        assert audience.take(message(offset)) is True
        assert audience.targets() == ("first",)
    assert audience.take(message(3)) is True
    assert audience.targets() == ("first", "late")


def test_who_waits_for_the_others_is_told_who_joins_behind_what_it_has_read() -> None:
    audience = opened(100, "first")
    audience.begin_join("late")
    audience.join("late", missed(2, 1, 2))
    for publication in (message(1), join(), message(2)):
        assert audience.take(publication) is True
        assert audience.targets() == ("first",)
    assert audience.take(join()) is True
    assert audience.targets() == ("first", "late")


@pytest.mark.parametrize("upto", [1, 3, 5])
def test_who_cannot_have_it_all_gets_nothing_and_then_what_comes(upto: int) -> None:
    """Behind the position that it is told."""
    audience = opened(100, "first")
    audience.begin_join("late")
    for offset in (1, 2, 3):
        audience.take(message(offset))
    found, position = audience.join("late", lost(upto))
    assert found is None
    assert position == Position("e0", max(upto, 3))
    for offset in range(4, 8):
        assert audience.take(message(offset)) is True
        assert ("late" in audience.targets()) is (offset > position.offset)


def test_who_read_another_epoch_gets_nothing() -> None:
    audience = opened(100, "first")
    audience.take(message(1))
    audience.begin_join("late")
    read = Missed(Position("e1", 1), [message(1, "e1")])
    assert audience.join("late", read) == (None, Position("e0", 1))
    assert audience.targets() == ("first", "late")


def test_more_than_the_history_keeps_is_not_remembered_for_who_joins() -> None:
    audience = opened(3, "first")
    audience.begin_join("late")
    for offset in range(1, 6):
        audience.take(message(offset))
    assert audience.join("late", missed(1, 1))[0] is None
    audience.begin_join("later")
    assert offsets(audience.join("later", missed(5, 4, 5))[0]) == [4, 5]


def test_nothing_is_left_of_who_leaves() -> None:
    audience = opened()
    for subscriber in "abc":
        audience.begin_join(subscriber)
    audience.take(message(1))
    audience.join("b", missed(1, 1))
    audience.join("c", missed(9, *range(1, 10)))
    assert len(audience) == 3
    for subscriber in "abc":
        audience.remove(subscriber)
    assert len(audience) == 0
    assert audience.subscribers() == []
    assert audience.targets() == ()


# All of it, against a model


class Reading:
    """What is read of a history: it is asked for, then answered, then told."""

    def __init__(self, since: Position | None) -> None:
        self.since = since
        self.answer: Missed | None = None


class Listener:
    def __init__(self, gets_after: Position | None) -> None:
        self.received: list[Position] = []
        self.last = gets_after  # what follows is the next; None if anything may

    def get(self, publication: Publication) -> None:
        position = publication.position
        assert position is not None
        assert publication.payload == f"{position.epoch}:{position.offset}".encode()
        assert position.offset < STRANGE
        if self.last is not None:
            assert position == Position(self.last.epoch, self.last.offset + 1)
        if self.received:
            assert position > self.received[-1]  # epochs are in their order here
        self.received.append(position)
        self.last = position


STRANGE = 10**6
NAMES = st.sampled_from("abcde")


@hypothesis.settings(max_examples=100, stateful_step_count=40)
class Topics(RuleBasedStateMachine):
    """A topic of which publications arrive late, doubled and in part, and are read meanwhile."""

    def __init__(self) -> None:
        super().__init__()
        self.size = 4
        self.audience: Audience[str] = Audience("news", Topic("news", history=self.size))
        self.listeners: dict[str, Listener] = {}
        self.joining: dict[str, Reading] = {}
        self.reading: Reading | None = Reading(None)
        self.epoch = 0
        self.count = 0
        self.published: list[Publication] = []
        self.audience.begin_reading()

    # What the broker does

    @property
    def position(self) -> Position:
        return Position(f"e{self.epoch}", self.count)

    @rule(count=st.integers(1, 6))
    def publish(self, count: int) -> None:
        for _ in range(count):
            self.count += 1
            self.published.append(message(self.count, f"e{self.epoch}"))

    @rule()
    def lose_the_history(self) -> None:
        self.epoch += 1
        self.count = 0

    def answer(self, since: Position | None) -> Missed:
        if since is None:
            return Missed(self.position, [])
        missed = self.count - since.offset
        if since.epoch != self.position.epoch or not 0 <= missed <= self.size:
            return Missed(self.position, None)
        after = range(since.offset + 1, self.count + 1)
        return Missed(self.position, [message(offset, since.epoch) for offset in after])

    # What arrives

    @precondition(lambda self: self.published)
    @rule(data=st.data())
    def arrive(self, data: st.DataObject) -> None:
        """Any of them: the next, an old one, one of a history that is lost."""
        last = len(self.published) - 1
        begin = data.draw(st.integers(0, last))
        for publication in self.published[begin : data.draw(st.integers(begin, last)) + 1]:
            self.take(publication)

    @precondition(lambda self: self.published)
    @rule()
    def all_arrives(self) -> None:
        for publication in self.published:
            self.take(publication)

    @rule(epoch=st.sampled_from(["e0", "e1", "strange"]))
    def something_strange_arrives(self, epoch: str) -> None:
        self.take(message(STRANGE, epoch))

    def take(self, publication: Publication) -> None:
        is_next = self.audience.take(publication)
        if is_next:
            for name in self.audience.targets():
                self.listeners[name].get(publication)
        elif is_next is None:
            assert self.reading is None
            self.read()

    # What is read

    def read(self) -> None:
        self.audience.begin_reading()
        self.reading = Reading(self.audience.position)

    @rule()
    def the_broker_is_back(self) -> None:
        if self.audience.position is not None:
            self.read()

    @precondition(lambda self: self.reading is not None and self.reading.answer is None)
    @rule()
    def answer_reading(self) -> None:
        assert self.reading is not None
        self.reading.answer = self.answer(self.reading.since)

    @precondition(lambda self: self.reading is not None and self.reading.answer is not None)
    @rule()
    def end_reading(self) -> None:
        assert self.reading is not None
        assert self.reading.answer is not None
        answer, self.reading = self.reading.answer, None
        if self.audience.begin_epoch(answer.position):
            for name in self.listeners.keys() - self.joining.keys():
                self.listeners[name].last = self.audience.position
            self.read()
            return
        found, is_all = self.audience.caught_up(answer)
        assert is_all is (answer.publications is not None)
        if not is_all:
            for listener in self.listeners.values():
                listener.last = None
        for publication in found:
            self.take(publication)

    # Who comes and goes

    @rule(name=NAMES)
    def add(self, name: str) -> None:
        if name not in self.listeners:
            self.audience.add(name)
            self.listeners[name] = Listener(self.audience.position)

    @precondition(lambda self: self.audience.start is not None)
    @rule(name=NAMES, back=st.integers(0, 6), is_old=st.booleans())
    def begin_join(self, name: str, back: int, is_old: bool) -> None:
        if name not in self.listeners:
            epoch = f"e{max(self.epoch - is_old, 0)}"
            since = Position(epoch, max(self.count - back, 0))
            self.audience.begin_join(name)
            self.listeners[name] = Listener(since)
            self.joining[name] = Reading(since)

    @rule(name=NAMES)
    def answer_joining(self, name: str) -> None:
        reading = self.joining.get(name)
        if reading is not None and reading.answer is None:
            reading.answer = self.answer(reading.since)

    @rule(name=NAMES)
    def join(self, name: str) -> None:
        reading = self.joining.get(name)
        if reading is None or reading.answer is None:
            return
        del self.joining[name]
        listener = self.listeners[name]
        assert not listener.received
        found, position = self.audience.join(name, reading.answer)
        if found is None:
            listener.last = None
        else:
            listener.last = reading.since
            for publication in found:
                listener.get(publication)
            assert listener.last == position
        if position.epoch == self.audience.position.epoch:  # type: ignore[union-attr]
            listener.last = position

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        if name in self.listeners:
            del self.listeners[name]
            self.joining.pop(name, None)
            self.audience.remove(name)

    @invariant()
    def nobody_is_forgotten(self) -> None:
        assert len(self.audience) == len(self.listeners)
        assert sorted(self.audience.subscribers()) == sorted(self.listeners)
        assert not set(self.audience.targets()) & set(self.joining)

    def teardown(self) -> None:
        """In the end the last one arrives, and what was missed before it is read."""
        for name in tuple(self.joining):
            self.answer_joining(name)
            self.join(name)
        self.publish(1)
        self.take(self.published[-1])
        for _ in range(10 + self.size):
            if self.reading is None:
                break
            if self.reading.answer is None:
                self.answer_reading()
            self.end_reading()
        assert self.reading is None, "it is read without an end"
        assert self.audience.position == self.position
        for listener in self.listeners.values():
            assert listener.received[-1] == self.position


TestTopics = Topics.TestCase
