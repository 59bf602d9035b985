"""How much memory something takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import NamedTuple


class Traced(NamedTuple):
    """In bytes."""

    kept: int
    """As long as what was returned is."""
    peak: int


def traced(run: Callable[[], object]) -> Traced:
    """Return the least of three runs: what another thread allocates meanwhile counts as well."""
    found = [_traced(run) for _ in range(3)]
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
