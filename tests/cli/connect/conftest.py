"""A pseudo terminal with a person at it, and a server that says what the test tells it to."""

from __future__ import annotations

import asyncio
import codecs
import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from programs import PATIENCE, ROOT, eventually

from wsproto_async import WebSocket

# The first terminal that a session's leader opens is the one whose keys send it signals.
START = """
import os, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))
{before}
from wsproto_async.cli.main import main
sys.exit(main())
"""


class Terminal:
    """A terminal of 80 columns, and the program that runs there."""

    def __init__(self, folder: Path, arguments: tuple[str, ...], before: str, locale: str) -> None:
        self._master, slave = os.openpty()
        self._name = os.ttyname(slave)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.first_modes = self.modes()
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name}
        self.process = subprocess.Popen(
            [sys.executable, "-c", START.format(before=before), "connect", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env={
                **environment,
                "PYTHONPATH": ROOT,
                "TERM": "xterm",
                "INPUTRC": os.devnull,
                "LC_ALL": locale,
                "XDG_STATE_HOME": str(folder),
            },
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode("utf-8", "surrogateescape"))

    def wait_for(self, text: str) -> str:
        """Wait until that is shown; return what was shown up to its end."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} is not in {self.shown[-300:]!r}"
            self._read(0.1)
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def wait_until_ready(self) -> None:
        self.wait_for("* connected; /help lists the commands\r\n> ")

    def wait_until_full(self) -> None:
        """Wait until the program is stuck, since nobody reads what it prints."""
        slave = os.open(self._name, os.O_RDWR | os.O_NOCTTY)
        eventually(lambda: not select.select([], [slave], [], 0)[1])
        os.close(slave)

    def modes(self) -> list[object]:
        return termios.tcgetattr(self._master)

    def set_modes(self, modes: list[object]) -> None:
        termios.tcsetattr(self._master, termios.TCSANOW, modes)

    def end(self) -> int:
        """Wait for the end of the program; ``shown`` is then the rest."""
        while self._read(PATIENCE):
            pass
        return self.process.wait(PATIENCE)

    def close_window(self) -> None:
        os.close(self._master)
        self._master = -1

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self._master, 65536)
        except OSError:  # nobody has it open any more
            return False
        self.shown += self._decoder.decode(piece)
        return True

    def clean_up(self) -> None:
        self.process.kill()
        self.process.wait()
        if self._master != -1:
            self.close_window()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Start the command ``connect`` at a terminal."""
    with ExitStack() as stack:

        def terminal(*arguments: str, before: str = "", locale: str = "C.UTF-8") -> Terminal:
            terminal = Terminal(tmp_path, arguments, before, locale)
            stack.callback(terminal.clean_up)
            return terminal

        yield terminal


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Where what is typed at a ``terminal`` is kept."""
    return tmp_path / "wsproto_async" / "history"


class Talker:
    """A server's side that says what the test tells it to."""

    def __init__(self, beside: object, server: Callable) -> None:
        self._beside = beside
        self._opened: asyncio.Queue[WebSocket] = asyncio.Queue()
        self.port = server(self._handle, compression=None)

    async def _handle(self, ws: WebSocket) -> None:
        self._opened.put_nowait(ws)
        await ws.wait_closed()

    def accept(self) -> None:
        self.ws: WebSocket = self._beside.do(self._opened.get())

    def send(self, message: str) -> None:
        self._beside.do(self.ws.send(message))

    def begin_to_send(self, messages: list[str]) -> None:
        """Send them, whether they are read or not."""
        self._sending = asyncio.run_coroutine_threadsafe(self._send(messages), self._beside.loop)

    async def _send(self, messages: list[str]) -> None:
        for message in messages:
            await self.ws.send(message)

    def recv(self) -> str:
        return self._beside.do(self.ws.recv())

    def close(self, code: int, reason: str) -> None:
        self._beside.do(self.ws.close(code, reason))


@pytest.fixture
def talker(beside: object, server: Callable) -> Talker:
    return Talker(beside, server)
