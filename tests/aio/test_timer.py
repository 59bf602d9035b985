from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable

import pytest
import uvloop

from wsproto_async.aio.timer import SharedTimer
from wsproto_async.testing import virtual_clock

TICK = 0.05
SLACK = 0.15  # what a loaded machine may add


class Deadline:
    """Something timed; ``reached`` holds when its deadlines came, in seconds from its making."""

    def __init__(self, then: Callable[[], None] | None = None) -> None:
        self.tick = 0
        self.place = 0
        self.reached: list[float] = []
        self.event = asyncio.Event()
        self._then = then
        self._start = asyncio.get_running_loop().time()

    def deadline_reached(self) -> None:
        self.reached.append(asyncio.get_running_loop().time() - self._start)
        self.event.set()
        if self._then is not None:
            self._then()

    def assert_reached(self, *delays: float) -> None:
        assert len(self.reached) == len(delays)
        for reached, delay in zip(self.reached, delays, strict=True):
            assert delay - 0.002 <= reached <= delay + TICK + SLACK


async def all_of(*deadlines: Deadline) -> None:
    async with asyncio.timeout(10):
        await asyncio.gather(*(deadline.event.wait() for deadline in deadlines))


@pytest.mark.parametrize("delay", [0, 0.01, 0.12])
async def test_a_deadline_is_never_early_and_one_tick_late_at_most(delay: float) -> None:
    timer = SharedTimer()
    deadline = Deadline()
    timer.set(deadline, delay)
    assert deadline.tick > 0
    await all_of(deadline)
    deadline.assert_reached(delay)
    assert deadline.tick == 0


async def test_many_deadlines_in_any_order() -> None:
    timer = SharedTimer()
    delays = [0.2, 0.05, 0.15, 0.05, 0.1, 0]
    deadlines = [Deadline() for _ in delays]
    for deadline, delay in zip(deadlines, delays, strict=True):
        timer.set(deadline, delay)
    await all_of(*deadlines)
    for deadline, delay in zip(deadlines, delays, strict=True):
        deadline.assert_reached(delay)


@pytest.mark.parametrize(("first", "second"), [(0.05, 0.2), (5, 0.05)], ids=["later", "earlier"])
async def test_setting_again_replaces(first: float, second: float) -> None:
    timer = SharedTimer()
    deadline = Deadline()
    timer.set(deadline, first)
    timer.set(deadline, second)
    await all_of(deadline)
    deadline.assert_reached(second)


async def test_unset() -> None:
    timer = SharedTimer()
    removed, kept, alone = Deadline(), Deadline(), Deadline()
    timer.unset(removed)  # has none yet
    timer.set(removed, 0.05)
    timer.set(alone, 0)
    timer.set(kept, 0.1)
    timer.unset(removed)
    timer.unset(removed)
    timer.unset(alone)
    assert removed.tick == 0
    await all_of(kept)
    kept.assert_reached(0.1)
    assert removed.reached == alone.reached == []


async def test_a_timer_that_was_emptied_works_again() -> None:
    timer = SharedTimer()
    deadline = Deadline()
    timer.set(deadline, 5)
    timer.unset(deadline)
    timer.set(deadline, 0.05)
    await all_of(deadline)
    deadline.assert_reached(0.05)


async def test_a_deadline_sets_the_next_one() -> None:
    timer = SharedTimer()

    def again() -> None:
        if len(first.reached) < 3:
            first.event.clear()
            timer.set(first, 0.05)

    first = Deadline(again)
    timer.set(first, 0.05)
    await all_of(first)
    async with asyncio.timeout(10):
        while len(first.reached) < 3:
            first.event.clear()
            await first.event.wait()
    assert first.tick == 0


async def test_a_far_deadline_does_not_hide_a_near_one() -> None:
    """When one that is reached sets a far one, what is due before that still comes in time."""
    timer = SharedTimer()
    first = Deadline(lambda: timer.set(first, 60))
    near = Deadline()
    timer.set(first, 0.05)
    timer.set(near, 0.15)
    await all_of(near)
    near.assert_reached(0.15)
    timer.unset(first)


async def test_a_deadline_removes_one_of_the_same_tick() -> None:
    """Whichever of the two comes first, the other does not come."""
    timer = SharedTimer()
    one = Deadline(lambda: timer.unset(other))
    other = Deadline(lambda: timer.unset(one))
    end = Deadline()
    timer.set(one, 0.05)
    timer.set(other, 0.05)
    timer.set(end, 0.15)
    await all_of(end)
    assert len(one.reached) + len(other.reached) == 1


async def test_a_deadline_removes_one_of_a_later_tick_that_is_due_as_well() -> None:
    timer = SharedTimer()
    later = Deadline()
    first = Deadline(lambda: timer.unset(later))
    end = Deadline()
    timer.set(first, 0.01)
    timer.set(later, 0.07)
    timer.set(end, 0.2)
    # The loop stands still until both are due: they are called in one go.
    time.sleep(0.15)  # noqa: ASYNC251
    await all_of(end)
    first.assert_reached(0.15)
    assert later.reached == []


async def test_one_handle_serves_all() -> None:
    timer = SharedTimer()
    deadlines = [Deadline() for _ in range(1000)]
    handles = count_timers()
    for number, deadline in enumerate(deadlines):
        timer.set(deadline, 60 + number % 100)
    assert count_timers() - handles == 1
    for deadline in deadlines:
        timer.unset(deadline)
    assert count_timers() == handles


def count_timers() -> int:
    gc.collect()
    return sum(
        isinstance(thing, (asyncio.TimerHandle, uvloop.loop.TimerHandle)) and not thing.cancelled()
        for thing in gc.get_objects()
    )


async def test_an_error_at_one_deadline_does_not_stop_the_others() -> None:
    def fail() -> None:
        raise LookupError

    errors: list[Exception] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    timer = SharedTimer()
    failing, other = Deadline(fail), Deadline()
    timer.set(failing, 0.05)
    timer.set(other, 0.15)
    await all_of(failing, other)
    assert [type(error) for error in errors] == [LookupError]


@virtual_clock
async def test_the_loop_looks_at_its_sockets_before_a_deadline() -> None:
    """uvloop rounds half a millisecond down to nothing, and does that before it looks."""
    timer = SharedTimer()
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.0496)
    deadline = Deadline()
    timer.set(deadline, 0)
    await all_of(deadline)
    assert loop.time() >= 0.0496 + 0.001
