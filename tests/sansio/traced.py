"""How much memory something takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Final, NamedTuple

RUNS: Final = 3


class Traced(NamedTuple):
    """In bytes."""

    kept: int
    """As long as what was returned is."""
    peak: int


def traced(run: Callable[[], object]) -> Traced:
    """Return what it takes more than a call of nothing, which takes some if coverage is looked for.

    The least of ``RUNS`` runs: what another thread allocates meanwhile counts as well.
    """
    some, nothing = _least(run), _least(lambda: None)
    return Traced(some.kept - nothing.kept, some.peak - nothing.peak)


def _least(run: Callable[[], object]) -> Traced:
    found = [_traced(run) for _ in range(RUNS)]
    return Traced(min(each.kept for each in found), min(each.peak for each in found))


def _traced(run: Callable[[], object]) -> Traced:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        returned = run()  # noqa: F841 - it is held until all is counted
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return Traced(kept - before, peak - before)
