"""What is published in a turn: what leaves together, in which order, and how much may wait."""

from __future__ import annotations

import asyncio

import pytest
from conformance import KEPT, message, turn

from wsproto_async.pubsub import Position, Publication, Retention
from wsproto_async.pubsub.batches import Batch, Batches, Budget
from wsproto_async.pubsub.wire import decode_all

ROOM = 2**24


class Sent:
    """Batches, and what they have sent."""

    def __init__(self) -> None:
        self.budget = Budget()
        self.batches: list[Batch] = []
        self.written = 0  # batches that were there when a turn's were all sent
        self.publish = Batches(self.budget, self.begin, self.batches.extend, self.write)

    def begin(self, topic: str, retention: Retention | None) -> Batch:
        return Batch(topic, retention, self.budget)

    def write(self) -> None:
        self.written = len(self.batches)

    def topics(self) -> list[tuple[str, list[str | bytes]]]:
        return [
            (batch.topic, [each.message for each in decode_all("", b"".join(batch.parts))])
            for batch in self.batches
        ]


@pytest.fixture
async def sent() -> Sent:
    return Sent()


def large(size: int) -> Publication:
    return Publication("news", bytes(size), False)


def why(failed: asyncio.Future[Position | None]) -> str:
    assert failed.done()
    return str(failed.exception())


async def test_a_topic_is_one_batch_in_a_turn(sent: Sent) -> None:
    for topic, text in (("a", "1"), ("b", "2"), ("a", "3")):
        sent.publish.add(message(topic, text), None)
    assert sent.topics() == []
    await turn()
    assert sent.topics() == [("a", ["1", "3"]), ("b", ["2"])]
    assert sent.written == 2
    sent.publish.add(message("a", "4"), None)
    await turn()
    assert sent.topics()[2:] == [("a", ["4"])]
    assert sent.written == 3


async def test_another_retention_is_another_batch(sent: Sent) -> None:
    for text, retention in (("1", KEPT), ("2", None), ("3", KEPT)):
        sent.publish.add(message("a", text), retention)
    await turn()
    assert sent.topics() == [("a", ["1"]), ("a", ["2"]), ("a", ["3"])]


async def test_what_leaves_alone_leaves_behind_what_came_before(sent: Sent) -> None:
    sent.publish.add(message("a", "1"), None)
    sent.publish.add_alone(message("a", "2"), sent.begin("a", None))
    sent.publish.add(message("a", "3"), None)
    assert sent.topics() == [("a", ["1"]), ("a", ["2"])]
    await turn()
    assert sent.topics()[2:] == [("a", ["3"])]


async def test_much_does_not_wait_for_the_end_of_the_turn(sent: Sent) -> None:
    sent.publish.add(large(2**17), None)
    assert not sent.batches
    sent.publish.add(large(2**17), None)
    assert len(sent.batches) == 1


async def test_each_gets_its_own_position(sent: Sent) -> None:
    futures = [sent.publish.add(message("a", str(n)), KEPT) for n in range(3)]
    futures[1].cancel()
    alone = sent.publish.add_alone(message("a", "3"), sent.begin("a", KEPT))
    sent.batches[0].done(Position("epoch", 7))
    sent.batches[1].done(Position("epoch", 10))
    done = [future.result().offset for future in (futures[0], futures[2], alone)]
    assert done == [7, 9, 10]


async def test_what_is_refused_takes_nothing_and_gives_nothing_back(sent: Sent) -> None:
    first = sent.publish.add(large(ROOM - 1000), None)
    for refused in (
        sent.publish.add(large(2**18), None),
        sent.publish.add_alone(large(1000), sent.begin("news", None)),
    ):
        assert why(refused) == "too much is waiting for the broker"
    fits = sent.publish.add_alone(large(10), sent.begin("news", None))
    for batch in sent.batches:
        batch.done(None)
    assert (first.result(), fits.result()) == (None, None)
    assert not sent.publish.add(large(ROOM - 1000), None).done()
    assert why(sent.publish.add(large(2**18), None)) == "too much is waiting for the broker"


async def test_what_has_room_is_not_refused_for_what_has_none(sent: Sent) -> None:
    sent.publish.add_alone(large(1000), sent.begin("news", None))
    small = sent.publish.add(message("a", "1"), None)
    much = sent.publish.add(large(ROOM), None)
    assert why(much) == "too much is waiting for the broker"
    assert not small.done()
    assert sent.topics()[1:] == [("a", ["1"])]


async def test_what_has_failed_leaves_room(sent: Sent) -> None:
    for _ in range(3):
        future = sent.publish.add(large(ROOM), None)
        sent.batches.pop().fail("lost")
        assert why(future) == "lost"
