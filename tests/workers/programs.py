"""Programs that serve, each in processes of its own, and what is seen of them from outside."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import wsproto_async

ROOT = str(Path(wsproto_async.__file__).parent.parent)
PATIENCE = 20  # seconds until what should happen counts as not happening
READY = r"worker \d+ \(process (\d+)\) is ready"

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
GOING_AWAY = b"\x88\x02\x03\xe9"


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Tell if there is such a process, and not only what is left of one that nobody waited for."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


class Program:
    """A running program; what it logs is read all the time."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.lines: list[str] = []
        # The path of a Unix socket has to be short.
        self.temporary = Path(tempfile.mkdtemp())
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": ROOT,
                "PYTHONUNBUFFERED": "1",
                "TMPDIR": str(self.temporary),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=lambda: self.lines.extend(self.process.stdout))
        self._reader.start()

    def found(self, pattern: str) -> list[str]:
        return re.findall(pattern, "".join(tuple(self.lines)))

    def wait_for(self, pattern: str, count: int = 1) -> list[str]:
        """Wait until it has logged that so many times, and return what the groups matched."""
        eventually(lambda: len(self.found(pattern)) >= count or not self._reader.is_alive())
        found = self.found(pattern)
        assert len(found) >= count, "".join(self.lines)
        return found

    @property
    def port(self) -> int:
        return int(self.wait_for(r"listening on 127\.0\.0\.1:(\d+)")[0])

    def workers(self, count: int) -> list[int]:
        """Wait until so many workers have been ready, ever; return their processes."""
        return [int(pid) for pid in self.wait_for(READY, count)]

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        status = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return status

    def connect(self) -> socket.socket:
        """Open a WebSocket with a bare socket."""
        return connect(("127.0.0.1", self.port))

    def clean_up(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._reader.join(PATIENCE)
        self.process.stdout.close()
        shutil.rmtree(self.temporary)


def connect(address: tuple[str, int] | str) -> socket.socket:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    sock = socket.socket(family)
    try:
        sock.settimeout(PATIENCE)
        sock.connect(address)
        sock.sendall(REQUEST)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            piece = sock.recv(1)
            assert piece, answer
            answer += piece
        assert answer.startswith(b"HTTP/1.1 101 "), answer
    except BaseException:
        sock.close()
        raise
    return sock


def read_all(sock: socket.socket) -> bytes:
    """What comes until the end of the stream; whoever says goodbye is answered."""
    data = b""
    while piece := sock.recv(4096):
        data += piece
        if data.endswith(GOING_AWAY):
            sock.sendall(b"\x88\x82\0\0\0\0\x03\xe9")
    return data


Start = Callable[..., Program]
