from __future__ import annotations

import asyncio
import gc

import pytest

from wsproto_async.aio.pings import Pings


def waiter() -> asyncio.Future[float]:
    return asyncio.get_running_loop().create_future()


async def test_a_pong_gives_the_latency_to_whom_it_concerns() -> None:
    pings = Pings()
    mine = waiter()
    pings.sent(b"a", 10.0, mine)
    assert b"a" in pings
    assert pings.answered(b"a", 10.5) == 0.5
    assert mine.result() == 0.5
    assert b"a" not in pings


async def test_a_pong_nobody_asked_for() -> None:
    pings = Pings()
    mine = waiter()
    assert b"a" not in pings
    assert pings.answered(b"a", 1.0) is None
    pings.sent(b"a", 1.0, mine)
    assert pings.answered(b"b", 2.0) is None
    assert not mine.done()
    assert pings.answered(b"a", 3.0) == 2.0
    assert pings.answered(b"a", 4.0) is None


async def test_a_pong_answers_the_earlier_pings_too() -> None:
    pings = Pings()
    waiters = [waiter() for _ in range(4)]
    for number, each in enumerate(waiters):
        pings.sent(bytes([number]), float(number), each)
    assert pings.answered(b"\x02", 10.0) == 8.0
    assert [each.done() for each in waiters] == [True, True, True, False]
    assert [each.result() for each in waiters[:3]] == [10.0, 9.0, 8.0]
    assert pings.answered(b"\x00", 11.0) is None
    assert pings.answered(b"\x03", 11.0) == 8.0


async def test_a_ping_without_a_waiter_and_one_whose_waiter_has_gone() -> None:
    pings = Pings()
    gone = waiter()
    pings.sent(b"a", 1.0, None)
    pings.sent(b"b", 1.0, gone)
    pings.sent(b"c", 1.0, None)
    gone.cancel()
    assert pings.answered(b"c", 2.0) == 1.0
    pings.sent(b"a", 1.0, None)
    pings.sent(b"b", 1.0, gone)
    pings.fail(OSError())
    assert b"a" not in pings


async def test_failing_tells_all_and_needs_no_audience() -> None:
    pings = Pings()
    pings.fail(OSError("nobody waits"))
    mine, ignored = waiter(), waiter()
    pings.sent(b"a", 1.0, mine)
    pings.sent(b"b", 1.0, ignored)
    pings.fail(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        await mine
    assert pings.answered(b"b", 2.0) is None
    del ignored
    gc.collect()  # an exception that nobody retrieves would be logged here


def test_a_ping_that_is_forgotten() -> None:
    pings = Pings()
    pings.forget(b"never sent")
    pings.sent(b"old", 1.0, None)
    pings.forget(b"old")
    pings.forget(b"old")
    assert b"old" not in pings
    assert pings.answered(b"old", 2.0) is None


def test_a_new_payload_differs_from_those_on_their_way() -> None:
    pings = Pings()
    payload = pings.new_payload()
    assert len(payload) == 4
    seen = {payload}
    for _ in range(1000):
        pings.sent(payload, 0.0, None)
        payload = pings.new_payload()
        assert payload not in seen
        seen.add(payload)


def test_a_new_payload_is_drawn_again_if_it_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([b"1111", b"1111", b"2222"])
    monkeypatch.setattr("os.urandom", lambda size: next(drawn))
    pings = Pings()
    pings.sent(pings.new_payload(), 0.0, None)
    assert pings.new_payload() == b"2222"
