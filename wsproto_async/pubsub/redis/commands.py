"""Commands to a server, and the replies in the same order, over a link.

Without a connection commands wait for one, for 10 s; then all fail at once until it is back. What
had been written and was not answered when a connection ended is written again, if that is safe:
with a key of idempotency, only to the same run of the server with the same data, since else it may
not have the key.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import hiredis

from .call import Arguments, Call
from .command import Ask, Command, Repeat
from .connection import Connection
from .run import ELSEWHERE, INFO, NO_RUN, REPLICA, Run
from .scripts import Script

__all__ = ["MAX_AWAY", "Commands"]

MAX_AWAY: Final = 10.0
"""Seconds for which commands wait for a connection."""


class Commands:
    """The owner of the link that commands take."""

    def __init__(
        self,
        on_link: Callable[[str | None], None],
        on_elsewhere: Callable[[Command, str], None],
    ) -> None:
        """``on_link`` is called with None when the link is there, and why when it is not.

        ``on_elsewhere`` is called with each command that this server has refused because another
        has it, or may have it, in order, and with what it says of that.
        """
        self._loop = asyncio.get_running_loop()
        self._on_link = on_link
        self._on_elsewhere = on_elsewhere
        self._connection: Connection | None = None
        self.run = NO_RUN
        """That there is a connection to, or was last."""
        self._is_holding = False  # what comes waits until all that was written is answered
        self._refused_in_turn = 0
        self._reloaded_at = 0.0
        self._written: deque[Command] = deque()
        self._waiting: deque[Command] = deque()
        self._failing: str | None = None  # why all commands fail at once
        self._away: asyncio.TimerHandle | None = self._loop.call_later(
            MAX_AWAY, self.fail, "no connection to Redis"
        )

    # What the link tells

    @property
    def greeting(self) -> list[Arguments]:
        """What is sent on a new connection."""
        return [INFO, *(script.load for script in Script.all)]

    def check(self, replies: list[Any]) -> None:
        if Run.parse(replies[0]).is_replica:
            raise ConnectionError(REPLICA)

    def linked(self, connection: Connection, replies: list[Any]) -> None:
        self._connection = connection
        before, self.run = self.run, Run.parse(replies[0])
        if self.run != before:
            self._fail_written("may have been published: the server may have lost it")
        self._failing = None
        self._stop_clock()
        connection.on_replies = self._replied
        connection.on_silence = self._ping
        self._write_waiting()
        self._on_link(None)

    def unlinked(self, why: str) -> None:
        self._connection = None
        self._is_holding = False
        self._waiting.extendleft(reversed(self._take_written(why)))
        if self._failing is None:
            self._away = self._loop.call_later(
                MAX_AWAY, self.fail, f"no connection to Redis: {why}"
            )
            self._on_link(why)

    def _take_written(self, why: str) -> list[Command]:
        """Return what is written again; the rest fails."""
        again = []
        # It may be the command itself that ends each connection.
        too_early = self._loop.time() - MAX_AWAY
        for command in self._written:
            assert command.written_at is not None
            if command.repeat is Repeat.NEVER or command.written_at < too_early:
                command.fail(f"may have been published: {why}")
            else:
                again.append(command)
        self._written.clear()
        return again

    def _stop_clock(self) -> None:
        if self._away is not None:
            self._away.cancel()
            self._away = None

    # Commands

    def put(self, command: Command) -> None:
        """Write a command, or let it wait."""
        if self._failing is not None:
            command.fail(self._failing)
        elif self._connection is None or self._is_holding:
            self._waiting.append(command)
        else:
            self._write(self._connection, command)

    def abort(self, why: str) -> None:
        """End the connection: there will be another."""
        if self._connection is not None:
            self._connection.abort(why)

    def flush(self) -> None:
        """Let what is written leave before the end of this turn."""
        if self._connection is not None:
            self._connection.flush()

    async def settle(self) -> None:
        """Wait until all that has been written is answered, or the connection is over."""
        if self._connection is None:
            return
        ping = self._own(Call("PING"))
        self._write(self._connection, ping)
        ended = self._connection.ended
        await asyncio.wait((ping.future, ended), return_when=asyncio.FIRST_COMPLETED)

    def give_up(self, is_here: Callable[[Command], bool]) -> list[Command]:
        """Return what waits and is not for this server any more."""
        waiting, self._waiting = self._waiting, deque()
        elsewhere: list[Command] = []
        for command in waiting:
            (self._waiting if is_here(command) else elsewhere).append(command)
        return elsewhere

    def end(self, why: str) -> list[Command]:
        """Be of no use any more; return what can be put elsewhere."""
        self._stop_clock()
        self._failing = why
        if self._connection is not None:
            self._connection.on_replies = _ignore
            self._connection = None
        self._waiting.extendleft(reversed(self._take_written(why)))
        self._fail_written(f"may have been published: {why}")
        commands = list(self._waiting)
        self._waiting.clear()
        return commands

    def fail(self, why: str) -> None:
        """Let all commands fail, and those to come until there is a connection."""
        self._failing = why
        self._stop_clock()
        for commands in (self._written, self._waiting):
            while commands:
                commands.popleft().fail(why)

    def _write(self, connection: Connection, command: Command) -> None:
        if command.written_at is None:
            command.written_at = self._loop.time()
        self._written.append(command)
        connection.write(command.pack(self.run))

    def _write_waiting(self) -> None:
        assert self._connection is not None
        while self._waiting:
            self._write(self._connection, self._waiting.popleft())

    def _ping(self) -> None:
        if self._connection is not None:
            self._write(self._connection, self._own(Call("PING")))

    def _own(self, call: Call) -> Ask[None]:
        return Ask(call, _ignore, self._loop.create_future())

    # Replies

    def _replied(self, replies: list[Any]) -> None:
        written = self._written
        for reply in replies:
            if not written:
                assert self._connection is not None
                self._connection.abort("a reply to nothing")
                return
            command = written.popleft()
            if isinstance(reply, hiredis.ReplyError):
                self._refused(command, str(reply))
            else:
                command.finish(reply)
                if self._is_holding and command.call.is_ordered:
                    self._overtaken(command.call.slot)
            if self._is_holding and not written:
                self._go_on()

    def _refused(self, command: Command, why: str) -> None:
        if why.startswith(ELSEWHERE):
            self._on_elsewhere(command, why)
            return
        if not why.startswith("NOSCRIPT"):
            command.fail(why)
            if "READONLY" in why and self._connection is not None:
                self._connection.abort(REPLICA)
            return
        assert command.written_at is not None
        if command.written_at < self._reloaded_at:  # it is written again since, and that is no help
            command.fail(why)
            return
        # Those behind it are lacking it as well, as a rule: they are written again in this order.
        if not self._is_holding:
            self._is_holding = True
            self._refused_in_turn = 0
        self._waiting.insert(self._refused_in_turn, command)
        self._refused_in_turn += 1

    def _overtaken(self, slot: int) -> None:
        """Let fail what was refused: another process has loaded the scripts for what came after."""
        again: list[Command] = []
        for _ in range(self._refused_in_turn):
            command = self._waiting.popleft()
            if command.call.is_ordered and command.call.slot == slot:
                command.fail("NOSCRIPT: it would come behind what was published later")
            else:
                again.append(command)
        self._waiting.extendleft(reversed(again))
        self._refused_in_turn = len(again)

    def _go_on(self) -> None:
        """Load the scripts again, and write what has waited for that."""
        assert self._connection is not None
        self._is_holding = False
        self._reloaded_at = self._loop.time()
        for script in Script.all:
            self._write(self._connection, self._own(Call(*script.load)))
        self._write_waiting()

    def _fail_written(self, why: str) -> None:
        """Let fail what may not be written to another run of the server as well."""
        waiting, self._waiting = self._waiting, deque()
        for command in waiting:
            if command.written_at is not None and command.repeat is Repeat.SAME_RUN:
                command.fail(why)
            else:
                self._waiting.append(command)


def _ignore(reply: Any) -> None:
    pass
