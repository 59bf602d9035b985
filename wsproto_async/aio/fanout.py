"""From one publication to all its subscribers.

Laws: what is published on a topic in one turn of the loop goes to each subscriber in one write.
However many they are, the loop is not held for longer than a slice. Publications go out in their
order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable, Iterable
from math import inf
from time import monotonic
from typing import Final

from ..extensions.base import Codec
from ..sansio.state import OPEN
from .flow import Waiters
from .outbox import OVERHEAD, Policy
from .prepared import PreparedMessage
from .protocol import ProtocolCore

__all__ = ["Fanout"]

_SLICE: Final = 0.004  # seconds
_GLANCE: Final = 32  # frames or writes between two looks at the clock
_OVERHEAD: Final = OVERHEAD
_JOINED: Final = 65536  # bytes that go out in one write


class Fanout:
    """Gives messages to connections, at the end of the loop's turn and in those that follow.

    ``pending`` is how many bytes are still to be given, each message counted once, with what it
    takes to remember it.
    """

    __slots__ = ("_added", "_batches", "_changed", "_given", "_is_due", "_loop", "pending")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._batches: deque[_Batch] = deque()
        self._is_due = False
        self._changed = Waiters()
        self._added = 0
        self._given = 0
        self.pending = 0

    def add(
        self,
        targets: tuple[ProtocolCore, ...],
        message: PreparedMessage,
        policy: Policy,
        excluded: ProtocolCore | None = None,
    ) -> None:
        """Let all ``targets`` but the excluded one have a message, in its turn."""
        self._added += 1
        self.pending += message.size + _OVERHEAD
        batch = self._batches[-1] if self._batches else None
        if batch is None or batch.targets is not targets or not batch.takes(message):
            batch = _Batch(targets)
            self._batches.append(batch)
        batch.add(message, policy, excluded)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._run)

    def give(
        self, protocol: ProtocolCore, messages: Iterable[PreparedMessage], policy: Policy
    ) -> None:
        """Let one connection have messages at once."""
        batch = _Batch((protocol,))
        for message in messages:
            if not batch.takes(message):
                batch.go_on(inf)
                batch = _Batch((protocol,))
            batch.add(message, policy, None)
        batch.go_on(inf)

    def is_busy(self) -> bool:
        """Tell if somebody who publishes ever more has to let the loop go on."""
        if not self._batches:
            return False
        batch = self._batches[0]
        return self.pending > _JOINED or len(self._batches) > 1 or batch.has_many()

    async def settle(self) -> None:
        """Wait until all has been given that was added before."""
        until = self._added
        while self._given < until:
            await self._changed.wait()

    def _run(self) -> None:
        until = monotonic() + _SLICE
        has_time = True
        try:
            while has_time and self._batches:
                batch = self._batches[0]
                if batch.go_on(until):
                    self._drop()
                has_time = monotonic() < until
        except BaseException:  # an extension's codec may raise anything
            self._drop()
            raise
        finally:
            self._is_due = bool(self._batches)
            if self._is_due:
                self._loop.call_soon(self._run)
            self._changed.wake()

    def _drop(self) -> None:
        batch = self._batches.popleft()
        self.pending -= batch.size
        self._given += batch.count()


class _Batch:
    """Messages for the same connections, and how many of these have got them."""

    __slots__ = (
        "_count",
        "_excluded",
        "_is_begun",
        "_joined",
        "_messages",
        "_plain",
        "_policies",
        "size",
        "targets",
    )

    def __init__(self, targets: tuple[ProtocolCore, ...]) -> None:
        self.targets = targets
        self.size = 0
        self._count = 0
        self._is_begun = False
        self._messages: list[PreparedMessage] = []
        self._policies: list[Policy] = []
        self._excluded: dict[ProtocolCore, set[int]] | None = None
        self._plain: bytes | None = None
        self._joined: dict[Hashable, bytes] = {}

    def takes(self, message: PreparedMessage) -> bool:
        """Tell if one more message fits in: nobody has got the others yet."""
        if self._is_begun:
            return False
        return not self._messages or self.size + message.size + _OVERHEAD <= _JOINED

    def has_many(self) -> bool:
        """Tell if it has many messages."""
        return len(self._messages) >= _GLANCE

    def count(self) -> int:
        """Return how many messages it has."""
        return len(self._messages)

    def add(self, message: PreparedMessage, policy: Policy, excluded: ProtocolCore | None) -> None:
        """Add a message that ``takes`` has accepted."""
        if excluded is not None:
            if self._excluded is None:
                self._excluded = {}
            self._excluded.setdefault(excluded, set()).add(len(self._messages))
        self._messages.append(message)
        self._policies.append(policy)
        self.size += message.size + _OVERHEAD

    def go_on(self, until: float) -> bool:
        """Give the messages to some more connections; tell if that were the last."""
        self._is_begun = True  # whoever is told of what is dropped may publish
        targets = self.targets
        total = len(targets)
        messages = len(self._messages)
        excluded = self._excluded
        work = 0
        while self._count < total:
            protocol = targets[self._count]
            self._count += 1
            connection = protocol.connection
            if connection.state is not OPEN:
                continue
            sender = protocol.sender
            if sender.is_held_up():
                self._give_each(protocol)
                work += messages
            elif excluded is not None and protocol in excluded:
                self._push_some(protocol, excluded[protocol])
                work += messages
            else:
                sender.push(self._frames(connection.codec), messages)
                work += 1
            if work >= _GLANCE and self._count < total:
                if monotonic() >= until:
                    return False
                work = 0
        return True

    def _give_each(self, protocol: ProtocolCore) -> None:
        not_for_it = self._excluded.get(protocol) if self._excluded is not None else None
        for number, message in enumerate(self._messages):
            if not_for_it is None or number not in not_for_it:
                _give(protocol, message, self._policies[number])

    def _push_some(self, protocol: ProtocolCore, not_for_it: set[int]) -> None:
        codec = protocol.connection.codec
        frames = [
            message.frame(codec, False)
            for number, message in enumerate(self._messages)
            if number not in not_for_it
        ]
        if frames:
            protocol.sender.push(b"".join(frames), len(frames))

    def _frames(self, codec: Codec | None) -> bytes:
        """Return all messages as frames for connections with this codec."""
        if codec is None or codec.encoding is None:
            if self._plain is None:
                self._plain = self._join(None)
            return self._plain
        joined = self._joined.get(codec.encoding)
        if joined is None:
            joined = self._joined[codec.encoding] = self._join(codec)
        return joined

    def _join(self, codec: Codec | None) -> bytes:
        return b"".join([each.frame(codec, False) for each in self._messages])


def _give(protocol: ProtocolCore, message: PreparedMessage, policy: Policy) -> None:
    connection = protocol.connection
    if connection.state is not OPEN:
        return
    sender = protocol.sender
    frame = message.frame(connection.codec, False)
    if sender.is_held_up():
        sender.hold(frame, policy, protocol)
    else:
        sender.push(frame, 1)
