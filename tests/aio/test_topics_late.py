"""Topics whose broker is elsewhere: it answers late, loses its connection, and fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from late_broker import MEMBERS, PUBLISH, READ, SUBSCRIBE, LateBroker
from late_room import late_room, opened, publish, received, start, texts, turn
from raw_peer import until

from wsproto_async import (
    BrokerError,
    ConnectionClosed,
    InvalidState,
    Position,
    State,
)

# Without a history


async def test_without_a_history_it_is_done_when_the_broker_has_subscribed() -> None:
    broker = LateBroker()
    async with late_room(broker, 2, history=0) as (here, _):
        subscribing = [start(ws.subscribe("news")) for ws in here.websockets]
        await turn()
        assert not any(each.done() for each in subscribing)
        assert broker.asked == [(SUBSCRIBE, "news")]
        broker.answer(SUBSCRIBE)
        assert await asyncio.gather(*subscribing) == [("news", None, None)] * 2
        publish(broker, 1)
        broker.deliver()
        for peer in here.peers:
            assert await received(peer, 1) == ["1"]


async def test_what_comes_before_it_is_done_is_sent_already() -> None:
    broker = LateBroker()
    async with late_room(broker, history=0) as (here, _):
        here.websockets[0].subscribe("news")
        publish(broker, 1)
        broker.deliver()
        assert await received(here.peers[0], 1) == ["1"]


async def test_the_last_to_leave_and_the_first_to_come_tell_the_broker() -> None:
    broker = LateBroker(SUBSCRIBE)
    async with late_room(broker, 2, history=0) as (here, _):
        one, other = here.websockets
        for ws in (one, other):
            await ws.subscribe("news")
        one.unsubscribe("news")
        other.unsubscribe("news")
        await one.subscribe("news")
        here.peers[0].reset()
        await until(lambda: len(broker.asked) == 4)
        assert broker.asked == [(SUBSCRIBE, "news"), ("unsubscribe", "news")] * 2
        publish(broker, 1)
        broker.deliver()  # what was on its way is nobody's


# The beginning, with a history


async def test_it_begins_where_the_history_stands_when_it_is_done() -> None:
    broker = LateBroker()
    async with late_room(broker) as (here, gaps):
        publish(broker, 1, 2)
        subscribing = start(here.websockets[0].subscribe("news"))
        await turn()
        broker.lose(1)
        broker.deliver()  # 2: it may have been on its way
        broker.answer(SUBSCRIBE)
        await turn()
        publish(broker, 3)
        broker.answer(READ)
        publish(broker, 4)
        broker.deliver()
        assert await subscribing == ("news", Position("e0", 1), None)
        assert await received(here.peers[0], 3) == texts(2, 3, 4)
        assert gaps == []


async def test_nobody_reads_for_who_has_left_meanwhile() -> None:
    broker = LateBroker(SUBSCRIBE)
    async with late_room(broker) as (here, gaps):
        here.websockets[0].subscribe("news")
        publish(broker, *range(1, 21))
        broker.deliver(5)
        broker.lose(14)
        broker.deliver()
        here.websockets[0].unsubscribe("news")
        broker.asked.clear()
        broker.answer(READ)
        await turn()
        assert broker.asked == []
        assert gaps == []


@pytest.mark.parametrize("step", [SUBSCRIBE, READ])
async def test_a_broker_that_fails_leaves_no_subscription(step: str) -> None:
    broker = LateBroker()
    async with late_room(broker, 2) as (here, _):
        subscribing = [start(ws.subscribe("news")) for ws in here.websockets]
        here.websockets[1].unsubscribe("news")
        alone = here.websockets[1].subscribe("news", since=Position("e0", 0))  # not awaited
        if step == READ:
            broker.answer(SUBSCRIBE)
            await turn()
        broker.fail(step)
        found = await asyncio.gather(*subscribing, alone, return_exceptions=True)
        assert all(isinstance(each, (BrokerError, InvalidState)) for each in found)
        await turn()
        assert len(here.server.topics) == 0
        assert [ws.topics for ws in here.websockets] == [frozenset()] * 2
        await opened(here, broker)
        publish(broker, 1)
        broker.deliver()
        assert await received(here.peers[1], 1) == ["1"]


@pytest.mark.parametrize("step", [SUBSCRIBE, READ])
async def test_a_broker_that_fails_at_once(step: str) -> None:
    class Failing(LateBroker):
        def _call(self, name: str, topic: str, answer: Any) -> asyncio.Future[Any]:
            future = super()._call(name, topic, answer)
            if name == step:
                self.fail(name)
            return future

    async with late_room(Failing(*{SUBSCRIBE, READ} - {step}), 2) as (here, _):
        for since in (None, Position("e0", 0)):
            with pytest.raises(BrokerError):
                await here.websockets[0].subscribe("news", since=since)
            assert here.websockets[0].topics == frozenset()
            assert len(here.server.topics) == 0
        here.websockets[0].subscribe("news")
        subscribing = here.websockets[1].subscribe("news")  # while the other is being undone
        with pytest.raises(BrokerError):
            await subscribing
        assert len(here.server.topics) == 0


@pytest.mark.parametrize("since", [None, Position("e0", 0)])
@pytest.mark.parametrize("turns", [0, 3])
async def test_cancelling_leaves_no_subscription(since: Position | None, turns: int) -> None:
    broker = LateBroker()
    async with late_room(broker, 2) as (here, _):
        ws, other = here.websockets
        subscribing = start(ws.subscribe("news", since=since))
        others = start(other.subscribe("news"))
        for _ in range(turns):
            await asyncio.sleep(0)
        subscribing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await subscribing
        assert ws.topics == frozenset()
        broker.answer(SUBSCRIBE)
        await turn()
        broker.answer(READ)
        await others
        publish(broker, 1)
        broker.deliver()
        assert await received(here.peers[1], 1) == ["1"]
        assert dict(here.server.topics) == {"news": {other}}
        assert here.server.stats().topics.subscriptions == 1


async def test_cancelling_while_what_was_missed_is_read() -> None:
    broker = LateBroker()
    async with late_room(broker, 2) as (here, _):
        await opened(here, broker)
        ws = here.websockets[1]
        ws.unsubscribe("news")
        subscribing = start(ws.subscribe("news", since=Position("e0", 0)))
        await turn()
        subscribing.cancel()
        await asyncio.wait([subscribing])
        assert ws.topics == frozenset()
        assert here.server.stats().topics.subscriptions == 1


async def test_an_earlier_call_that_is_cancelled_does_not_end_a_later_subscription() -> None:
    broker = LateBroker()
    async with late_room(broker) as (here, _):
        ws = here.websockets[0]
        first = start(ws.subscribe("news"))
        await turn()
        ws.unsubscribe("news")
        second = start(ws.subscribe("news"))
        first.cancel()
        await turn()
        broker.answer(SUBSCRIBE)
        broker.answer(SUBSCRIBE)
        await turn()
        broker.answer(READ)
        if any(call.name == READ for call in broker.calls):
            broker.answer(READ)
        await second
        assert ws.topics == {"news"}
        publish(broker, 1)
        broker.deliver()
        assert await received(here.peers[0], 1) == ["1"]


@pytest.mark.parametrize("since", [None, Position("e0", 0)])
@pytest.mark.parametrize("end", ["reset", "abort", "unsubscribe"])
async def test_the_end_comes_while_it_subscribes(end: str, since: Position | None) -> None:
    broker = LateBroker()
    async with late_room(broker, 2) as (here, _):
        ws = here.websockets[0]
        subscribing = start(ws.subscribe("news", since=since))
        await turn()
        if end == "reset":
            here.peers[0].reset()
        elif end == "abort":
            ws.abort()
        else:
            ws.unsubscribe("news")
        if end != "unsubscribe":
            await ws.wait_closed()
        broker.answer(SUBSCRIBE)
        await turn()
        while any(call.name == READ for call in broker.calls):
            broker.answer(READ)
            await turn()
        with pytest.raises(InvalidState if end == "unsubscribe" else ConnectionClosed):
            await subscribing
        assert len(here.server.topics) == 0
        assert here.server.stats().topics[:2] == (0, 0)


# Who has missed something


async def test_one_read_is_enough() -> None:
    broker = LateBroker(SUBSCRIBE)
    async with late_room(broker, 2) as (here, _):
        publish(broker, 1, 2, 3)
        broker.lose(3)
        first = start(here.websockets[0].subscribe("news"))
        broker.answer(READ)
        await first
        broker.asked.clear()
        second = start(here.websockets[1].subscribe("news", since=Position("e0", 1)))
        await turn()
        broker.answer(READ)
        assert await second == ("news", Position("e0", 3), True)
        assert broker.asked == [(READ, "news")]
        assert await received(here.peers[1], 2) == texts(2, 3)


@pytest.mark.parametrize("behind", [0, 2])
async def test_what_was_read_is_behind_what_the_others_have_got(behind: int) -> None:
    broker = LateBroker()
    async with late_room(broker, 2) as (here, _):
        await opened(here, broker)
        here.websockets[1].unsubscribe("news")
        publish(broker, 1, 2, 3)
        broker.deliver()
        joining = start(here.websockets[1].subscribe("news", since=Position("e0", 1)))
        await turn()
        call = broker.call(READ)
        answer = call.answer()
        publish(broker, *range(4, 4 + behind))
        broker.deliver()
        call.future.set_result(answer)
        assert await joining == ("news", Position("e0", 3 + behind), True)
        publish(broker, 4 + behind)
        broker.deliver()
        assert await received(here.peers[1], 3 + behind) == texts(*range(2, 5 + behind))
        assert await received(here.peers[0], 4 + behind) == texts(*range(1, 5 + behind))


async def test_what_was_read_is_ahead_of_what_the_others_have_got() -> None:
    broker = LateBroker()
    async with late_room(broker, 2) as (here, _):
        await opened(here, broker)
        here.websockets[1].unsubscribe("news")
        publish(broker, 1, 2, 3)
        joining = start(here.websockets[1].subscribe("news", since=Position("e0", 1)))
        await turn()
        broker.answer(READ)
        assert await joining == ("news", Position("e0", 3), True)
        publish(broker, 4)
        broker.deliver()
        assert await received(here.peers[1], 3) == texts(2, 3, 4)
        assert await received(here.peers[0], 4) == texts(1, 2, 3, 4)


@pytest.mark.parametrize("came_meanwhile", [0, 2])
async def test_who_cannot_have_it_all_is_told_where_it_begins(came_meanwhile: int) -> None:
    """Everything behind that position is sent."""
    broker = LateBroker()
    async with late_room(broker, 2) as (here, _):
        await opened(here, broker)
        here.websockets[1].unsubscribe("news")
        publish(broker, *range(1, 13))
        broker.deliver()
        joining = start(here.websockets[1].subscribe("news", since=Position("e0", 1)))
        await turn()
        call = broker.call(READ)
        answer = call.answer()
        publish(broker, *range(13, 13 + came_meanwhile))
        broker.deliver()
        call.future.set_result(answer)
        assert await joining == ("news", Position("e0", 12 + came_meanwhile), False)
        publish(broker, 20)
        broker.deliver()
        assert await received(here.peers[1], 1) == ["20"]


async def test_who_joins_while_the_others_catch_up() -> None:
    broker = LateBroker()
    async with late_room(broker, 2) as (here, gaps):
        await opened(here, broker)
        here.websockets[1].unsubscribe("news")
        publish(broker, 1, 2, 3, 4)
        broker.lose(2)
        broker.deliver()
        await turn()
        late = broker.call(READ)
        joining = start(here.websockets[1].subscribe("news", since=Position("e0", 2)))
        await turn()
        broker.answer(READ)  # the one that joins
        assert await joining == ("news", Position("e0", 4), True)
        late.future.set_result(late.answer())
        publish(broker, 5)
        broker.deliver()
        assert await received(here.peers[0], 5) == texts(1, 2, 3, 4, 5)
        assert await received(here.peers[1], 3) == texts(3, 4, 5)
        assert gaps == []


# Publishing


async def test_publishing_tells_the_position_when_the_broker_has_it() -> None:
    broker = LateBroker()
    async with late_room(broker) as (here, _):
        publishing = asyncio.ensure_future(here.server.publish("news", "text"))
        await turn()
        assert not publishing.done()
        broker.answer(PUBLISH)
        assert await publishing == Position("e0", 1)


async def test_a_broker_that_may_not_have_published() -> None:
    broker = LateBroker()
    async with late_room(broker) as (here, _):
        here.server.publish("news", "left alone")
        publishing = asyncio.ensure_future(here.server.publish("news", "text"))
        await turn()
        broker.fail(PUBLISH)
        broker.fail(PUBLISH)
        with pytest.raises(BrokerError):
            await publishing


async def test_cancelling_does_not_take_it_back() -> None:
    broker = LateBroker()
    async with late_room(broker) as (here, _):
        await opened(here, broker)
        publishing = asyncio.ensure_future(here.server.publish("news", "text"))
        await turn()
        publishing.cancel()
        await asyncio.wait([publishing])
        broker.deliver()
        assert await received(here.peers[0], 1) == ["text"]


async def test_members_are_the_brokers() -> None:
    broker = LateBroker()
    async with late_room(broker, presence=True) as (here, _):
        asking = asyncio.ensure_future(here.server.members("news"))
        await turn()
        broker.answer(MEMBERS)
        assert await asking == {}
        here.websockets[0].subscribe("news", member="name")
        here.websockets[0].unsubscribe("news")
        assert [name for name, _ in broker.asked[-4:]] == [
            "subscribe",
            "enter",
            "leave",
            "unsubscribe",
        ]
        await turn()


async def test_what_the_broker_refuses_is_counted() -> None:
    broker = LateBroker()
    async with late_room(broker) as (here, _):
        broker.receiver.publication_refused("version 7\nERROR")
        assert here.server.stats().topics.refused == 1


async def test_the_server_ends_while_subscriptions_are_under_way() -> None:
    broker = LateBroker()
    async with late_room(broker, 2) as (here, _):
        subscribing = [start(ws.subscribe("news")) for ws in here.websockets]
        await turn()
        here.server.close(grace=0)
        await here.server.wait_closed()
        found = await asyncio.gather(*subscribing, return_exceptions=True)
        assert all(isinstance(each, BaseException) for each in found)
        assert [ws.state for ws in here.websockets] == [State.CLOSED] * 2
