"""The laws of brokers, as tests: what passes them is a broker.

Each gets two that are joined, ``one`` and ``other``, as two processes have them. They may be one
and the same, as in memory; so nothing is said of what only one of them receives. To try another
kind of broker, give it to ``KINDS`` in ``conftest.py``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import pytest
from process import Process, Recorder, told

from wsproto_async.exceptions import BrokerError
from wsproto_async.pubsub import Kind, Position, Publication, Retention

KEPT = Retention(100, 300.0)
RETENTIONS = pytest.mark.parametrize("retention", [None, KEPT], ids=["plain", "kept"])
PATIENCE = 20.0  # seconds for what must happen


def message(topic: str, text: str, **fields: Any) -> Publication:
    return Publication(topic, text.encode(), True, **fields)


def texts(publications: list[Publication]) -> list[str]:
    return [each.payload.decode() for each in publications]


async def turn() -> None:
    """Let happen what depends on nobody else."""
    for _ in range(5):
        await asyncio.sleep(0)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again, where nothing tells of the change."""
    async with asyncio.timeout(PATIENCE):
        while not await condition():  # noqa: ASYNC110 - a broker tells nobody of it
            await asyncio.sleep(0.01)


# -- What is published arrives --------------------------------------------------------------------


@RETENTIONS
async def test_publications_arrive_in_order_and_once(
    one: Process, other: Process, retention: Retention | None
) -> None:
    await one.broker.subscribe("news")
    await other.broker.subscribe("news")
    sent = [str(number) for number in range(1000)]
    futures = [one.broker.publish(message("news", text), retention, "") for text in sent]
    await asyncio.gather(*futures)
    for process in (one, other):
        assert texts(await process.receive(1000, "news")) == sent
        await process.settle()
        assert texts(process.received("news")) == sent


@RETENTIONS
async def test_publications_of_two_processes_keep_the_order_of_each(
    one: Process, other: Process, retention: Retention | None
) -> None:
    await one.broker.subscribe("news")
    await other.broker.subscribe("news")
    for number in range(50):
        one.broker.publish(message("news", f"one {number}"), retention, "")
        other.broker.publish(message("news", f"other {number}"), retention, "")
        if not number % 7:
            await asyncio.sleep(0)
    for process in (one, other):
        received = texts(await process.receive(100, "news"))
        for name in ("one", "other"):
            of_one = [text for text in received if text.startswith(f"{name} ")]
            assert of_one == [f"{name} {number}" for number in range(50)]


async def test_messages_with_and_without_retention_or_key_keep_their_order(
    one: Process, other: Process
) -> None:
    await other.broker.subscribe("news")
    for number in range(60):
        retention = KEPT if number % 2 else None
        key = f"key {number}" if number % 3 else ""
        one.broker.publish(message("news", str(number)), retention, key)
    received = texts(await other.receive(60, "news"))
    assert received == [str(number) for number in range(60)]


async def test_topics_are_apart(one: Process, other: Process) -> None:
    names = ["a", "A", "a:", "{a}", "a}", "{a", "a{b}c", "%7Ba%7D", "a b", "é", "漢字", "a?[b]c\\"]
    await asyncio.gather(*map(other.broker.subscribe, names))
    await asyncio.gather(
        *(one.broker.publish(message(name, name), KEPT, "same key") for name in names)
    )
    await other.receive(len(names))
    await other.settle()
    for name in names:
        assert texts(other.received(name)) == [name]
        missed = await other.broker.read(name, None, KEPT)
        assert missed.position.offset == 1


MANY_BYTES = bytes(range(256)) * 4096


@RETENTIONS
@pytest.mark.parametrize(
    "publication",
    [
        Publication("t", b"text \xe2\x82\xac", True),
        Publication("t", b"\x00\xff\r\n\n:", False),
        Publication("t", b"", True),
        Publication("t", b"", False),
        Publication("t", MANY_BYTES, False),
        Publication("t", b"x", True, kind=Kind.JOIN),
        Publication("t", b"x", True, kind=Kind.LEAVE),
        Publication("t", b"x", True, key="\u20ac" * 85),
        Publication("t", b"x", True, slow="drop-oldest", compress=True),
        Publication("t", b"x", False, slow="latest", compress=False, key="k"),
        Publication("t", b"x", True, exclude=bytes(range(16))),
        Publication("\u20ac" * 85, b"x", True),
    ],
    ids=lambda each: repr(each)[:60],
)
async def test_a_publication_arrives_as_it_was_published(
    one: Process, other: Process, publication: Publication, retention: Retention | None
) -> None:
    await other.broker.subscribe(publication.topic)
    position = await one.broker.publish(publication, retention, "")
    assert (position is None) == (retention is None)
    expected = [told(publication.at(position))]
    assert list(map(told, await other.receive(1))) == expected
    if retention is not None:
        since = Position(position.epoch, 0)
        missed = await other.broker.read(publication.topic, since, retention)
        assert list(map(told, missed.publications)) == expected


# -- Subscribing ----------------------------------------------------------------------------------


async def test_nothing_arrives_without_subscribing(one: Process, other: Process) -> None:
    await one.broker.publish(message("news", "early"), KEPT, "")
    await other.settle()
    assert other.received("news") == []


async def test_nothing_is_missed_once_subscribing_is_done(one: Process, other: Process) -> None:
    for number in range(100):
        topic = f"topic {number}"
        await other.broker.subscribe(topic)
        one.broker.publish(message(topic, "at once"), None, "")
    received = await other.receive(100)
    assert sorted(each.topic for each in received) == sorted(f"topic {n}" for n in range(100))


async def test_nothing_arrives_after_unsubscribing(one: Process, other: Process) -> None:
    for process in (one, other):
        await process.broker.subscribe("news")
        process.broker.unsubscribe("news")
        await process.settle()
    await one.broker.publish(message("news", "late"), None, "")
    await other.settle()
    assert other.received("news") == []


async def test_subscribing_again_after_unsubscribing_misses_nothing(
    one: Process, other: Process
) -> None:
    first = other.broker.subscribe("news")
    other.broker.unsubscribe("news")
    other.broker.unsubscribe("never subscribed to")
    await other.broker.subscribe("news")
    await asyncio.wait_for(first, PATIENCE)
    await one.broker.publish(message("news", "hello"), None, "")
    assert texts(await other.receive(1, "news")) == ["hello"]


async def test_subscribing_twice_brings_everything_once(one: Process, other: Process) -> None:
    await asyncio.gather(other.broker.subscribe("news"), other.broker.subscribe("news"))
    await other.broker.subscribe("news")
    await one.broker.publish(message("news", "hello"), None, "")
    await other.settle()
    assert texts(other.received("news")) == ["hello"]


# -- Histories ------------------------------------------------------------------------------------


async def published(process: Process, topic: str, count: int, retention: Retention) -> Position:
    """Publish ``count`` messages, ``0`` and so on, and return the position before them."""
    before = (await process.broker.read(topic, None, retention)).position
    futures = [
        process.broker.publish(message(topic, str(number)), retention, "")
        for number in range(count)
    ]
    await asyncio.gather(*futures)
    return before


async def test_positions_are_consecutive(one: Process, other: Process) -> None:
    await other.broker.subscribe("news")
    before = await published(one, "news", 50, KEPT)
    again = await published(other, "news", 50, KEPT)
    assert again == Position(before.epoch, before.offset + 50)
    received = [each.position for each in await other.receive(100, "news")]
    assert received[0] == Position(before.epoch, before.offset + 1)
    assert all(b == Position(a.epoch, a.offset + 1) for a, b in pairwise(received))
    assert (await one.broker.read("news", None, KEPT)).position == received[-1]


async def test_messages_without_retention_take_no_position(one: Process, other: Process) -> None:
    before = await published(one, "news", 1, KEPT)
    assert await one.broker.publish(message("news", "passing"), None, "") is None
    missed = await other.broker.read("news", before, KEPT)
    assert texts(missed.publications) == ["0"]


async def test_what_was_missed_is_read(one: Process, other: Process) -> None:
    before = await published(one, "news", 100, KEPT)
    for after in (0, 1, 50, 99, 100):
        since = Position(before.epoch, before.offset + after)
        missed = await other.broker.read("news", since, KEPT)
        assert missed.position == Position(before.epoch, before.offset + 100)
        assert texts(missed.publications) == [str(number) for number in range(after, 100)]
        positions = [each.position.offset - before.offset for each in missed.publications]
        assert positions == list(range(after + 1, 101))


async def test_much_that_was_missed_is_read(one: Process, other: Process) -> None:
    before = (await one.broker.read("big", None, KEPT)).position
    for number in range(30):
        await one.broker.publish(Publication("big", bytes([number]) * 2**18, False), KEPT, "")
    missed = await other.broker.read("big", before, KEPT)
    assert [each.payload for each in missed.publications] == [
        bytes([number]) * 2**18 for number in range(30)
    ]


async def test_nothing_missed_is_an_empty_list(one: Process, other: Process) -> None:
    fresh = await one.broker.read("quiet", None, KEPT)
    assert fresh.publications == []
    assert await other.broker.read("quiet", fresh.position, KEPT) == fresh
    assert await one.broker.publish(message("quiet", "first"), KEPT, "") == Position(
        fresh.position.epoch, fresh.position.offset + 1
    )


async def test_what_was_trimmed_by_size_cannot_be_read(one: Process, other: Process) -> None:
    few = Retention(3, 300.0)
    before = await published(one, "news", 10, few)
    for after, expected in [(6, None), (7, ["7", "8", "9"]), (10, [])]:
        since = Position(before.epoch, before.offset + after)
        missed = await other.broker.read("news", since, few)
        assert missed.position == Position(before.epoch, before.offset + 10)
        assert (missed.publications and texts(missed.publications)) == expected


async def test_what_is_too_old_cannot_be_read(one: Process, other: Process) -> None:
    short = Retention(100, 0.2)
    before = await published(one, "news", 3, short)

    async def gone() -> bool:
        return (await other.broker.read("news", before, short)).publications is None

    await until(gone)


async def test_what_is_old_goes_though_more_is_published(one: Process, other: Process) -> None:
    short = Retention(10_000, 0.2)
    before = await published(one, "news", 1, short)

    async def gone() -> bool:
        await one.broker.publish(message("news", "more"), short, "")
        missed = await other.broker.read("news", before, short)
        return missed.publications is None

    await until(gone)


@pytest.mark.parametrize("offset", [0, 1])
async def test_a_position_of_another_epoch_cannot_be_read_after(
    one: Process, other: Process, offset: int
) -> None:
    before = await published(one, "news", 1, KEPT)
    missed = await other.broker.read("news", Position("0", offset), KEPT)
    assert missed == (Position(before.epoch, before.offset + 1), None)


async def test_a_position_to_come_cannot_be_read_after(one: Process, other: Process) -> None:
    before = await published(one, "news", 1, KEPT)
    missed = await other.broker.read("news", Position(before.epoch, before.offset + 2), KEPT)
    assert missed.publications is None


# -- Keys of idempotency --------------------------------------------------------------------------


@RETENTIONS
async def test_of_one_key_the_first_is_published(
    one: Process, other: Process, retention: Retention | None
) -> None:
    await other.broker.subscribe("news")
    first = await one.broker.publish(message("news", "first"), retention, "key")
    assert (first is None) == (retention is None)
    for process in (one, other):
        again = await process.broker.publish(message("news", "again"), retention, "key")
        assert again == first
    await one.broker.publish(message("news", "next"), retention, "another \u20ac}{ key")
    assert texts(await other.receive(2, "news")) == ["first", "next"]
    await other.settle()
    assert len(other.received("news")) == 2


async def test_keys_are_of_one_topic(one: Process, other: Process) -> None:
    for topic in ("a", "b", "a:b"):
        await other.broker.subscribe(topic)
    for topic, key in [("a", "b:c"), ("a:b", "c"), ("b", "b:c")]:
        await one.broker.publish(message(topic, key), None, key)
    assert len(await other.receive(3)) == 3


# -- Presence -------------------------------------------------------------------------------------


def told_of_presence(process: Process, topic: str) -> list[tuple[Kind, str]]:
    return [(each.kind, each.message) for each in process.received(topic)]


async def test_members_come_and_go(one: Process, other: Process) -> None:
    await other.broker.subscribe("room")
    assert await other.broker.members("room") == {}
    await one.broker.enter("room", "1", "Ann \u20ac")
    await other.broker.enter("room", "2", "")
    for process in (one, other):
        assert await process.broker.members("room") == {"1": "Ann \u20ac", "2": ""}
    await one.broker.leave("room", "1")
    for process in (one, other):
        assert await process.broker.members("room") == {"2": ""}
    await other.broker.leave("room", "2")
    assert await one.broker.members("room") == {}
    await other.receive(4, "room")
    await other.settle()
    assert told_of_presence(other, "room") == [
        (Kind.JOIN, "Ann \u20ac"),
        (Kind.JOIN, ""),
        (Kind.LEAVE, "Ann \u20ac"),
        (Kind.LEAVE, ""),
    ]
    # The key is the member's id: who is slow, and gets the latest only, gets it of each member.
    assert [each.key for each in other.received("room")] == ["1", "2", "1", "2"]


async def test_entering_twice_and_leaving_twice_are_told_once(one: Process, other: Process) -> None:
    await other.broker.subscribe("room")
    for _ in range(2):
        await one.broker.enter("room", "1", "Ann")
    for _ in range(2):
        await one.broker.leave("room", "1")
    await one.broker.leave("nowhere", "1")
    await other.settle()
    assert told_of_presence(other, "room") == [(Kind.JOIN, "Ann"), (Kind.LEAVE, "Ann")]


async def test_members_are_of_one_topic(one: Process, other: Process) -> None:
    await one.broker.enter("a", "1", "Ann")
    await one.broker.enter("b", "1", "Bob")
    assert await other.broker.members("a") == {"1": "Ann"}
    await one.broker.leave("a", "1")
    assert await other.broker.members("b") == {"1": "Bob"}


# -- The end --------------------------------------------------------------------------------------


async def test_closing_ends_what_is_under_way(one: Process, other: Process) -> None:
    await other.broker.subscribe("room")
    await one.broker.enter("room", "1", "Ann")
    futures = everything(one, "room")
    await asyncio.wait_for(one.broker.close(), PATIENCE)
    for future in futures:
        assert future.done()
        assert isinstance(future.exception(), BrokerError | None)
    await one.broker.close()


async def test_a_process_that_closes_takes_its_members_with_it(
    one: Process, other: Process
) -> None:
    await one.broker.enter("room", "1", "Ann")
    await one.broker.close()
    if other is not one:
        assert await other.broker.members("room") == {}


async def test_futures_left_alone_log_nothing(one: Process, other: Process) -> None:
    everything(one, "room")
    await one.broker.close()
    everything(one, "room")  # The fixture nothing_logs_errors looks for what they log.


async def test_futures_may_be_cancelled(one: Process, other: Process) -> None:
    for future in everything(one, "room"):
        future.cancel()
    await one.broker.subscribe("room")
    await one.broker.publish(message("room", "after"), None, "")
    await one.receive(1, "room")
    await one.settle()
    assert texts(one.received("room"))[-1] == "after"


async def test_a_broker_serves_one_server(one: Process, other: Process) -> None:
    with pytest.raises(BrokerError, match="serves one server"):
        await one.broker.start(Recorder())
    await one.broker.subscribe("room")
    await one.broker.publish(message("room", "still here"), None, "")
    assert texts(await one.receive(1, "room")) == ["still here"]


def everything(process: Process, topic: str) -> list[asyncio.Future[Any]]:
    broker = process.broker
    return [
        broker.subscribe(topic),
        broker.publish(message(topic, "x"), None, ""),
        broker.publish(message(topic, "x"), KEPT, "key"),
        broker.read(topic, None, KEPT),
        broker.read(topic, Position("0", 1), KEPT),
        broker.enter(topic, "2", "Bob"),
        broker.members(topic),
        broker.leave(topic, "2"),
        broker.leave(topic, "nobody"),
    ]
