"""The demo page in a real browser: demo.mjs acts and reports, the tests here judge."""

from __future__ import annotations

import json
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

HERE = Path(__file__).parent
SERVER = HERE.parent.parent / "examples" / "demo" / "server.py"
TIMEOUT = 120  # seconds; every wait in demo.mjs has a shorter one of its own


class Demo:
    """The demo server as a user starts it, on a free port."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, SERVER, "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("Demo: http://127.0.0.1:"):
            self.process.kill()
            pytest.fail(f"the demo does not start: {line}{self.process.communicate()[1]}")
        self.url = line.removeprefix("Demo: ").strip()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=TIMEOUT)
        assert self.process.returncode == 0, errors
        assert "Traceback" not in errors
        assert "ERROR" not in errors


@pytest.fixture
def demo() -> Iterator[Demo]:
    demo = Demo()
    try:
        yield demo
        if demo.process.returncode is None:
            demo.stop()
    finally:
        if demo.process.returncode is None:
            demo.process.kill()
            demo.process.communicate()


def command(scenario: str, demo: Demo, folder: Path) -> list[str]:
    return ["node", str(HERE / "demo.mjs"), scenario, demo.url, str(folder)]


def judge_always(output: str) -> dict[str, Any]:
    """What no scenario may see: an error on the console, a request to another place."""
    seen: dict[str, Any] = json.loads(output)
    assert seen["consoleErrors"] == []
    assert seen["outsideRequests"] == []
    return seen


def play(scenario: str, demo: Demo, folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        command(scenario, demo, folder), capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stderr
    return judge_always(done.stdout)


DISCONNECTED = "1000 normal closure: disconnected by the page"


def test_connect_echo_disconnect(demo: Demo, tmp_path: Path) -> None:
    seen = play("echo", demo, tmp_path)
    assert seen["states"] == ["CLOSED", "CONNECTING", "OPEN", "CLOSING", "CLOSED"]
    assert seen["visible"]
    assert seen["announced"] == "Connected"
    (line,) = seen["lines"]
    assert line.startswith("hi → HI!!!")
    assert line.endswith(" ms")
    assert (seen["frames"]["sent"], seen["frames"]["received"]) == (["hi"], ["HI!!!"])
    assert seen["closes"] == [DISCONNECTED] * 3


def test_file_comes_back_identical(demo: Demo, tmp_path: Path) -> None:
    seen = play("file", demo, tmp_path)
    results = seen["results"]
    for name, size in [("empty.bin", 0), ("odd.bin", 2**20 + 13), ("largest.bin", 16 * 2**20)]:
        expected = f"Identical{name}: sent {size:,} bytes, {size:,} bytes echoed in "
        assert results[name].startswith(expected)
    assert results["too-large.bin"].startswith("Too large")
    # Not only the page says so: these frames passed, and none with the file that is too large.
    assert seen["sent"] == seen["received"]
    assert [int(frame.split()[0]) for frame in seen["sent"]] == [2**20 + 13, 16 * 2**20]


def test_file_that_comes_back_changed_is_told(demo: Demo, tmp_path: Path) -> None:
    seen = play("tampered", demo, tmp_path)
    assert seen["changed"].startswith("Differenteven.bin: sent 1,000 bytes, 1,000 bytes echoed")
    assert seen["shortened"].startswith("Differentodd.bin: sent 1,001 bytes, 1,000 bytes echoed")


def test_tabs_chat(demo: Demo, tmp_path: Path) -> None:
    seen = play("chat", demo, tmp_path)
    assert seen["present"] == ["2 people here", "2 people here"]
    assert seen["afterwards"] == "1 person here"
    assert seen["images"] == 0
    assert seen["lines"] == [
        "Ada joined",
        "Ada 2 joined",
        "Ada hello <img src=nowhere>",
        "Ada 2 hello yourself",
        "Ada 2 is now Grace",
        "Grace left",
    ]


def test_round_trip_times_are_plotted(demo: Demo, tmp_path: Path) -> None:
    seen = play("roundTrip", demo, tmp_path)
    assert seen["points"] >= 5
    assert seen["drawn"] == seen["points"]
    current, median, highest = (float(text.removesuffix(" ms")) for text in seen["figures"])
    assert 0 < median <= highest
    assert 0 < current <= highest
    frames = seen["frames"]
    assert frames["received"] == frames["sent"][: len(frames["received"])]


def test_round_trip_times_older_than_a_minute_are_gone(demo: Demo, tmp_path: Path) -> None:
    seen = play("roundTripWindow", demo, tmp_path)  # seventy seconds, at least a probe in each
    counts = seen["counts"]
    assert counts[:55] == list(range(2, 57))
    assert 55 <= counts[-1] <= len(counts) - 8
    assert seen["edge"] <= seen["first"] < seen["edge"] + 20


def test_keyboard_alone(demo: Demo, tmp_path: Path) -> None:
    seen = play("keyboard", demo, tmp_path)
    assert seen["kept"] == "Connect"
    assert seen["closes"] == [DISCONNECTED] * 3
    assert [step["id"] for step in seen["steps"] if not step["outlined"]] == []
    assert [step["label"] for step in seen["steps"] if not step["label"]] == []


def test_server_that_stops_says_going_away(demo: Demo, tmp_path: Path) -> None:
    page = subprocess.Popen(
        command("stopped", demo, tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert page.stdout is not None
        assert page.stdout.readline() == "connected\n"
        demo.stop()
        output, errors = page.communicate(timeout=TIMEOUT)
    finally:
        if page.returncode is None:
            page.kill()
            page.communicate()
    assert page.returncode == 0, errors
    seen = judge_always(output)
    assert [text.partition(":")[0] for text in seen["closes"]] == ["1001 going away"] * 3
    assert seen["refused"] == ["1006 could not connect"] * 3


def test_policy_refuses_what_is_not_the_pages_own(demo: Demo, tmp_path: Path) -> None:
    seen = play("policy", demo, tmp_path)
    assert seen["works"] == [False, False]
    assert seen["reported"] == 2


def test_light_dark_and_narrow(demo: Demo, tmp_path: Path) -> None:
    views = play("screenshots", demo, tmp_path)["views"]
    assert views["light"]["background"] == "rgb(245, 246, 248)"
    assert views["dark"]["background"] == "rgb(15, 19, 23)"
    assert [view["overflow"] for view in views.values()] == [0, 0, 0]
    for name, width in [("light", 1280), ("dark", 1280), ("narrow", 360)]:
        picture = Path(views[name]["file"]).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert struct.unpack(">I", picture[16:20]) == (width,)
