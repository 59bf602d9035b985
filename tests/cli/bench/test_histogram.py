"""Times, counted in little memory."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.cli.bench.histogram import Histogram


def histogram(*times: float) -> Histogram:
    histogram = Histogram()
    for time in times:
        histogram.add(time)
    return histogram


def test_of_nothing() -> None:
    nothing = histogram()
    assert (nothing.count, nothing.mean, nothing.percentile(99)) == (0, 0, 0)
    assert list(nothing.buckets()) == []


def test_what_is_exact() -> None:
    found = histogram(0.003, 0.001, 0.002)
    assert (found.count, found.least, found.most) == (3, 0.001, 0.003)
    assert found.mean == pytest.approx(0.002)


@given(st.floats(0, 4000))
def test_each_time_is_in_its_bucket(time: float) -> None:
    (bucket,) = histogram(time).buckets()
    assert bucket.size == 1
    assert bucket.low <= time + 1e-9 and time - 1e-9 <= bucket.high
    assert bucket.high - bucket.low <= max(1.01e-9, bucket.low / 63.9)


@pytest.mark.parametrize("exponent", range(1, 42))
def test_buckets_meet(exponent: int) -> None:
    edge = 2**exponent
    times = [(edge + offset + 0.5) / 1e9 for offset in (-1, 0)]
    first, second = histogram(*times).buckets()
    assert first.high == second.low == edge / 1e9


def test_a_time_beyond_all() -> None:
    (bucket,) = histogram(1e6).buckets()
    assert bucket.high == 2**42 / 1e9
    assert histogram(1e6).percentile(50) == 1e6 or math.isclose(bucket.high, 4398.046511104)


@given(st.lists(st.floats(1e-6, 1), min_size=1, max_size=50), st.floats(0, 100))
def test_percentiles(times: list[float], percent: float) -> None:
    """The time that is found is one that so many do not exceed, and no more than 1.6 % over it."""
    found = histogram(*times).percentile(percent)
    exact = sorted(times)[max(math.ceil(len(times) * percent / 100), 1) - 1]
    assert exact - 1e-9 <= found <= exact * 1.016 + 2e-9
