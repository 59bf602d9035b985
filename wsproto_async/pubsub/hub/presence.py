"""The members of a process, on one connection after another.

The hub lets them leave when their connection is gone. A hub that has started anew knows of none:
those of whom the others have been told enter in silence. What fails on a connection is said again
on it, since ``restore`` came before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from .command import MORE
from .commands import Commands
from .protocol import ENTER, FIRST, LAST, LEAVE, MEMBERS, U8, U32, Fields, frame_of, short

__all__ = ["Presence"]

_Id = tuple[str, str]


class Presence:
    """The members that this process has, and those that all have together."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._members: dict[_Id, _Member] = {}  # by topic and id
        self._run = b""

    def enter(self, topic: str, member_id: str, name: str) -> asyncio.Future[None]:
        """See ``Broker``."""
        member = self._members.setdefault((topic, member_id), _Member())
        member.name = name
        member.is_leaving = False
        return self._enter(topic, member_id, member)

    def leave(self, topic: str, member_id: str) -> asyncio.Future[None]:
        """See ``Broker``."""
        member = self._members.get((topic, member_id))
        if member is not None:
            member.is_leaving = True
        return self._leave(topic, member_id)

    def restore(self, run: bytes) -> None:
        """Enter on a new connection, to this run of the hub; some may have left meanwhile."""
        is_same, self._run = run == self._run, run
        for (topic, member_id), member in tuple(self._members.items()):
            if is_same:
                member.is_told = False  # the hub has let it leave
            if member.is_told or not member.is_leaving:
                self._enter(topic, member_id, member, now=True)
            if member.is_leaving:
                self._leave(topic, member_id, now=True)

    def members(self, topic: str) -> asyncio.Future[dict[str, str]]:
        """See ``Broker``."""
        return self._commands.ask(
            frame_of(MEMBERS, short(topic.encode())), _collect(), answer=MEMBERS
        )

    def _enter(
        self, topic: str, member_id: str, member: _Member, *, now: bool = False
    ) -> asyncio.Future[None]:
        fields = (_where(topic, member_id), U8.pack(member.is_told), member.name.encode())
        ask = self._commands.ask_now if now else self._commands.ask
        future = ask(frame_of(ENTER, *fields))
        future.add_done_callback(partial(self._entered, (topic, member_id), member))
        return future

    def _entered(self, where: _Id, member: _Member, future: asyncio.Future[None]) -> None:
        if not _has_failed(future):
            member.is_told = True
            return
        is_here = self._members.get(where) is member and not member.is_leaving
        if is_here and self._commands.is_linked:
            self._enter(*where, member, now=True)

    def _leave(self, topic: str, member_id: str, *, now: bool = False) -> asyncio.Future[None]:
        ask = self._commands.ask_now if now else self._commands.ask
        future = ask(frame_of(LEAVE, _where(topic, member_id)))
        future.add_done_callback(partial(self._left, (topic, member_id)))
        return future

    def _left(self, where: _Id, future: asyncio.Future[None]) -> None:
        member = self._members.get(where)
        if member is None or not member.is_leaving:
            return
        if not _has_failed(future):
            del self._members[where]
        elif self._commands.is_linked:
            self._leave(*where, now=True)
        elif not member.is_told:
            del self._members[where]


class _Member:
    __slots__ = ("is_leaving", "is_told", "name")

    def __init__(self) -> None:
        self.name = ""
        self.is_told = False  # the others know of it
        self.is_leaving = False


def _has_failed(future: asyncio.Future[None]) -> bool:
    return future.cancelled() or future.exception() is not None


def _where(topic: str, member_id: str) -> bytes:
    return short(topic.encode()) + short(member_id.encode())


def _collect() -> Callable[[Fields], dict[str, str]]:
    """Return what takes an answer, which may come in parts."""
    members: dict[str, str] = {}

    def take(fields: Fields) -> dict[str, str]:
        (flags,) = fields.take(U8)
        if flags & FIRST:
            members.clear()
        while fields:
            member_id = fields.text()
            (length,) = fields.take(U32)
            members[member_id] = fields.raw(length).decode()
        return members if flags & LAST else MORE

    return take
