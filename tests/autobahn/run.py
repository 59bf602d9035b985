"""Run all 517 Autobahn cases against our server and our client, on asyncio and on uvloop.

Passed is what is OK in both of a case's verdicts, behavior and behaviorClose; three cases have no
right answer and are INFORMATIONAL. Reports for a browser go to reports/autobahn.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / "reports" / "autobahn"
PEER = [sys.executable, str(Path(__file__).with_name("peer.py"))]
SUITE = str(Path(sys.executable).with_name("kosoku"))

CASES = 517
# Binary rubbish after a Close frame, and two close codes that nobody has registered.
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}
TIME_LIMIT = 1200  # seconds for one run
CASE_LIMIT = 20_000  # milliseconds, the suite's own limit for one case


@contextlib.contextmanager
def started(command: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, cwd=ROOT, text=True, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def run_against_server(loop: str, parallel: int, cases: list[str], reports: Path) -> None:
    with started([*PEER, loop], stdout=subprocess.PIPE) as server:
        port = server.stdout.readline().strip()
        uri = f"ws://127.0.0.1:{port}"
        suite = [SUITE, uri, "-p", str(parallel), "-o", str(reports), *cases]
        subprocess.run(
            suite, timeout=TIME_LIMIT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )


def run_against_client(loop: str, parallel: int, cases: list[str], reports: Path) -> None:
    suite = [SUITE, "-m", "fuzzingserver", "127.0.0.1:0", "-o", str(reports), *cases]
    with started(suite, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as server:
        uri = re.search(r"ws://\S+", server.stderr.readline())[0]
        client = [*PEER, loop, uri, "--parallel", str(parallel)]
        subprocess.run(client, check=True, timeout=TIME_LIMIT)
        server.communicate(timeout=60)


def run_cases(
    role: str, loop: str, parallel: int, cases: list[str], reports: Path
) -> dict[str, dict]:
    """Return what the suite says of each case; no cases stand for all."""
    shutil.rmtree(reports, ignore_errors=True)
    run = run_against_server if role == "server" else run_against_client
    run(loop, parallel, [word for case in cases for word in ("-i", case)], reports)
    index = json.loads((reports / "index.json").read_text())
    # A case that never got to an answer stands under the suite's name for us.
    return {case: verdict for cases in index.values() for case, verdict in cases.items()}


def run_all(role: str, loop: str, parallel: int, cases: list[str]) -> dict[str, dict]:
    """As ``run_cases``, but what the suite broke off as too slow is run again by itself.

    Two of the largest cases at a time can take a busy machine longer than the suite waits.
    """
    reports = REPORTS / f"{role}-{loop}"
    verdicts = run_cases(role, loop, parallel, cases, reports)
    slow = [case for case, verdict in verdicts.items() if verdict["duration"] >= CASE_LIMIT]
    if slow and parallel > 1:
        print(f"our {role} on {loop}: too slow, so again one by one: {', '.join(slow)}", flush=True)
        verdicts |= run_cases(role, loop, 1, slow, REPORTS / f"{role}-{loop}-slow")
    return verdicts


def find_wrong(verdicts: dict[str, dict]) -> list[str]:
    """Return a line for each case that is not as it must be."""
    wrong = []
    for case, verdict in verdicts.items():
        found = verdict["behavior"], verdict["behaviorClose"]
        if found != (("INFORMATIONAL",) * 2 if case in INFORMATIONAL else ("OK", "OK")):
            wrong.append(f"{case}: {found[0]}, close {found[1]}, {verdict['duration']} ms")
    return wrong


def judge(role: str, loop: str, parallel: int, cases: list[str]) -> tuple[int, int]:
    """Run the cases, print what is wrong, and return how many were right, and how many not."""
    start = time.monotonic()
    verdicts = run_all(role, loop, parallel, cases)
    wrong = find_wrong(verdicts)
    right = len(verdicts) - len(wrong)
    if not cases and len(verdicts) != CASES:
        wrong.append(f"{len(verdicts)} cases were run, not {CASES}")
    counts = dict(Counter(verdict["behavior"] for verdict in verdicts.values()))
    told = [f"our {role} on {loop}: {counts} in {time.monotonic() - start:.0f} s"]
    print("\n    ".join(told + wrong), flush=True)
    return right, len(wrong)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--role", choices=["server", "client"], action="append")
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], action="append")
    parser.add_argument("--parallel", type=int, default=2, help="how many cases at a time")
    parser.add_argument("--case", action="append", default=[], help="an id or a pattern: 12.1.*")
    arguments = parser.parse_args()
    roles = arguments.role or ["server", "client"]
    loops = arguments.loop or ["asyncio", "uvloop"]
    # The suite takes one core, and what it tries a part of another.
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        judging = [
            threads.submit(judge, role, loop, arguments.parallel, arguments.case)
            for role in roles
            for loop in loops
        ]
        results = [each.result() for each in judging]
    passed, failed = map(sum, zip(*results, strict=True))
    print(f"reports: {REPORTS.relative_to(ROOT)}/*/index.html")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
