"""What waits until it is known which server has its slot, and in which order it leaves."""

from __future__ import annotations

import asyncio

import pytest

from wsproto_async.exceptions import BrokerError
from wsproto_async.pubsub.redis.call import Call
from wsproto_async.pubsub.redis.command import Ask
from wsproto_async.pubsub.redis.held import Held


def ask(key: str) -> Ask[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    return Ask(Call("GET", key), lambda reply: None, future)


async def test_what_a_server_has_refused_leaves_before_what_came_since() -> None:
    held = Held()
    first, second, third, fourth = (ask("a") for _ in range(4))
    assert not held.put(third)
    held.put_back(first, now=0)
    assert held.put(third)
    held.put_back(second, now=0)
    assert held.put(fourth)
    assert held.take() == [first, second, third, fourth]
    assert not held
    assert not held.put(third)


async def test_slots_wait_by_themselves() -> None:
    held = Held()
    here, elsewhere = ask("a"), ask("b")
    held.begin(here.call.slot)
    assert not held.put(elsewhere)
    assert held.put(here)
    assert held.take() == [here]


async def test_nothing_is_refused_for_ever() -> None:
    held = Held()
    command = ask("a")
    command.written_at = 99.0
    for now in (100, 105, 110):
        held.put_back(command, now)
        assert held.take() == [command]
        assert command.written_at is None
    held.put_back(command, 110.1)
    assert held.take() == []
    with pytest.raises(BrokerError, match="no server of the cluster"):
        await command.future
