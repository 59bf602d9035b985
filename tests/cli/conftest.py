"""The command line: as a program, and called here while servers run in a thread beside it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
from programs import PATIENCE, Program

from wsproto_async import WebSocket, serve
from wsproto_async.cli.main import main

ECHO = """
async def handler(ws):
    async for message in ws:
        await ws.send(message)

number = 5

class rooms:
    lobby = handler
"""


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Start ``python -m wsproto_async``; ``app:handler`` is there."""
    (tmp_path / "app.py").write_text(ECHO, encoding="utf-8")
    with ExitStack() as stack:

        def command(*arguments: str) -> Program:
            program = Program([sys.executable, "-m", "wsproto_async", *arguments], tmp_path)
            stack.callback(program.clean_up)
            return program

        yield command


class Outcome(NamedTuple):
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Outcome]:
    """Call the command line here, with ``stdin`` as a file; no proxies but those of the test."""
    for name in ("http", "https", "ws", "wss", "all", "no"):
        for each in (f"{name}_proxy", f"{name.upper()}_PROXY"):
            monkeypatch.delenv(each, raising=False)

    def run(*arguments: str, stdin: bytes | int = b"") -> Outcome:
        """``stdin``: what is in it, or a file descriptor."""
        if isinstance(stdin, bytes):
            (tmp_path / "stdin").write_bytes(stdin)
            stdin = os.open(tmp_path / "stdin", os.O_RDONLY)
        with os.fdopen(stdin) as file:
            monkeypatch.setattr(sys, "stdin", file)
            try:
                status = main(arguments)
            except SystemExit as exc:
                status = exc.code
        return Outcome(status, *capsys.readouterr())

    return run


class Beside:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def do(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)
        self.loop.close()


@pytest.fixture(scope="session")
def beside() -> Iterator[Beside]:
    beside = Beside()
    yield beside
    beside.stop()


@pytest.fixture
def server(beside: Beside) -> Iterator[Callable[..., int]]:
    """Serve with a handler, beside the test; gives the port."""
    with ExitStack() as stack:

        def server(handler: Callable[[WebSocket], Any], **options: Any) -> int:
            async def start() -> Any:
                return await serve(handler, 0, **options)

            async def stop() -> None:
                running.close(grace=0)
                await running.wait_closed()

            running = beside.do(start())
            stack.callback(lambda: beside.do(stop()))
            return running.port

        yield server


@pytest.fixture
def raw_server(beside: Beside) -> Iterator[Callable[..., int]]:
    """A server that does with the streams of each connection whatever the test says."""
    with ExitStack() as stack:

        def raw_server(talk: Callable[..., Any], tls: ssl.SSLContext | None = None) -> int:
            tasks: set[asyncio.Task[None]] = set()

            async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                tasks.add(asyncio.current_task())
                with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                    await talk(reader, writer)
                    writer.close()
                    await writer.wait_closed()
                writer.close()

            async def start() -> asyncio.Server:
                return await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)

            async def stop() -> None:
                running.close()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

            running = beside.do(start())
            stack.callback(lambda: beside.do(stop()))
            return running.sockets[0].getsockname()[1]

        yield raw_server


@pytest.fixture
def echo_port(server: Callable[..., int]) -> int:
    async def echo(ws: WebSocket) -> None:
        async for message in ws:
            await ws.send(message)

    return server(echo)


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is taken, and where nothing listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture(scope="session")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """A server's, for 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def interrupt() -> Iterator[Callable[[], None]]:
    """Be Ctrl-C, for the main thread."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, previous)
