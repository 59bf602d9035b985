"""A picture of latencies."""

from __future__ import annotations

import importlib
from typing import Any, Final

from ..exits import UsageError
from .load import Load
from .report import summary

__all__ = ["prepare", "write_picture"]

_COLUMNS: Final = 50


def prepare(path: str) -> Any:
    """Return what ``write_picture`` needs, before anything is measured.

    Raises UsageError if it is not installed, or the file cannot be written.
    """
    try:
        figures = importlib.import_module("matplotlib.figure")
    except ImportError:
        raise UsageError("--png needs matplotlib: pip install matplotlib") from None
    try:
        open(path, "ab").close()
    except OSError as exc:
        raise UsageError(f"cannot write {path}: {exc.strerror}") from None
    return figures


def write_picture(figures: Any, load: Load, url: str, path: str) -> None:
    """Write a PNG of the histogram, and of how many messages took longer than what."""
    buckets = list(load.latencies.buckets())
    figure = figures.Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(f"{url}: {summary(load, load.elapsed)}", parse_math=False)
    left, right = figure.subplots(1, 2)

    first, last = buckets[0].low, buckets[-1].high
    steps = [1e3 * first * (last / first) ** (step / _COLUMNS) for step in range(_COLUMNS + 1)]
    left.hist(
        [(bucket.low + bucket.high) * 500 for bucket in buckets],
        steps,
        weights=[bucket.size for bucket in buckets],
    )
    left.set(xscale="log", xlabel="latency, ms", ylabel="messages")

    longer = load.latencies.count
    times, percents = [first * 1e3], [100.0]
    for bucket in buckets[:-1]:
        longer -= bucket.size
        times.append(bucket.high * 1e3)
        percents.append(100 * longer / load.latencies.count)
    right.step(times, percents, where="post")
    right.set(
        xscale="log", yscale="log", xlabel="latency, ms", ylabel="messages that took longer, %"
    )
    for axis in (left.xaxis, right.xaxis, right.yaxis):
        axis.set_major_formatter("{x:g}")
    figure.savefig(path, format="png", dpi=150)
