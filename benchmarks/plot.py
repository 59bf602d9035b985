"""Draw the pictures in the documentation from results.json. Run: make plots"""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from scenarios import OURS, SCENARIOS

HERE = Path(__file__).parent
IMAGES = HERE.parent / "docs" / "images"
UNITS = {
    "cpu_us": "server CPU, µs per message (less is better)",
    "per_second": "per second (more is better)",
    "memory_per_connection": "bytes of server memory per connection (less is better)",
}


def draw(name: str, rounds: dict[str, list[dict[str, float]]]) -> None:
    """Draw a scenario as bars: medians and p99 latencies, and a line from the least to the most."""
    scenario = SCENARIOS[name]
    values = {
        server: sorted(found[scenario.figure] for found in rounds[server])
        for server in reversed(rounds)
    }
    medians = [statistics.median(found) for found in values.values()]
    spread = [
        [median - found[0] for median, found in zip(medians, values.values(), strict=True)],
        [found[-1] - median for median, found in zip(medians, values.values(), strict=True)],
    ]
    figure, axes = plt.subplots(figsize=(7, 0.6 + 0.36 * len(values)), layout="constrained")
    colours = ["#2a6f97" if OURS in server else "#b8c4ce" for server in values]
    bars = axes.barh(list(values), medians, xerr=spread, color=colours, ecolor="#555")
    latencies = [statistics.median(found["p99_us"] for found in rounds[s]) for s in values]
    labels = [f"p99 {latency:,.0f} µs" if latency else "" for latency in latencies]
    axes.bar_label(bars, labels, padding=4, fontsize=7, color="#555")
    axes.margins(x=0.15)
    axes.set_title(scenario.title, fontsize=10, loc="left")
    axes.set_xlabel(UNITS[scenario.figure], fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(IMAGES / f"bench-{name}.svg", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    plt.rcParams["svg.hashsalt"] = "wsproto_async"
    figures = json.loads((HERE / "results.json").read_text())["figures"]
    for name, rounds in figures.items():
        draw(name, rounds)


if __name__ == "__main__":
    main()
