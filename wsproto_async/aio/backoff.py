"""How long to wait before connecting again, so that nobody's clients come back all at once.

Full jitter: any time up to a ceiling that doubles with each attempt, and is low again only after
a connection that lasted. Who names a time itself is not asked before that.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

__all__ = ["Backoff"]

_FIRST_CEILING: Final = 1.0  # seconds
_LAST_CEILING: Final = 60.0
_STABLE: Final = 30.0
# Close codes with which a server asks for time: service restart, try again later.
_ASKED_FOR: Final = {1012: (5.0, 30.0), 1013: (10.0, 60.0)}


class Backoff:
    """The delays between attempts to connect; ``draw`` gives a random number from 0 to 1."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._attempts = 0

    def after_failure(self, at_least: float = 0.0) -> float:
        """Return the seconds to wait after an attempt that failed."""
        ceiling = min(_FIRST_CEILING * 2.0 ** min(self._attempts, 10), _LAST_CEILING)
        self._attempts += 1
        return at_least + self._draw() * ceiling

    def after_close(self, code: int, lasted: float) -> float:
        """Return the seconds to wait after a connection that was open for ``lasted`` seconds.

        ``code`` is the close code that it ended with.
        """
        if lasted >= _STABLE:
            self._attempts = 0
        low, high = _ASKED_FOR.get(code, (0.0, 0.0))
        return max(self.after_failure(), low + self._draw() * (high - low))
