"""Load on an echo server: what is asked for, and what has come of it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field

from .histogram import Histogram

__all__ = ["Load", "Plan"]


@dataclass(frozen=True)
class Plan:
    """What is asked for: ``rate`` in messages a second, None for a closed loop."""

    connections: int
    size: int
    text: bool
    in_flight: int
    rate: float | None
    duration: float

    def payload(self) -> bytes | str:
        """Return a message's content, which compression does not shrink by much."""
        if not self.text:
            return os.urandom(self.size)
        return os.urandom(self.size // 2 + 1).hex()[: self.size]


@dataclass
class Load:
    """What has come of it: in ``elapsed`` seconds ``returned`` messages came back.

    ``late`` ones came after that, when nothing was sent any more, and ``unanswered`` ones not at
    all: the oldest was waited for so many seconds. Each of the three has its time in
    ``latencies``, the last as far as it is known: until it was given up. ``opened`` is how many
    connections there were, ``errors`` what went wrong, and how often, and ``unsent`` how many
    messages were due and could not be sent, since as many as may be were on their way.
    """

    plan: Plan
    latencies: Histogram = field(default_factory=Histogram)
    errors: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    elapsed: float = 0.0
    returned: int = 0
    late: int = 0
    unanswered: int = 0
    oldest: float = 0.0
    unsent: int = 0
    is_over: bool = False

    def take(self, seconds: float) -> None:
        """Count a message that has come back."""
        self.latencies.add(seconds)
        if self.is_over:
            self.late += 1
        else:
            self.returned += 1

    def give_up(self, seconds: float) -> None:
        """Count a message that has been waited for in vain."""
        self.latencies.add(seconds)
        self.unanswered += 1
        self.oldest = max(self.oldest, seconds)
