"""Who is a member of which topic, in all processes that share a Redis.

A process counts up in Redis every 5 s. Whose count stands still for 20 s is taken for dead by the
others: they make the count negative, and its members leave. Who finds its own count negative was
only slow: it goes on under another name. Who finds it lost tells Redis anew who its members are.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from enum import Enum
from functools import partial
from itertools import chain
from typing import Any, Final

from ...exceptions import BrokerError
from ..broker import PRESENCE_TTL
from ..futures import has_succeeded
from ..publication import Kind, Publication
from ..wire import encode
from .call import Call
from .cluster import Cluster
from .names import Names
from .scripts import ENTER, LEAVE, SYNC, Script

__all__ = ["Presence"]

_DEAD: Final = -(2**50)
_TICKS: Final = 6  # in PRESENCE_TTL
_TICKS_TO_DEATH: Final = 4
_TICKS_TO_OBLIVION: Final = 720
_AT_ONCE: Final = 100  # topics

_NAME_LENGTH: Final = 16
_PROCESS: Final = re.compile(r"[0-9a-f]{16}")
_COUNT: Final = re.compile(rb"-?[0-9]{1,18}")

# What is published, from behind its length to before that of the key.
_JOINS: Final = encode(Publication("", b"", True, kind=Kind.JOIN))[4:-1]
_LEAVES: Final = encode(Publication("", b"", True, kind=Kind.LEAVE))[4:-1]


class _Outage(Enum):
    """What has become of a server that may have lost its topics."""

    NONE = 0
    LASTS = 1
    IS_OVER = 2  # and this process has not looked since


class Presence:
    """The members of this process, and what is to be done for those of others.

    ``on_restored`` is called when Redis had forgotten all, and all processes have seen it.
    """

    def __init__(self, cluster: Cluster, names: Names, on_restored: Callable[[], None]) -> None:
        self._cluster = cluster
        self._names = names
        self._on_restored = on_restored
        self._process = _new_name()
        self._topics: dict[str, dict[str, str]] = {}  # the members' names by id
        self._counts: dict[str, tuple[int, int]] = {}  # of others, and for how many ticks
        self._is_known = False  # this process to Redis
        self._is_unsure = False  # if Redis knows all that has changed
        self._outage = _Outage.NONE
        self._was_lost = False  # what Redis knew, at no outage
        self._look = asyncio.Event()

    def enter(self, topic: str, member_id: str, name: str) -> asyncio.Future[None]:
        """See ``Broker``."""
        members = self._topics.setdefault(topic, {})
        if not members:
            self._send("SADD", self._names.topics(self._process), topic)
        members[member_id] = name
        return self._send(
            *(1, self._names.members(topic), self._process, member_id, name),
            *(self._names.channel(topic), _JOINS),
            script=ENTER,
        )

    def leave(self, topic: str, member_id: str) -> asyncio.Future[None]:
        """See ``Broker``."""
        members = self._topics.get(topic, {})
        is_member = members.pop(member_id, None) is not None
        if not is_member:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            done.set_result(None)
            return done
        future = self._send(
            *(1, self._names.members(topic), self._process, member_id),
            *(self._names.channel(topic), _LEAVES),
            script=LEAVE,
        )
        if not members:
            del self._topics[topic]
            future.add_done_callback(partial(self._left, self._process, topic))
        return future

    # Not earlier: the members may be at another server, which is away, and have to be found then.
    def _left(self, process: str, topic: str, future: asyncio.Future[None]) -> None:
        if has_succeeded(future) and topic not in self._topics:
            self._send("SREM", self._names.topics(process), topic)

    def members(self, topic: str) -> asyncio.Future[dict[str, str]]:
        """See ``Broker``."""
        return self._cluster.ask(Call("HGETALL", self._names.members(topic)), _members)

    def cut_off(self) -> None:
        """A server is away: what it has lost then is told as an outage."""
        self._outage = _Outage.LASTS

    def look(self) -> None:
        """Look now if all is as it should be: a server is back."""
        self._outage = _Outage.IS_OVER
        self._look.set()

    async def run(self) -> None:
        """Count, and look after the others, until cancelled."""
        while True:
            try:
                await self._tick()
            except BrokerError:
                self._counts.clear()  # nobody could count
            try:
                async with asyncio.timeout(PRESENCE_TTL / _TICKS):
                    await self._look.wait()
            except TimeoutError:
                pass
            self._look.clear()

    async def leave_all(self) -> None:
        """Leave all topics; raises BrokerError."""
        await self._bury(self._process)
        await self._cluster.ask(Call("HDEL", self._names.processes, self._process), _none)

    async def _tick(self) -> None:
        counting = self._cluster.ask(Call("HINCRBY", self._names.processes, self._process, 1), int)
        looking = self._cluster.ask(Call("HGETALL", self._names.processes), _counts)
        count = await counting
        counts = await looking
        is_lost = count == 1 and self._is_known
        is_back = self._outage is _Outage.IS_OVER
        if self._was_lost:  # since then the others have looked as well
            self._was_lost = False
            self._on_restored()
        try:
            if count < 0:
                await self._go_on_under_another_name()
            elif self._is_unsure or is_back or is_lost:
                joins = self._is_unsure and not is_lost
                self._was_lost = is_lost and self._outage is _Outage.NONE
                if is_back:
                    self._outage = _Outage.NONE
                self._is_unsure = False
                await self._restore(self._process, self._topics, joins=joins)
        except BrokerError:
            self._is_unsure = True
            raise
        self._is_known = True
        await self._look_after(counts)

    async def _go_on_under_another_name(self) -> None:
        process, self._process = self._process, _new_name()
        self._send("HSET", self._names.processes, self._process, "1")
        await self._bury(process)
        await self._restore(self._process, self._topics, joins=True)

    async def _look_after(self, counts: dict[str, int]) -> None:
        """Bury who is dead."""
        counts.pop(self._process, None)
        self._counts = {
            process: (count, self._counts[process][1] + 1)
            if self._counts.get(process, (None,))[0] == count
            else (count, 0)
            for process, count in counts.items()
        }
        for process, (count, ticks) in self._counts.items():
            if ticks == _TICKS_TO_DEATH:
                if count >= 0:
                    self._send("HINCRBY", self._names.processes, process, _DEAD)
                await self._bury(process)
            elif ticks >= _TICKS_TO_OBLIVION:
                self._send("HDEL", self._names.processes, process)

    async def _bury(self, process: str) -> None:
        """Let all members of a process leave."""
        await self._restore(process, {})
        await self._cluster.ask(Call("DEL", self._names.topics(process)), _none)

    async def _restore(
        self, process: str, topics: dict[str, dict[str, str]], *, joins: bool = True
    ) -> None:
        """Make the members of a process what they should be in Redis."""
        names = self._names
        known = await self._cluster.ask(Call("SMEMBERS", names.topics(process)), _strings)
        todo = list({*topics, *known})
        for i in range(0, len(todo), _AT_ONCE):
            syncing = []
            for topic in todo[i : i + _AT_ONCE]:
                members = topics.get(topic, {})
                if members:
                    self._send("SADD", names.topics(process), topic)
                call = Call(
                    *(1, names.members(topic), process, names.channel(topic)),
                    *(_JOINS if joins else b"", _LEAVES),
                    *chain.from_iterable(members.items()),
                    script=SYNC,
                )
                syncing.append(self._cluster.ask(call, _none))
            await asyncio.gather(*syncing)
            for topic in todo[i : i + _AT_ONCE]:
                if topic not in topics:
                    self._send("SREM", names.topics(process), topic)

    def _send(
        self, *arguments: str | bytes | int, script: Script | None = None
    ) -> asyncio.Future[None]:
        future = self._cluster.ask(Call(*arguments, script=script), _none)
        future.add_done_callback(self._check)
        return future

    def _check(self, future: asyncio.Future[None]) -> None:
        if future.cancelled() or future.exception() is not None:
            self._is_unsure = True


def _new_name() -> str:
    return secrets.token_hex(_NAME_LENGTH // 2)


def _none(reply: Any) -> None:
    return None


def _strings(reply: list[bytes]) -> list[str]:
    return [_text(each) for each in reply]


def _counts(reply: list[bytes]) -> dict[str, int]:
    found = {_text(process): count for process, count in _pairs(reply)}
    return {
        process: int(count)
        for process, count in found.items()
        if _PROCESS.fullmatch(process) and _COUNT.fullmatch(count)
    }


def _members(reply: list[bytes]) -> dict[str, str]:
    return {_text(field[_NAME_LENGTH:]): _text(name) for field, name in _pairs(reply)}


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _pairs(reply: list[bytes]) -> list[tuple[bytes, bytes]]:
    return list(zip(reply[::2], reply[1::2], strict=True))
