from __future__ import annotations

import asyncio
from sys import getsizeof

import pytest

from wsproto_async.aio.flow import ReceiveQueue, Waiters

MAX_MESSAGES = 48


def test_a_queue_gives_what_was_put_in_that_order() -> None:
    queue = ReceiveQueue(1000)
    assert queue.count == 0
    for message in ("one", b"two", "", b""):
        queue.put(message)
    assert queue.count == 4
    assert queue.peek() == "one"
    assert queue.peek() == "one"
    assert [queue.get() for _ in range(4)] == ["one", b"two", "", b""]
    assert queue.count == 0


@pytest.mark.parametrize("message", [b"x" * 10, "x" * 10, "€" * 10])
def test_the_limit_counts_bytes_with_the_objects_overhead(message: str | bytes) -> None:
    size = getsizeof(message)
    exact = ReceiveQueue(3 * size)
    larger = ReceiveQueue(3 * size + 1)
    for _ in range(2):
        exact.put(message)
        larger.put(message)
        assert not exact.is_full()
    exact.put(message)
    larger.put(message)
    assert exact.is_full()
    assert not larger.is_full()
    exact.get()
    assert not exact.is_full()


def test_one_message_may_be_larger_than_the_limit() -> None:
    queue = ReceiveQueue(100)
    queue.put(bytes(1000))
    assert queue.is_full()
    queue.get()
    assert not queue.is_full()
    assert queue.is_low()


def test_however_small_the_messages_are_their_number_is_limited() -> None:
    queue = ReceiveQueue(2**30)
    for _ in range(MAX_MESSAGES):
        assert not queue.is_full()
        queue.put(b"")
    assert queue.is_full()


def test_low_is_a_quarter_of_the_messages() -> None:
    queue = ReceiveQueue(2**30)
    for _ in range(MAX_MESSAGES):
        queue.put(b"")
    while queue.count > MAX_MESSAGES // 4:
        assert not queue.is_low()
        queue.get()
    assert queue.is_low()


def test_low_is_a_quarter_of_the_bytes() -> None:
    message = bytes(100)
    queue = ReceiveQueue(8 * getsizeof(message))
    for _ in range(8):
        queue.put(message)
    while queue.count > 2:
        assert not queue.is_low()
        queue.get()
    assert queue.is_low()


class Line:
    """Tasks that wait, and the order in which they went on."""

    def __init__(self) -> None:
        self.waiters = Waiters()
        self.gone_on: list[int] = []

    async def _wait(self, number: int) -> None:
        await self.waiters.wait()
        self.gone_on.append(number)

    async def stand(self, count: int) -> list[asyncio.Task[None]]:
        tasks = [asyncio.create_task(self._wait(number)) for number in range(count)]
        await asyncio.sleep(0)
        return tasks


async def test_all_are_woken_in_the_order_they_came() -> None:
    line = Line()
    tasks = await line.stand(5)
    await asyncio.sleep(0)
    assert line.gone_on == []
    line.waiters.wake()
    await asyncio.gather(*tasks)
    assert line.gone_on == [0, 1, 2, 3, 4]


async def test_waking_nobody() -> None:
    waiters = Waiters()
    waiters.wake()
    task = asyncio.create_task(waiters.wait())
    await asyncio.sleep(0)
    assert not task.done()  # a wake before the wait counts for nothing
    waiters.wake()
    waiters.wake()
    await task


async def test_who_is_cancelled_leaves_the_line() -> None:
    line = Line()
    tasks = await line.stand(3)
    tasks[1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await tasks[1]
    line.waiters.wake()
    await asyncio.gather(tasks[0], tasks[2])
    assert line.gone_on == [0, 2]


async def test_cancelled_in_the_turn_of_the_wake() -> None:
    """Before it and after it; the others go on all the same."""
    line = Line()
    tasks = await line.stand(3)
    tasks[0].cancel()
    line.waiters.wake()
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError] * 2 + [type(None)]
    assert line.gone_on == [2]


async def test_waiting_again_while_the_others_go_on() -> None:
    line = Line()

    async def wait_twice() -> None:
        await line.waiters.wait()
        await line.waiters.wait()

    twice = asyncio.create_task(wait_twice())
    tasks = await line.stand(2)
    line.waiters.wake()
    await asyncio.gather(*tasks)
    assert not twice.done()
    line.waiters.wake()
    await twice
