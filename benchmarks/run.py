"""Measure the servers beside each other, print the table and keep it as JSON.

Run: make bench   (BENCH="--only echo --rounds 5" for less of it; Linux)

Each round starts every server anew, one after another, so that what else the machine does meets
all of them alike; the table has the medians. The server has one core, the load client another.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from scenarios import OURS, PURE, SCENARIOS, Scenario

HERE = Path(__file__).parent
ROOT = HERE.parent
LOAD = ROOT / "build" / "load"
RESULTS = HERE / "results.json"
CORES = sorted(os.sched_getaffinity(0))
PEERS = ("websockets", "picows", "aiohttp", "uvicorn", "uvloop")

Figures = dict[str, dict[str, list[dict[str, float]]]]  # scenario, server, rounds


@contextmanager
def started(server: str, scenario: Scenario) -> Iterator[tuple[int, int]]:
    """Run a server on the first core; gives its process id and port."""
    name = OURS if server == PURE else server
    package = ROOT if server == PURE else ROOT / "build" / "compiled"
    command = [sys.executable, "-P", HERE / "servers.py", name, "--loop", scenario.loop]
    if scenario.deflate:
        command.append("--deflate")
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(package)},
        preexec_fn=lambda: os.sched_setaffinity(0, CORES[:1]),
    )
    assert process.stdout is not None
    try:
        yield process.pid, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def measure(server: str, scenario: Scenario) -> dict[str, float]:
    """Return what the load client says of one round."""
    with started(server, scenario) as (pid, port):
        command = [LOAD, "--pid", str(pid), "--port", str(port), *scenario.load.split()]
        if server == "raw":
            command += ["--mode", "raw"]
        done = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            check=True,
            timeout=120,
            preexec_fn=lambda: os.sched_setaffinity(0, CORES[-1:]),
        )
    return json.loads(done.stdout)


def median(rounds: list[dict[str, float]], figure: str) -> float:
    return statistics.median(found[figure] for found in rounds)


def report(name: str, rounds: dict[str, list[dict[str, float]]]) -> None:
    """Print a scenario's table, and how ours stands to what it is held against."""
    scenario = SCENARIOS[name]
    unit = {"cpu_us": "us of CPU", "per_second": "per second"}.get(scenario.figure, "bytes each")
    print(f"\n{name}: {scenario.title} ({unit})")
    ours = median(rounds[scenario.ours], scenario.figure)
    for server, found in rounds.items():
        value = median(found, scenario.figure)
        latency = f"p99 {median(found, 'p99_us'):8,.0f} us" if found[0]["p99_us"] else ""
        print(f"  {server:20} {value:14,.2f}   ours is {ours / value:6.2f} of it   {latency}")
    for bar in scenario.bars:
        if bar.peer in rounds:
            ratio = ours / median(rounds[bar.peer], scenario.figure)
            passed = ratio <= bar.factor if scenario.less_is_better else ratio >= bar.factor
            sign = "<=" if scenario.less_is_better else ">="
            verdict = "yes" if passed else "NO"
            print(f"  {verdict:3} {ratio:.2f} {sign} {bar.factor} x {bar.peer}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=SCENARIOS, default=[])
    parser.add_argument("--server", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", action="store_true", help="write benchmarks/results.json")
    arguments = parser.parse_args()
    for name in arguments.only or SCENARIOS:
        scenario = SCENARIOS[name]
        servers = [s for s in scenario.servers if not arguments.server or s in arguments.server]
        rounds: dict[str, list[dict[str, float]]] = {server: [] for server in servers}
        for _ in range(arguments.rounds):
            for server in servers:
                rounds[server].append(measure(server, scenario))
        report(name, rounds)
        sys.stdout.flush()
        if arguments.keep:
            keep(name, rounds)


def keep(name: str, rounds: dict[str, list[dict[str, float]]]) -> None:
    """Put a scenario's rounds into the results, beside the others' that are there."""
    figures: Figures = json.loads(RESULTS.read_text())["figures"] if RESULTS.exists() else {}
    figures[name] = rounds
    machine = {
        "python": platform.python_version(),
        "cores": len(CORES),
        "versions": {peer: version(peer) for peer in PEERS},
    }
    RESULTS.write_text(json.dumps({"machine": machine, "figures": figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
