"""Commands to Redis, and the replies in the same order, over a link.

Without a connection commands wait for one, for 10 s; then all fail at once until it is back. What
had been written and was not answered when a connection ended is written again, if that is safe:
with a key of idempotency, only to the same run of the server, since another may not have the key.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, TypeVar

import hiredis

from ...exceptions import BrokerError
from ..futures import fail
from .call import Arguments, Call
from .connection import Connection
from .scripts import Script

__all__ = ["Commands", "Repeat"]

_MAX_WAITING: Final = 2**24  # bytes of publications that are not answered yet: 16 MiB
_MAX_AWAY: Final = 10.0  # seconds

_T = TypeVar("_T")


class Repeat(Enum):
    """When a command is written again that was not answered."""

    NEVER = 0
    SAME_RUN = 1
    ALWAYS = 2


class Commands:
    """The owner of the link that commands take."""

    def __init__(self, on_link: Callable[[str | None], None]) -> None:
        """``on_link`` is called with None when the link is there, and why when it is not."""
        self._loop = asyncio.get_running_loop()
        self._on_link = on_link
        self._connection: Connection | None = None
        self._server = ""
        self._is_holding = False  # what comes waits until all that was written is answered
        self._refused_in_turn = 0
        self._written: deque[_Command] = deque()
        self._waiting: deque[_Command] = deque()
        self._size = 0
        self._failing: str | None = None  # why all commands fail at once
        self._away: asyncio.TimerHandle | None = None

    # What the link tells

    @property
    def greeting(self) -> list[Arguments]:
        """What is sent on a new connection."""
        return [("INFO", "server"), *(script.load for script in Script.all)]

    def check(self, replies: list[Any]) -> None:
        info = _info(replies[0])
        if "cluster" in (info.get("redis_mode"), info.get("server_mode")):  # the latter is Valkey's
            raise BrokerError("it is a node of a cluster")
        if "run_id" not in info:
            raise BrokerError("it does not tell its run_id")

    def linked(self, connection: Connection, replies: list[Any]) -> None:
        self._connection = connection
        server = _info(replies[0])["run_id"]
        if server != self._server:
            self._server = server
            self._fail_written("may have been published: the server is another")
        self._failing = None
        if self._away is not None:
            self._away.cancel()
        connection.on_reply = self._replied
        connection.on_silence = self._ping
        self._on_link(None)
        self._write_waiting()

    def unlinked(self, why: str) -> None:
        self._connection = None
        self._is_holding = False
        again = []
        for command in self._written:
            if command.repeat is Repeat.NEVER:
                self._fail(command, f"may have been published: {why}")
            else:
                command.is_written = True
                again.append(command)
        self._written.clear()
        self._waiting.extendleft(reversed(again))
        if self._failing is None:
            self._away = self._loop.call_later(_MAX_AWAY, self.fail, f"no connection: {why}")
            self._on_link(why)

    # Commands

    def send(
        self,
        call: Call,
        convert: Callable[[Any], _T],
        data: bytes | None = None,
        *,
        size: int = 0,
        repeat: Repeat = Repeat.ALWAYS,
    ) -> asyncio.Future[_T]:
        """Send a command; the future has what ``convert`` makes of the reply.

        ``data``, if not None, is its last argument. ``size`` is what counts against the limit.
        """
        command = _Command(call, data, size, convert, self._loop.create_future(), repeat)
        if self._failing is not None:
            fail(command.future, self._failing)
            return command.future
        if size:
            if self._size and self._size + size > _MAX_WAITING:
                fail(command.future, "too much is waiting for the broker")
                return command.future
            self._size += size
        if self._connection is None or self._is_holding:
            self._waiting.append(command)
        else:
            self._write(self._connection, command)
        return command.future

    def fail(self, why: str) -> None:
        """Let all commands fail, and those to come until there is a connection."""
        self._failing = why
        if self._away is not None:
            self._away.cancel()
        for commands in (self._written, self._waiting):
            while commands:
                self._fail(commands.popleft(), why)

    def _write(self, connection: Connection, command: _Command) -> None:
        self._written.append(command)
        connection.write(command.call.pack(self._server, command.data))

    def _write_waiting(self) -> None:
        assert self._connection is not None
        while self._waiting:
            self._write(self._connection, self._waiting.popleft())

    def _ping(self) -> None:
        if self._connection is not None:
            self._write(self._connection, self._own(Call("PING")))

    def _own(self, call: Call) -> _Command:
        return _Command(call, None, 0, _ignore, self._loop.create_future(), Repeat.ALWAYS)

    # Replies

    def _replied(self, reply: Any) -> None:
        if not self._written:
            assert self._connection is not None
            self._connection.abort("a reply to nothing")
            return
        command = self._written.popleft()
        if isinstance(reply, hiredis.ReplyError):
            self._refused(command, str(reply))
        else:
            self._forget(command)
            future = command.future
            if not future.done():
                try:
                    future.set_result(command.convert(reply))
                except (ValueError, TypeError, IndexError):
                    fail(future, "Redis has answered what it should not")
        if self._is_holding and not self._written:
            self._go_on()

    def _refused(self, command: _Command, why: str) -> None:
        if not why.startswith("NOSCRIPT"):
            self._fail(command, why)
            return
        # Those behind it are lacking it as well: they are written again in the same order.
        if not self._is_holding:
            self._is_holding = True
            self._refused_in_turn = 0
        self._waiting.insert(self._refused_in_turn, command)
        self._refused_in_turn += 1

    def _go_on(self) -> None:
        """Load the scripts again, and write what has waited for that."""
        assert self._connection is not None
        self._is_holding = False
        for script in Script.all:
            self._write(self._connection, self._own(Call(*script.load)))
        self._write_waiting()

    def _fail_written(self, why: str) -> None:
        """Let fail what may not be written to another run of the server as well."""
        waiting, self._waiting = self._waiting, deque()
        for command in waiting:
            if command.is_written and command.repeat is Repeat.SAME_RUN:
                self._fail(command, why)
            else:
                self._waiting.append(command)

    def _fail(self, command: _Command, why: str) -> None:
        self._forget(command)
        fail(command.future, why)

    def _forget(self, command: _Command) -> None:
        self._size -= command.size


class _Command:
    __slots__ = ("call", "convert", "data", "future", "is_written", "repeat", "size")

    def __init__(
        self,
        call: Call,
        data: bytes | None,
        size: int,
        convert: Callable[[Any], Any],
        future: asyncio.Future[Any],
        repeat: Repeat,
    ) -> None:
        self.call = call
        self.data = data
        self.size = size
        self.convert = convert
        self.future = future
        self.repeat = repeat
        self.is_written = False


def _ignore(reply: Any) -> None:
    pass


def _info(reply: Any) -> dict[str, str]:
    """Return what a server tells of itself; ``run_id`` names its run, from when it started."""
    lines = reply.decode(errors="replace").splitlines() if type(reply) is bytes else ()
    pairs = (line.partition(":") for line in lines)
    return {name: value for name, _, value in pairs}
