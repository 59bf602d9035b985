"""An example's server as a user starts it, or another program, and its page in Chromium.

The scenarios of ``NAME.mjs`` act and report; the tests judge what they print.
"""

from __future__ import annotations

import json
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ports import Port

HERE = Path(__file__).parent
EXAMPLES = HERE.parent.parent / "examples"
TIMEOUT = 120  # seconds; every wait in a scenario has a shorter one of its own


class Example:
    """The server of an example, on a free port; ``program`` is another one."""

    def __init__(self, name: str, *options: str, program: Path | None = None) -> None:
        self.name = name
        self.program = program or EXAMPLES / name / "server.py"
        self.options = options
        self._port = Port()
        self.port = self._port.number
        self.url = f"http://127.0.0.1:{self.port}/"
        self.start()

    def start(self) -> None:
        """Start it, or start it again at the same place."""
        self.process = subprocess.Popen(
            [
                *(sys.executable, self.program),
                *("--port", str(self.port), *self.options),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + TIMEOUT
        while not answers(self.port):
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < deadline, "it never listened"
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it, and expect a clean end."""
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=TIMEOUT)
        assert self.process.returncode == 0, errors
        assert "Traceback" not in errors
        assert "ERROR" not in errors

    def kill(self) -> None:
        """Leave nothing of it."""
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate()


def answers(port: int) -> bool:
    """Tell if a plain request is answered: from then on Ctrl-C stops it cleanly, too."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            return sock.recv(1) == b"H"
    except ConnectionRefusedError:
        return False


@contextmanager
def running(name: str, *options: str, program: Path | None = None) -> Iterator[Example]:
    """Run the server of an example until the end of the test."""
    example = Example(name, *options, program=program)
    try:
        yield example
        if example.process.returncode is None:
            example.stop()
    finally:
        example.kill()


class Scenario:
    """A scenario that is under way, and may wait for the test in between."""

    def __init__(self, example: Example, name: str, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["node", HERE / f"{example.name}.mjs", name, example.url, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for(self, word: str) -> None:
        """Wait until it says that it has come so far."""
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == f"{word}\n", self._process.communicate()[1]

    def go_on(self) -> None:
        """Let it go on: it waits for that."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def seen(self) -> dict[str, Any]:
        """Return what it has seen; no page may see errors, or ask another place for anything."""
        output, errors = self._process.communicate(timeout=TIMEOUT)
        assert self._process.returncode == 0, errors
        seen: dict[str, Any] = json.loads(output)
        assert seen["consoleErrors"] == []
        assert seen["outsideRequests"] == []
        return seen

    def kill(self) -> None:
        """Leave nothing of it."""
        if self._process.returncode is None:
            self._process.kill()
            self._process.communicate()


@contextmanager
def playing(example: Example, name: str, folder: Path) -> Iterator[Scenario]:
    """Play a scenario beside the test."""
    scenario = Scenario(example, name, folder)
    try:
        yield scenario
    finally:
        scenario.kill()


def play(example: Example, name: str, folder: Path) -> dict[str, Any]:
    """Play a scenario and return what it has seen."""
    with playing(example, name, folder) as scenario:
        return scenario.seen()


def judge_views(views: dict[str, Any]) -> None:
    """Hold what a page looks like, wide and narrow, light and dark."""
    for name, background, width in [
        ("light", "rgb(245, 246, 248)", 1280),
        ("dark", "rgb(15, 19, 23)", 1280),
        ("narrow", "rgb(245, 246, 248)", 360),
        ("narrow-dark", "rgb(15, 19, 23)", 360),
    ]:
        assert views[name]["background"] == background
        assert views[name]["overflow"] == 0
        picture = Path(views[name]["file"]).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert struct.unpack(">I", picture[16:20]) == (width,)
