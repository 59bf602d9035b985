"""Standard input line by line, beside a running event loop, whatever it is: a pipe, a file."""

from __future__ import annotations

import asyncio
import os
import queue
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Final

__all__ = ["read_lines"]

_READ_SIZE: Final = 65536


async def read_lines() -> AsyncIterator[bytes]:
    """Give the lines of standard input without their ends, as they come; none if it is closed.

    Raises OSError if it cannot be read.
    """
    if sys.stdin is None:
        return
    pieces = _Pieces(sys.stdin.fileno())
    try:
        async for line in _split(pieces):
            yield line
    finally:
        pieces.stop()


async def _split(pieces: _Pieces) -> AsyncIterator[bytes]:
    line: list[bytes] = []
    while piece := await pieces.read():
        first, *others = piece.split(b"\n")
        line.append(first)
        for other in others:
            yield b"".join(line).removesuffix(b"\r")
            line = [other]
    if any(line):
        yield b"".join(line)


class _Pieces:
    """Reads when it is asked to.

    A file cannot be waited for by the loop, and a read that blocks cannot be broken off: so a
    thread, which does not keep the program from ending. It must not hold a lock of sys.stdin's.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._loop = asyncio.get_running_loop()
        self._asked: queue.SimpleQueue[asyncio.Future[bytes] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    async def read(self) -> bytes:
        """Return what comes next, nothing at the end."""
        answer: asyncio.Future[bytes] = self._loop.create_future()
        self._asked.put(answer)
        return await answer

    def stop(self) -> None:
        """Let the thread end after what it waits for."""
        self._asked.put(None)

    def _run(self) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            while (answer := self._asked.get()) is not None:
                try:
                    piece = os.read(self._fd, _READ_SIZE)
                except OSError as exc:
                    self._loop.call_soon_threadsafe(_fail, answer, exc)
                else:
                    self._loop.call_soon_threadsafe(_succeed, answer, piece)


def _succeed(answer: asyncio.Future[bytes], piece: bytes) -> None:
    if not answer.done():
        answer.set_result(piece)


def _fail(answer: asyncio.Future[bytes], error: OSError) -> None:
    if not answer.done():
        answer.set_exception(error)
