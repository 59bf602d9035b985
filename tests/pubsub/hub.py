"""A hub of a test's own, in a process that can be killed, stopped and started again.

Its listening socket stays open meanwhile, as a supervisor has it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import Future
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from types import TracebackType

import wsproto_async
from wsproto_async.pubsub.hub import HubServer

ROOT = str(Path(wsproto_async.__file__).parent.parent)
# Each is forked from a process that has imported what it needs.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["wsproto_async.pubsub.hub"])


class HubProcess:
    """Serves at ``path``."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "hub")
        self._log = folder / "hub.log"
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.bind(self.path)
        self._sock.listen(1024)
        self._process: BaseProcess | None = None

    def __enter__(self) -> HubProcess:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        self._sock.close()

    @property
    def pid(self) -> int:
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text(encoding="utf-8")

    @property
    def peak_memory(self) -> int:
        """Bytes that it has taken at most."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024

    def start(self) -> None:
        """Start it; who connects before it listens waits for it."""
        self._process = FORKS.Process(target=serve, args=(self._sock, self._log))
        self._process.start()

    def kill(self) -> None:
        """End it at once, with all that it has."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None

    def stop(self) -> None:
        """Let it stand still."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again."""
        os.kill(self.pid, signal.SIGCONT)


class HubThread:
    """Serves at ``path``, in this process: it starts sooner, and nothing can be done to it."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "hub")
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.bind(self.path)
        self._sock.listen(1024)
        self._started: Future[tuple[asyncio.AbstractEventLoop, HubServer]] = Future()
        self._thread = Thread(target=asyncio.run, args=(self._serve(),))

    async def _serve(self) -> None:
        hub = HubServer(self._sock)
        self._started.set_result((asyncio.get_running_loop(), hub))
        await hub.serve()

    def __enter__(self) -> HubThread:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loop, hub = self._started.result()
        loop.call_soon_threadsafe(hub.close)
        self._thread.join()
        self._sock.close()


def run(program: str, path: str) -> subprocess.Popen[str]:
    """Run a program that stands beside this file, with a hub's path."""
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name(program)), path],
        env={"PYTHONPATH": ROOT},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def serve(sock: socket.socket, log: Path) -> None:
    with log.open("ab") as stderr:
        os.dup2(stderr.fileno(), 2)
    asyncio.run(main(sock))


async def main(sock: socket.socket) -> None:
    await HubServer(sock).serve()
