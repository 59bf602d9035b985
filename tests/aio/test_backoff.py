from __future__ import annotations

import pytest

from wsproto_async.aio.backoff import Backoff


def test_the_ceiling_doubles_up_to_a_minute() -> None:
    backoff = Backoff(draw=lambda: 1.0)
    delays = [backoff.after_failure() for _ in range(2000)]
    assert delays[:8] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert set(delays[8:]) == {60}


@pytest.mark.parametrize(("draw", "delay"), [(0.0, 0), (0.25, 1), (1.0, 4)])
def test_any_time_below_the_ceiling(draw: float, delay: float) -> None:
    backoff = Backoff(draw=lambda: draw)
    backoff.after_failure()
    backoff.after_failure()
    assert backoff.after_failure() == delay


def test_clients_do_not_come_back_together() -> None:
    delays = {Backoff().after_failure() for _ in range(100)}
    assert len(delays) > 90
    assert 0 <= min(delays) < 0.2 < 0.8 < max(delays) <= 1


def test_not_before_the_time_that_was_asked_for() -> None:
    assert Backoff(draw=lambda: 0.0).after_failure(at_least=120) == 120
    assert Backoff(draw=lambda: 1.0).after_failure(at_least=120) == 121


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011])
def test_a_connection_that_does_not_last_is_a_failure(code: int) -> None:
    backoff = Backoff(draw=lambda: 1.0)
    assert [backoff.after_close(code, 29.9) for _ in range(4)] == [1, 2, 4, 8]
    assert backoff.after_close(code, 30.0) == 1
    assert backoff.after_close(code, 0.0) == 2


@pytest.mark.parametrize(("code", "low", "high"), [(1012, 5, 30), (1013, 10, 60)])
def test_close_codes_that_ask_for_time(code: int, low: float, high: float) -> None:
    assert Backoff(draw=lambda: 0.0).after_close(code, 1000) == low
    assert Backoff(draw=lambda: 1.0).after_close(code, 1000) == high
