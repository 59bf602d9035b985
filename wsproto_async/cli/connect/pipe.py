"""Talking to a server without a person: what stdin brings is sent, what comes is printed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress

from ...aio.client import connect
from ...aio.websocket import WebSocket
from ...exceptions import ConnectionClosed
from ..ending import describe_close, end_of, status_of
from ..exits import UsageError, fail
from ..failure import CONNECT_ERRORS, explain
from .events import Events
from .stdin import read_lines

__all__ = ["converse"]


async def converse(
    opening: Callable[[], connect], url: str, events: Events, *, is_hex: bool, linger: float
) -> int:
    """Connect, send each line of stdin, print ``events``; return the exit status.

    At the end of stdin the connection is closed when nothing has come for ``linger`` seconds.
    Raises UsageError for a line that cannot be sent.
    """
    try:
        ws = await opening()
    except CONNECT_ERRORS as exc:
        return fail(*explain(exc, url))
    return await _Conversation(ws, events, linger).talk(is_hex)


class _Conversation:
    def __init__(self, ws: WebSocket, events: Events, linger: float) -> None:
        self._ws = ws
        self._events = events
        self._linger = None if math.isinf(linger) else linger
        self._quiet: asyncio.Timeout | None = None  # at the end of stdin: until nothing comes
        self._fault: UsageError | None = None  # of stdin

    async def talk(self, is_hex: bool) -> int:
        sending = asyncio.create_task(self._send(is_hex))
        try:
            self._events.opened(self._ws)
            await self._receive()
            end = await end_of(self._ws)
        except asyncio.CancelledError:
            await self._ws.close(1001)  # interrupted
            self._events.closed(await self._last())
            raise
        except BaseException:
            await self._ws.close(1001)  # nobody reads the output
            raise
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
        self._events.closed(end)
        if self._fault is not None:
            raise self._fault
        status = status_of(end)
        if status:
            fail(describe_close(end), status)
        return status

    async def _receive(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                message = await self._ws.recv()
                self._begin_quiet()
                self._events.received(message)

    async def _last(self) -> ConnectionClosed:
        """Return the end, after messages that nobody waits for any more."""
        while True:
            try:
                await self._ws.recv()
            except ConnectionClosed as end:
                return end

    async def _send(self, is_hex: bool) -> None:
        number = 0
        try:
            with suppress(ConnectionClosed):
                async for line in read_lines():
                    number += 1
                    await self._ws.send(bytes.fromhex(line.decode()) if is_hex else line.decode())
                await self._wait_for_answers()
        except OSError as exc:
            self._fault = UsageError(f"cannot read stdin: {exc.strerror}")
        except UnicodeDecodeError:
            self._fault = UsageError(f"line {number} of stdin is not UTF-8; --hex sends binary")
        except ValueError:
            self._fault = UsageError(f"line {number} of stdin is not hex digits")
        finally:
            await self._ws.close()

    async def _wait_for_answers(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._linger) as self._quiet:
                await self._ws.wait_closed()
        self._quiet = None

    def _begin_quiet(self) -> None:
        quiet = self._quiet
        if quiet is not None and self._linger is not None and not quiet.expired():
            quiet.reschedule(asyncio.get_running_loop().time() + self._linger)
