"""What all subscribers have missed is read, or a gap is told: outages, and what is lost."""

from __future__ import annotations

import pytest
from late_broker import READ, SUBSCRIBE, LateBroker
from late_room import late_room, opened, publish, received, start, texts, turn
from raw_peer import until
from room import read_payloads, room

from wsproto_async import Position, Topic, WebSocket
from wsproto_async.aio import intake
from wsproto_async.pubsub import Kind, Publication

# Outages


async def test_each_outage_is_a_gap_that_is_told() -> None:
    """Whoever was told of one may have read all anew since, though nothing came on the topic."""
    broker = LateBroker(SUBSCRIBE)
    async with late_room(broker, history=0) as (here, gaps):
        await here.websockets[0].subscribe("news")
        for number in range(1, 4):
            broker.receiver.subscription_restored("news")
            assert gaps == ["news"] * number
        publish(broker, 1)
        broker.deliver()
        assert await received(here.peers[0], 1) == ["1"]
        assert here.server.stats().topics.gaps == 3


async def test_joins_and_leaves_are_not_kept() -> None:
    broker = LateBroker()
    async with late_room(broker, presence=True) as (here, gaps):
        await opened(here, broker)
        publish(broker, 1)
        broker.lose(1)
        broker.receiver.subscription_restored("news")
        assert gaps == ["news"]
        await turn()
        broker.answer(READ)
        assert await received(here.peers[0], 1) == ["1"]
        assert gaps == ["news"]


async def test_members_that_the_broker_had_forgotten_are_a_gap() -> None:
    for presence in (True, False):
        broker = LateBroker(SUBSCRIBE)
        async with late_room(broker, history=0, presence=presence) as (here, gaps):
            await here.websockets[0].subscribe("news")
            for number in range(1, 3):
                broker.receiver.members_restored()
                assert gaps == ["news"] * number * presence


async def test_joins_that_come_while_it_is_read_push_no_message_out() -> None:
    broker = LateBroker()
    async with late_room(broker, presence=True) as (here, _):
        await opened(here, broker)
        broker.receiver.subscription_restored("news")
        await turn()
        call = broker.call(READ)
        answer = call.answer()
        publish(broker, 1)
        broker.deliver()
        for number in range(20):
            join = Publication("news", b"%d" % number, True, kind=Kind.JOIN)
            broker.receiver.publication_received(join)
        call.future.set_result(answer)
        assert await received(here.peers[0], 1) == ["1"]


async def test_those_who_are_told_are_the_subscribers_of_the_topic() -> None:
    told: list[tuple[frozenset[WebSocket], str]] = []
    topic = Topic("*", on_gap=lambda websockets, name: told.append((websockets, name)))
    broker = LateBroker(SUBSCRIBE)
    async with room(3, broker=broker, topics=[topic]) as here:
        first, second, third = here.websockets
        for ws, name in ((first, "a"), (second, "a"), (third, "b")):
            await ws.subscribe(name)
        broker.receiver.subscription_restored("a")
        assert told == [(frozenset({first, second}), "a")]


@pytest.mark.parametrize("presence", [True, False])
async def test_who_is_told_of_a_gap_may_unsubscribe(presence: bool) -> None:
    """Nobody reads for those who have left, and who comes then is not told of it."""
    told: list[str] = []

    def on_gap(websockets: frozenset[WebSocket], name: str) -> None:
        told.append(name)
        for ws in websockets:
            ws.unsubscribe(name)

    broker = LateBroker(SUBSCRIBE)
    async with late_room(broker, presence=presence, on_gap=on_gap) as (here, _):
        subscribing = start(here.websockets[0].subscribe("news"))
        broker.answer(READ)
        await subscribing
        publish(broker, 1)
        broker.deliver()
        broker.forget("e1")
        broker.receiver.subscription_restored("news")
        await turn()
        if not presence:
            broker.answer(READ)
            await turn()
        assert told == ["news"]
        assert dict(here.server.topics) == {}
        assert [call.name for call in broker.calls] == []
        subscribing = start(here.websockets[0].subscribe("news"))
        broker.answer(READ)
        assert (await subscribing).position == ("e1", 0)
        await turn()
        assert told == ["news"]
        assert here.server.stats().topics.gaps == 1


async def test_who_comes_back_after_an_outage_waits_until_it_is_known_where_the_topic_stands() -> (
    None
):
    broker = LateBroker()
    async with late_room(broker, 2) as (here, gaps):
        first, second = here.websockets
        subscribing = start(first.subscribe("news"))
        broker.answer(SUBSCRIBE)
        await turn()
        broker.answer(READ)
        since = (await subscribing).position
        broker.forget("e2")
        publish(broker, *range(1, 4))
        broker.lose(3)
        broker.receiver.subscription_restored("news")
        coming = start(second.subscribe("news", since=since))
        await turn()
        mine, of_the_topic = broker.call(READ), broker.call(READ)
        mine.future.set_result(mine.answer())
        await turn()
        assert not coming.done()
        of_the_topic.future.set_result(of_the_topic.answer())
        for _ in range(2):  # the rest of the new epoch, and again what was missed
            await turn()
            broker.answer(READ)
        subscription = await coming
        assert gaps == ["news"]
        assert subscription.recovered is False
        assert subscription.position == ("e2", 3)
        assert await received(here.peers[0], 3) == texts(1, 2, 3)


async def test_who_has_not_been_told_that_it_is_done_has_missed_nothing() -> None:
    broker = LateBroker()
    async with late_room(broker) as (here, gaps):
        subscribing = start(here.websockets[0].subscribe("news"))
        broker.receiver.connection_lost("test")
        broker.receiver.subscription_restored("news")
        broker.answer(SUBSCRIBE)
        await turn()
        broker.answer(READ)
        await subscribing
        assert gaps == []


# What all have missed


async def test_what_was_lost_on_its_way_is_read_once() -> None:
    broker = LateBroker()
    async with late_room(broker, 2) as (here, gaps):
        await opened(here, broker)
        publish(broker, 1, 2)
        broker.deliver()
        broker.asked.clear()
        publish(broker, 3, 4, 5, 6)
        broker.lose(2)
        broker.deliver()
        publish(broker, 7)
        broker.deliver()
        await turn()
        assert broker.asked == [(READ, "news")]
        broker.answer(READ)
        publish(broker, 8)
        broker.deliver()
        for peer in here.peers:
            assert await received(peer, 8) == texts(*range(1, 9))
        assert gaps == []
        assert here.server.stats().topics.duplicates == 0


async def test_after_an_outage_what_was_missed_is_read() -> None:
    broker = LateBroker()
    async with late_room(broker) as (here, gaps):
        await opened(here, broker)
        publish(broker, 1)
        broker.deliver()
        broker.receiver.connection_lost("test")
        publish(broker, 2, 3)
        broker.lose(2)
        broker.receiver.subscription_restored("news")
        publish(broker, 4)
        broker.deliver()
        await turn()
        broker.answer(READ)
        assert await received(here.peers[0], 4) == texts(1, 2, 3, 4)
        assert gaps == []


async def test_an_outage_during_the_reading_begins_it_again() -> None:
    broker = LateBroker()
    async with late_room(broker) as (here, gaps):
        await opened(here, broker)
        broker.receiver.subscription_restored("news")
        await turn()
        first = broker.call(READ)
        broker.receiver.connection_lost("test")
        publish(broker, 1)
        broker.lose(1)
        broker.receiver.subscription_restored("news")
        await turn()
        assert first.future.cancelled()
        broker.answer(READ)
        assert await received(here.peers[0], 1) == ["1"]
        assert gaps == []


async def test_what_comes_too_fast_while_something_is_read_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = LateBroker()
    async with late_room(broker) as (here, gaps):
        await opened(here, broker)
        broker.receiver.subscription_restored("news")
        await turn()
        reading = broker.call(READ)
        answer = reading.answer()
        publish(broker, 1)
        with monkeypatch.context() as patch:
            patch.setattr(intake, "MAX_PENDING", -1)
            broker.deliver()
        reading.future.set_result(answer)
        await turn()
        broker.answer(READ)
        assert await received(here.peers[0], 1) == ["1"]
        assert gaps == []


async def test_what_is_not_kept_any_more_is_a_gap() -> None:
    broker = LateBroker()
    async with late_room(broker, 2) as (here, gaps):
        await opened(here, broker)
        publish(broker, *range(1, 21))
        broker.lose(18)
        broker.deliver()
        await turn()
        broker.answer(READ)
        for peer in here.peers:
            assert await received(peer, 2) == texts(19, 20)
        assert gaps == ["news"]
        assert here.server.stats().topics.gaps == 1


async def test_all_of_the_epoch_that_began_meanwhile_is_delivered_behind_the_gap() -> None:
    broker = LateBroker()
    async with late_room(broker) as (here, gaps):
        await opened(here, broker)
        publish(broker, 1)
        broker.deliver()
        broker.forget("e1")
        publish(broker, 2, 3)
        broker.lose(2)
        broker.receiver.subscription_restored("news")
        for _ in range(2):
            await turn()
            broker.answer(READ)
        publish(broker, 4)
        broker.deliver()
        assert await received(here.peers[0], 4) == texts(1, 2, 3, 4)
        assert gaps == ["news"]


async def test_a_history_that_is_lost_is_a_gap_and_what_comes_after_it_is_not() -> None:
    broker = LateBroker()
    async with late_room(broker) as (here, gaps):
        await opened(here, broker)
        publish(broker, 1, 2)
        broker.deliver()
        old = broker.history[-1]
        broker.forget("e1")
        publish(broker, 3)
        broker.deliver()
        await turn()
        broker.answer(READ)
        await turn()
        broker.answer(READ)
        assert await received(here.peers[0], 3) == texts(1, 2, 3)
        assert gaps == ["news"]
        broker.receiver.publication_received(old)
        await turn()
        broker.asked.clear()
        broker.answer(READ)
        publish(broker, 4)
        broker.deliver()
        assert await received(here.peers[0], 1) == ["4"]
        await turn()
        assert broker.asked == []  # it is not read without an end
        assert here.server.stats().topics.refused == 1


async def test_what_is_in_no_history_starves_nobody() -> None:
    broker = LateBroker()
    async with late_room(broker) as (here, gaps):
        await opened(here, broker)
        publish(broker, 1)
        broker.deliver()
        wrong = Publication("news", b"wrong", True, position=Position("e0", 2**53 - 1))
        broker.receiver.publication_received(wrong)
        await turn()
        broker.answer(READ)
        publish(broker, 2)
        broker.deliver()
        assert await received(here.peers[0], 2) == texts(1, 2)
        assert gaps == []
        assert here.server.stats().topics.refused == 1


async def test_what_cannot_be_read_is_read_again() -> None:
    broker = LateBroker()
    async with late_room(broker) as (here, gaps):
        await opened(here, broker)
        publish(broker, 1, 2)
        broker.lose(1)
        broker.deliver()
        await turn()
        broker.fail(READ)
        await until(lambda: broker.calls)
        publish(broker, 3)
        broker.deliver()
        broker.answer(READ)
        assert await received(here.peers[0], 3) == texts(1, 2, 3)
        assert gaps == []


async def test_the_last_leaves_during_the_reading() -> None:
    broker = LateBroker()
    async with late_room(broker) as (here, gaps):
        await opened(here, broker)
        publish(broker, *range(1, 21))
        broker.lose(19)
        broker.deliver()
        await turn()
        here.websockets[0].unsubscribe("news")
        await turn()
        assert broker.call(READ).future.cancelled()
        assert gaps == []


async def test_too_much_at_once_is_read_when_it_can_be_sent() -> None:
    """Even if nothing is published after it."""
    broker = LateBroker()
    block = "x" * 2**20
    async with late_room(broker, history=100, slow="drop-newest", max_bytes=1) as (here, gaps):
        await opened(here, broker)

        def given() -> int:
            stats = here.server.stats()
            return stats.messages_sent + stats.topics.dropped

        for _ in range(70):
            broker.publish_elsewhere(block)
        broker.deliver()
        assert 0 < here.server.stats().topics.refused <= 10
        await until(lambda: broker.calls)
        assert 60 <= given() < 70
        broker.answer(READ)
        await until(lambda: given() == 70)
        assert gaps == []


async def test_too_much_at_once_without_a_history_is_a_gap() -> None:
    broker = LateBroker(SUBSCRIBE)
    block = bytes(2**20)
    async with late_room(broker, history=0, slow="drop-newest", max_bytes=1) as (here, gaps):
        await here.websockets[0].subscribe("news")
        for _ in range(70):
            broker.receiver.publication_received(Publication("news", block, False))
        assert gaps == ["news"]
        assert 0 < here.server.stats().topics.refused <= 10
        await read_payloads(here.peers[0], 1)


async def test_a_join_that_comes_too_fast_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = LateBroker()
    async with late_room(broker, presence=True) as (here, gaps):
        await opened(here, broker)
        monkeypatch.setattr(intake, "MAX_PENDING", -1)
        join = Publication("news", b"Ann", True, kind=Kind.JOIN)
        broker.receiver.publication_received(join)
        assert gaps == ["news"]
        assert here.server.stats().topics.refused == 1
