"""Times of any length, counted in little memory.

Buckets are as wide as their times are long: 64 for each power of two nanoseconds, so that no time
is off by more than 1.6 %, from nanoseconds to an hour in 2,432 numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = ["Bucket", "Histogram"]

_BITS: Final = 7  # of a time that are kept
_LONGEST: Final = 2**42 - 1  # nanoseconds
_BUCKETS: Final = (42 - _BITS << _BITS - 1) + 2**_BITS


class Bucket(NamedTuple):
    """``size`` times of at least ``low`` and under ``high`` seconds."""

    low: float
    high: float
    size: int


class Histogram:
    """Times in seconds; ``least``, ``most`` and ``total`` are exact."""

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.count = 0
        self.total = 0.0
        self.least = 0.0
        self.most = 0.0

    def add(self, seconds: float) -> None:
        """Count a time; one over 73 minutes is in the last bucket."""
        time = int(seconds * 1e9)
        shift = time.bit_length() - _BITS
        if shift <= 0:
            self._counts[time] += 1
        elif time > _LONGEST:
            self._counts[-1] += 1
        else:
            self._counts[(shift << _BITS - 1) + (time >> shift)] += 1
        if not self.count or seconds < self.least:
            self.least = seconds
        if seconds > self.most:
            self.most = seconds
        self.count += 1
        self.total += seconds

    @property
    def mean(self) -> float:
        """The average, 0 of none."""
        return self.total / self.count if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """Return the time that so many percent do not exceed, 0 of none."""
        wanted = self.count * percent / 100
        found = 0
        for bucket in self.buckets():
            found += bucket.size
            if found >= wanted:
                return min(max(bucket.high, self.least), self.most)
        return self.most

    def buckets(self) -> Iterator[Bucket]:
        """Give those that hold anything, the shortest times first."""
        for index, count in enumerate(self._counts):
            if count:
                yield Bucket(_low(index) / 1e9, _low(index + 1) / 1e9, count)


def _low(index: int) -> int:
    shift = max((index >> _BITS - 1) - 1, 0)
    return index - (shift << _BITS - 1) << shift
