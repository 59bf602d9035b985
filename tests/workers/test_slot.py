"""Pauses between workers, and what their ends are called."""

from __future__ import annotations

import pytest

from wsproto_async.workers.slot import Slot, describe


def slot_of_nobody() -> Slot:
    return Slot("worker 1", lambda socks, channel: None, [])


def test_pauses_double_up_to_half_a_minute() -> None:
    slot = slot_of_nobody()
    assert [slot.delay_after(0) for _ in range(9)] == [0, 1, 2, 4, 8, 16, 30, 30, 30]
    assert [slot.delay_after(59.9) for _ in range(2000)][-1] == 30


def test_a_worker_that_lived_for_a_minute_makes_it_the_first_time_again() -> None:
    slot = slot_of_nobody()
    for _ in range(5):
        slot.delay_after(0)
    assert [slot.delay_after(60), slot.delay_after(0), slot.delay_after(0)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (0, "exit status 0"),
        (3 << 8, "exit status 3"),
        (9, "SIGKILL"),
        (11, "SIGSEGV"),
        (50, "signal 50"),
    ],
)
def test_how_a_process_ended(status: int, text: str) -> None:
    assert describe(status) == text
