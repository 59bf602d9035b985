"""Measure the layers that do no IO, by size: time, and instructions, which no noise changes.

Run: make micro   (Linux; valgrind counts the instructions)

The instructions are held against those of micro/instructions.json: a quarter more of them
fails. ``--keep`` writes that file; ``--no-instructions`` leaves them out.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import timeit
from pathlib import Path
from typing import Final

from cases import CASES

KEPT: Final = Path(__file__).with_name("instructions.json")
_TURNS: Final = 50  # of each case, for valgrind
_SLACK: Final = 1.25


def names() -> list[tuple[str, int]]:
    return [(name, size) for name, (_, sizes) in CASES.items() for size in sizes]


def microseconds(name: str, size: int) -> float:
    case = CASES[name][0](size)
    number = timeit.Timer(case).autorange()[0] // 4 + 1
    return min(timeit.repeat(case, number=number, repeat=5)) / number * 1e6


def run_under_valgrind() -> None:
    """Run each case between two calls of getppid, which is where valgrind notes its counts."""
    for case in (lambda: None, *(CASES[name][0](size) for name, size in names())):
        for _ in range(3):
            case()
        os.getppid()
        for _ in range(_TURNS):
            case()
        os.getppid()


def instructions() -> dict[str, int]:
    """Return the instructions of one turn of each case, over those of nothing."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                "valgrind",
                "--tool=callgrind",
                "--dump-before=getppid",
                f"--callgrind-out-file={folder}/counts",
                sys.executable,
                __file__,
                "--under-valgrind",
            ],
            check=True,
            capture_output=True,
            env={**os.environ, "PYTHONHASHSEED": "0"},
            timeout=600,
        )
        counts = []
        for part in range(2, 2 * len(names()) + 3, 2):
            text = Path(folder, f"counts.{part}").read_text()
            found = re.search(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
            assert found is not None
            counts.append(int(found[1]))
    nothing, *counts = counts
    return {
        f"{name} {size}": (count - nothing) // _TURNS
        for (name, size), count in zip(names(), counts, strict=True)
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--no-instructions", action="store_true")
    parser.add_argument("--under-valgrind", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.under_valgrind:
        run_under_valgrind()
        return 0
    counts = {} if arguments.no_instructions else instructions()
    kept: dict[str, int] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    worse = []
    print(f"{'case':12} {'bytes':>6} {'us':>9} {'instructions':>13} {'kept':>9}")
    for name, size in names():
        key = f"{name} {size}"
        count, before = counts.get(key, 0), kept.get(key, 0)
        print(f"{name:12} {size:6} {microseconds(name, size):9.2f} {count:13,} {before:9,}")
        if before and count > before * _SLACK:
            worse.append(key)
    if arguments.keep:
        KEPT.write_text(json.dumps(counts, indent=1) + "\n")
    elif worse:
        print(f"over {_SLACK} times the instructions kept: {', '.join(worse)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
