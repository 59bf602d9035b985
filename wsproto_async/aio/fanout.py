"""From one publication to all its subscribers.

Laws: what is published in one turn of the loop goes to each subscriber in one write. However many
they are, the loop is not held for longer than a slice. Publications go out in their order.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from functools import partial
from time import monotonic
from typing import Final

from ..extensions.base import Codec
from ..sansio.state import State
from .flow import Waiters
from .outbox import Policy
from .prepared import PreparedMessage
from .protocol import ProtocolCore

__all__ = ["Fanout", "Tell"]

Tell = Callable[[ProtocolCore, Policy, str], None]
"""Told what was done about a slow subscriber."""

_SLICE: Final = 0.004  # seconds
_GLANCE: Final = 32  # subscribers between two looks at the clock
_JOINED: Final = 65536  # bytes that go out in one write
_OPEN: Final = State.OPEN


class Fanout:
    """Gives messages to connections, at the end of the loop's turn and in those that follow.

    ``pending`` is how many bytes are still to be given, each message counted once.
    """

    __slots__ = ("_batches", "_idle", "_is_due", "_loop", "_tell", "pending")

    def __init__(self, loop: asyncio.AbstractEventLoop, tell: Tell) -> None:
        self._loop = loop
        self._tell = tell
        self._batches: deque[_Batch] = deque()
        self._is_due = False
        self._idle = Waiters()
        self.pending = 0

    def add(
        self,
        targets: tuple[ProtocolCore, ...],
        message: PreparedMessage,
        policy: Policy,
        excluded: ProtocolCore | None = None,
    ) -> None:
        """Let all ``targets`` but the excluded one have a message, in its turn."""
        self.pending += message.size
        batch = self._batches[-1] if self._batches else None
        if batch is None or batch.targets is not targets or not batch.takes(message):
            batch = _Batch(targets)
            self._batches.append(batch)
        batch.add(message, policy, excluded)
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._run)

    def give(self, protocol: ProtocolCore, message: PreparedMessage, policy: Policy) -> None:
        """Let one connection have a message at once."""
        _give(protocol, message, policy, self._tell)

    def is_busy(self) -> bool:
        """Tell if somebody who publishes ever more has to let the loop go on."""
        if not self._batches:
            return False
        batch = self._batches[0]
        return self.pending > _JOINED or len(self._batches) > 1 or batch.has_many()

    async def idle(self) -> None:
        """Wait until all has been given that was added."""
        while self._batches:
            await self._idle.wait()

    def _run(self) -> None:
        until = monotonic() + _SLICE
        is_done = True
        try:
            while is_done and self._batches:
                batch = self._batches[0]
                is_done = batch.go_on(until, self._tell)
                if is_done:
                    self._drop()
        except BaseException:  # an extension's codec may raise anything
            self._drop()
            raise
        finally:
            self._is_due = bool(self._batches)
            if self._is_due:
                self._loop.call_soon(self._run)
            else:
                self._idle.wake()

    def _drop(self) -> None:
        batch = self._batches.popleft()
        self.pending -= batch.size


class _Batch:
    """Messages for the same connections, and how many of these have got them."""

    __slots__ = (
        "_count",
        "_excluded",
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
        self._messages: list[PreparedMessage] = []
        self._policies: list[Policy] = []
        self._excluded: dict[ProtocolCore, set[int]] | None = None
        self._plain: bytes | None = None
        self._joined: dict[Hashable, bytes] = {}

    def takes(self, message: PreparedMessage) -> bool:
        """Tell if one more message fits in: nobody has got the others yet."""
        return self._count == 0 and self.size + message.size <= _JOINED

    def has_many(self) -> bool:
        """Tell if it has many messages."""
        return len(self._messages) >= _GLANCE

    def add(self, message: PreparedMessage, policy: Policy, excluded: ProtocolCore | None) -> None:
        """Add a message that ``takes`` has accepted."""
        if excluded is not None:
            if self._excluded is None:
                self._excluded = {}
            self._excluded.setdefault(excluded, set()).add(len(self._messages))
        self._messages.append(message)
        self._policies.append(policy)
        self.size += message.size

    def go_on(self, until: float, tell: Tell) -> bool:
        """Give the messages to some more connections; tell if that were the last."""
        targets = self.targets
        total = len(targets)
        messages = len(self._messages)
        excluded = self._excluded
        while self._count < total:
            end = min(self._count + _GLANCE, total)
            for number in range(self._count, end):
                protocol = targets[number]
                connection = protocol.connection
                if connection.state is not _OPEN:
                    continue
                sender = protocol.sender
                if (excluded is not None and protocol in excluded) or sender.is_held_up():
                    self._give_each(protocol, tell)
                else:
                    sender.push(self._frames(connection.codec), messages)
            self._count = end
            if end < total and monotonic() >= until:
                return False
        return True

    def _give_each(self, protocol: ProtocolCore, tell: Tell) -> None:
        not_for_it = self._excluded.get(protocol) if self._excluded is not None else None
        for number, message in enumerate(self._messages):
            if not_for_it is None or number not in not_for_it:
                _give(protocol, message, self._policies[number], tell)

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


def _give(protocol: ProtocolCore, message: PreparedMessage, policy: Policy, tell: Tell) -> None:
    connection = protocol.connection
    if connection.state is not _OPEN:
        return
    sender = protocol.sender
    frame = message.frame(connection.codec, False)
    if sender.is_held_up():
        sender.hold(frame, policy, partial(tell, protocol))
    else:
        sender.push(frame, 1)
