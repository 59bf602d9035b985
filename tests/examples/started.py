"""An example's server as a user starts it, and what tests do with a connection to it."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ports import Port

from wsproto_async import WebSocket

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
TIMEOUT = 20  # seconds until something that should happen counts as not happening


class Example:
    """A server among the examples, on a free port."""

    def __init__(self, name: str, *options: str) -> None:
        self._port = Port()
        self.port = self._port.number
        self.uri = f"ws://127.0.0.1:{self.port}/"
        self.process = subprocess.Popen(
            [sys.executable, EXAMPLES / name, *options, *port_option(name, self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    def wait(self) -> None:
        """Expect the clean end that Ctrl-C asks for."""
        _, errors = self.process.communicate(timeout=TIMEOUT)
        assert self.process.returncode == 0, errors
        assert "Traceback" not in errors
        assert "ERROR" not in errors

    def kill(self) -> None:
        """Leave nothing of it."""
        if self.process.returncode is None:
            self.process.kill()
            self.process.communicate()

    async def logs(self, words: str) -> str:
        """Wait for a line with these words in its log, and return it."""
        assert self.process.stderr is not None
        try:
            async with asyncio.timeout(TIMEOUT):
                while words not in (line := await asyncio.to_thread(self.process.stderr.readline)):
                    assert line, "it has ended"
        except TimeoutError:
            self.process.kill()  # or the thread would wait on
            raise
        return line


Start = Callable[..., Example]


def port_option(name: str, port: int) -> list[str]:
    """Those with a page have options; the others take just a port."""
    return ["--port", str(port)] if "/" in name else [str(port)]


def wait_until_answering(example: Example) -> None:
    """Wait for the answer to a plain request: from then on Ctrl-C stops it cleanly, too."""
    deadline = time.monotonic() + TIMEOUT
    while True:
        assert example.process.poll() is None, example.process.communicate()[1]
        try:
            with socket.create_connection(("127.0.0.1", example.port), timeout=TIMEOUT) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                assert sock.recv(1) == b"H"
                return
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "it never listened"
            time.sleep(0.02)


async def receive(ws: WebSocket) -> Any:
    async with asyncio.timeout(TIMEOUT):
        return await ws.recv()


async def hear(ws: WebSocket) -> dict[str, Any]:
    """Receive JSON."""
    message: dict[str, Any] = json.loads(await receive(ws))
    return message


async def say(ws: WebSocket, **message: Any) -> None:
    """Send JSON."""
    await ws.send(json.dumps(message))


async def expect_close(ws: WebSocket, code: int) -> None:
    async with asyncio.timeout(TIMEOUT):
        await ws.wait_closed()
    assert ws.close_code == code
