"""What a load has shown, as text for people and as an object for programs."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Final

from ..text import duration, quantity
from .client import TICK
from .histogram import Bucket, Histogram
from .load import Load

__all__ = ["PERCENTILES", "as_object", "as_text", "summary"]

PERCENTILES: Final = (50, 90, 99, 99.9, 99.99)

_STEPS: Final = [step * 10**exponent / 1e9 for exponent in range(13) for step in (1, 2, 5)]
_BAR: Final = 40  # characters
_SIZES: Final = (("GB", 1e9), ("MB", 1e6), ("kB", 1e3))


def summary(load: Load, elapsed: float) -> str:
    """Return one line about what there is so far."""
    latencies = load.latencies
    rate = load.returned / elapsed if elapsed else 0.0
    within = f"99 % within {duration(latencies.percentile(99))}, " if latencies.count else ""
    return f"{rate:,.0f} messages/s, {within}{quantity(load.errors.total(), 'error')}"


def as_text(load: Load, url: str) -> list[str]:
    """Return the report's lines."""
    plan, latencies = load.plan, load.latencies
    kind = "text" if plan.text else "binary"
    pace = "" if plan.rate is None else f", {plan.rate:,g} messages/s wanted"
    lines = [
        f"{url}: {quantity(load.opened, 'connection')}, {quantity(plan.size, 'byte')} of {kind}, "
        f"up to {plan.in_flight:,} in flight{pace}, {load.elapsed:.1f} s",
        "",
        f"messages/s   {_per_second(load):,.0f}",
        f"bytes/s      {_size(_per_second(load) * plan.size)} each way",
        f"errors       {load.errors.total():,}",
        *(f"  {count:,} x {error}" for error, count in load.errors.most_common()),
    ]
    if load.unanswered:
        oldest = duration(load.oldest)
        lines.append(f"unanswered   {load.unanswered:,}, the oldest for {oldest}")
    # Some may have been due just now.
    if load.unsent > max(load.opened, 2 * TICK * (plan.rate or 0)):
        lines.append(f"not sent     {load.unsent:,}: the server, or this process, is too slow")
    if not latencies.count:
        return lines
    lines += ["", "latency", f"  least      {duration(latencies.least)}"]
    lines += [
        f"  {f'{each:g} %':9}  {duration(latencies.percentile(each))}" for each in PERCENTILES
    ]
    lines += [f"  most       {duration(latencies.most)}", "", *_bars(latencies)]
    return lines


def as_object(load: Load, url: str, *, is_interrupted: bool) -> dict[str, Any]:
    """Return the report as JSON has it; times are in seconds."""
    plan, latencies = load.plan, load.latencies
    return {
        "url": url,
        "connections": load.opened,
        "size": plan.size,
        "text": plan.text,
        "in_flight": plan.in_flight,
        "rate": plan.rate,
        "duration": load.elapsed,
        "interrupted": is_interrupted,
        "messages": load.returned,
        "messages_per_second": _per_second(load),
        "bytes_per_second": _per_second(load) * plan.size,
        "errors": dict(load.errors),
        "late": load.late,
        "unanswered": load.unanswered,
        "oldest_unanswered": load.oldest,
        "unsent": load.unsent,
        "latency": {
            "least": latencies.least,
            "mean": latencies.mean,
            "most": latencies.most,
            "percentiles": {f"{each:g}": latencies.percentile(each) for each in PERCENTILES},
            "histogram": [tuple(bucket) for bucket in latencies.buckets()],
        },
    }


def _per_second(load: Load) -> float:
    return load.returned / load.elapsed if load.elapsed else 0.0


def _size(count: float) -> str:
    for unit, size in _SIZES:
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f} B"


def _bars(latencies: Histogram) -> list[str]:
    """Draw the histogram, with a row for each of 1, 2, 5, 10, 20, 50 and so on."""
    counts: dict[int, int] = {}
    for bucket in latencies.buckets():
        row = _row(bucket)
        counts[row] = counts.get(row, 0) + bucket.size
    rows = range(min(counts), max(counts) + 1)
    longest = max(counts.values())
    lines = []
    for row in rows:
        count = counts.get(row, 0)
        bar = "#" * round(_BAR * count / longest)
        share = f"{100 * count / latencies.count:.3g} %"
        lines.append(f"  under {duration(_STEPS[row]):>7}  {share:>8}  {bar}".rstrip())
    return lines


def _row(bucket: Bucket) -> int:
    return min(bisect_right(_STEPS, bucket.low), len(_STEPS) - 1)
