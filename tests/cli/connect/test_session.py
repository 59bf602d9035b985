"""Talking to a server at a terminal, which is a pseudo terminal here."""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import signal
import stat
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from programs import PATIENCE, ROOT

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

    def __init__(self, folder: Path, arguments: tuple[str, ...], before: str) -> None:
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
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
                "XDG_STATE_HOME": str(folder),
            },
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def wait_for(self, text: str) -> str:
        """Wait until that is shown; return what was shown up to its end."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} is not in {self.shown[-300:]!r}"
            self._read(0.1)
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def end(self) -> int:
        """Wait for the end of the program; ``shown`` is then the rest."""
        while self._read(PATIENCE):
            pass
        return self.process.wait(PATIENCE)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self._master, 65536)
        except OSError:  # nobody has it open any more
            return False
        self.shown += piece.decode()
        return True

    def clean_up(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    with ExitStack() as stack:

        def terminal(*arguments: str, before: str = "") -> Terminal:
            terminal = Terminal(tmp_path, arguments, before)
            stack.callback(terminal.clean_up)
            return terminal

        yield terminal


READY = "* connected; /help lists the commands\r\n> "
CLEARED = "\r\x1b[J"


def test_a_conversation(terminal: Callable, echo_port: int, tmp_path: Path) -> None:
    there = terminal(f"ws://127.0.0.1:{echo_port}/", "--no-compression")
    there.wait_for(READY)
    for keys, shown in [
        ("hello", f"{CLEARED}< hello\r\n> "),
        ('{"a":[1]}', f'{CLEARED}< {{\r\n    "a": [\r\n      1\r\n    ]\r\n  }}\r\n> '),
        ("//close", f"{CLEARED}< /close\r\n> "),
        ("/binary 1b 5b 41", f"{CLEARED}< binary, 3 bytes\r\n  00000000  1b 5b 41"),
        ("/binary 1", "* non-hexadecimal number found in fromhex() arg"),
        ("/ping", "* pong after "),
        ("/help", "* /ping [TEXT]            measure the round-trip time\r\n"),
        ("/quit now", "* no command /quit: /help lists them, //quit now sends it\r\n> "),
        ("/close soon", "* soon is no close code\r\n> "),
        ("/close 1006", "* close code 1006 may not be sent: use 1000 or 3000-4999\r\n> "),
        ("/close 4000 done", "* this side closed the connection with 4000 (private use) done\r\n"),
    ]:
        there.type(f"{keys}\r")
        there.wait_for(shown.removeprefix(CLEARED))
    assert there.end() == 0
    history = tmp_path / "wsproto_async" / "history"
    assert stat.S_IMODE(history.stat().st_mode) == 0o600
    lines = history.read_text().splitlines()
    assert (lines[0], lines[-1]) == ("hello", "/close 4000 done")


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

    def recv(self) -> str:
        return self._beside.do(self.ws.recv())

    def close(self, code: int, reason: str) -> None:
        self._beside.do(self.ws.close(code, reason))


@pytest.fixture
def talker(beside: object, server: Callable) -> Talker:
    return Talker(beside, server)


def test_messages_while_a_line_is_typed(terminal: Callable, talker: Talker) -> None:
    there = terminal(f"ws://127.0.0.1:{talker.port}/", "--subprotocol", "none")
    talker.accept()
    there.wait_for(READY)
    there.type("half")
    there.wait_for("half")
    talker.send("first\x1b[2J\nsecond\x9b")
    there.wait_for(f"{CLEARED}< first\\x1b[2J\r\n  second\\x9b\r\n> half")
    there.type("way\x01-")  # Ctrl-A: to the beginning of the line
    there.wait_for("-")
    talker.send("x")
    there.wait_for("< x\r\n> -halfway")
    there.type("\r")
    assert talker.recv() == "-halfway"
    there.wait_for("\r\n> ")
    # On two rows: both are erased.
    there.type("y" * 100)
    there.wait_for("y" * 20)
    talker.send("z")
    there.wait_for(f"\x1b[1A{CLEARED}< z\r\n> yyy")
    there.type("\r")
    assert talker.recv() == "y" * 100
    talker.close(1011, "\x1b[31m")
    there.wait_for("* the server closed the connection with 1011 (internal error) \\x1b[31m\r\n")
    assert there.end() == 1


def test_keys_that_end_it(terminal: Callable, talker: Talker) -> None:
    url = f"ws://127.0.0.1:{talker.port}/"
    there = terminal(url)
    talker.accept()
    there.wait_for(READY)
    there.type("once\r")
    assert talker.recv() == "once"
    there.wait_for("> ")
    there.type("\x04")
    there.wait_for("* this side closed the connection with 1000 (OK)\r\n")
    assert there.end() == 0

    there = terminal(url)
    talker.accept()
    there.wait_for(READY)
    there.type("\x1b[A\r")  # the line before, which the first one has left
    assert talker.recv() == "once"
    there.wait_for("> ")
    there.type("not sent")
    there.wait_for("not sent")
    there.type("\x03")
    there.wait_for("* this side closed the connection with 1001 (going away)\r\n")
    assert there.end() == 130, there.shown[-800:]
    assert "Traceback" not in there.shown
    assert talker.ws.close_code == 1001


def test_without_readline(terminal: Callable, talker: Talker) -> None:
    there = terminal(f"ws://127.0.0.1:{talker.port}/", before="sys.modules['readline'] = None")
    talker.accept()
    there.wait_for(READY)
    there.type("half")
    there.wait_for("half")
    talker.send("message")
    there.wait_for("< message\r\n> ")
    there.type("way\r")
    assert talker.recv() == "halfway"
    talker.close(1000, "")
    assert there.end() == 0


def test_many_messages_at_once(terminal: Callable, talker: Talker) -> None:
    there = terminal(f"ws://127.0.0.1:{talker.port}/")
    talker.accept()
    there.wait_for(READY)
    for number in range(3000):
        talker.send(f"message {number}")
    for number in range(3000):
        there.wait_for(f"< message {number}\r\n")
    there.process.send_signal(signal.SIGINT)
    assert there.end() == 130, there.shown[-800:]
