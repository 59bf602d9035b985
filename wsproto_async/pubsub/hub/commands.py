"""Commands to the hub, and its answers in the same order, over a link.

Without a connection commands wait for one, for 10 s; then all fail at once until it is back. What
had been written and was not answered when a connection ended is written again, if that is safe.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from .command import MORE, Again, Ask, Command
from .link import Connection
from .protocol import DONE, U32, Fields, FrameError

__all__ = ["MAX_AWAY", "Commands"]

MAX_AWAY: Final = 10.0
"""Seconds for which commands wait for a connection."""


class Commands:
    """Commands that wait to be written, and those that wait to be answered."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._connection: Connection | None = None
        self._run = b""
        self._is_open = False
        self._written: deque[Command] = deque()
        self._waiting: deque[Command] = deque()
        self._failing: str | None = None  # why all commands fail at once
        self._away: asyncio.TimerHandle | None = None

    # What becomes of the link

    @property
    def is_linked(self) -> bool:
        """Tell if there is a connection."""
        return self._connection is not None

    def linked(self, connection: Connection, run: bytes) -> None:
        """There is a connection; until ``open`` only what ``send_now`` sends is written."""
        self._connection = connection
        self._run = run

    def open(self) -> None:
        """Write all that waits, and what comes."""
        self._is_open = True
        self._failing = None
        self._stop_clock()
        while self._waiting:
            command = self._waiting.popleft()
            if command.again is Again.SAME_RUN and command.run not in (b"", self._run):
                command.fail("the hub has started anew")
            else:
                self._write(command)

    def unlinked(self, why: str) -> None:
        """The connection is over."""
        self._connection = None
        self._is_open = False
        written, self._written = self._written, deque()
        again = []
        for command in written:
            if command.again is not Again.NEVER:
                again.append(command)
            else:
                command.fail(why)
        self._waiting.extendleft(reversed(again))
        if self._failing is None and self._away is None:
            self._away = self._loop.call_later(
                MAX_AWAY, self._give_up, f"no connection to the hub: {why}"
            )

    def fail(self, why: str) -> None:
        """Let all commands fail, and those to come until there is a connection."""
        written, self._written = self._written, deque()
        for command in written:
            command.fail(why)
        self._give_up(why)

    def _give_up(self, why: str) -> None:
        """Let all that waits fail; what is written already may be answered still."""
        self._failing = why
        self._stop_clock()
        while self._waiting:
            self._waiting.popleft().fail(why)

    def _stop_clock(self) -> None:
        if self._away is not None:
            self._away.cancel()
            self._away = None

    # Commands

    def send(self, commands: Iterable[Command]) -> None:
        """Send commands when all is restored, or let them fail."""
        for command in commands:
            if self._failing is not None:
                command.fail(self._failing)
            elif self._is_open:
                self._write(command)
            else:
                self._waiting.append(command)

    def ask(
        self,
        frame: bytes,
        convert: Callable[[Fields], Any] | None = None,
        *,
        answer: int = DONE,
    ) -> asyncio.Future[Any]:
        """Send a command that may be written again; the future has the answer."""
        command = Ask(frame, convert, answer=answer)
        self.send((command,))
        return command.future

    def ask_now(self, frame: bytes) -> asyncio.Future[Any]:
        """Write a command before all that waits for a connection; the future has the answer."""
        command = Ask(frame, again=Again.NEVER)
        self.send_now(command)
        return command.future

    def send_now(self, command: Command) -> None:
        """Write a command before all that waits for a connection."""
        self._write(command)

    def _write(self, command: Command) -> None:
        assert self._connection is not None
        command.run = self._run
        self._written.append(command)
        self._connection.write(command.pack())

    def flush(self) -> None:
        """Let what is written leave before the end of this turn."""
        if self._connection is not None:
            self._connection.flush()

    # Answers

    def answered(self, kind: int, fields: Fields) -> None:
        """An answer has come; raises FrameError if it is none to what was asked."""
        if kind == DONE:
            (count,) = fields.take(U32)
            fields.end()
            if count > len(self._written):
                raise FrameError("more answers than commands")
            for _ in range(count):
                self._answer(DONE, None)
            return
        if not self._written:
            raise FrameError(f"frame of type {kind}, which nobody waits for")
        try:
            result = self._written[0].convert(fields)
        except ValueError as exc:
            self._written.popleft().fail("the hub has answered what it should not")
            raise FrameError(str(exc)) from exc
        if result is not MORE:
            self._answer(kind, result)

    def _answer(self, kind: int, result: Any) -> None:
        command = self._written.popleft()
        if command.answer != kind:
            command.fail("the hub has answered something else")
            raise FrameError(f"an answer of type {kind} to something else")
        command.finish(result)
