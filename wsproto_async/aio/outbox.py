"""What waits for one slow connection of all that is published to many: no IO.

Laws: never more waits than the policy of each message allows, the overhead of the objects included.
What is dropped is told. Control frames never wait here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

__all__ = ["CLOSED", "DROPPED", "OVERHEAD", "Outbox", "Policy"]

CLOSED: Final = "closed"
DROPPED: Final = "dropped"

OVERHEAD: Final = 256
"""Bytes of what is needed to remember one message."""


class Policy:
    """What is done if a message cannot be sent at once: see :class:`Topic`.

    ``topic`` is whose messages it may push out, ``key`` what the message is the latest of.
    ``tell(owner, policy, what)`` is called for each message that is dropped, or that closes the
    connection of ``owner``.
    """

    __slots__ = ("key", "max_age", "max_bytes", "slow", "tell", "topic")

    def __init__(
        self,
        topic: str,
        slow: str,
        max_bytes: int | None,
        max_age: float | None,
        key: str,
        tell: Callable[[Any, Policy, str], None],
    ) -> None:
        self.topic = topic
        self.slow = slow
        self.max_bytes = max_bytes
        self.max_age = max_age
        self.key = key
        self.tell = tell

    @property
    def closes(self) -> bool:
        """Tell if a subscriber that cannot have the message is closed."""
        return self.slow in ("close", "wait")


class Outbox:
    """Frames that wait until the connection of ``owner`` can take them.

    ``size`` is what they hold, in bytes, and ``clock`` tells the time in seconds. When one closes
    the connection, no more is taken.
    """

    __slots__ = (
        "_by_topic",
        "_default",
        "_entries",
        "_is_overdue",
        "_latest",
        "_number",
        "_owner",
        "clock",
        "size",
    )

    def __init__(self, default: int, owner: object, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._default = default
        self._owner = owner
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._by_topic: dict[str, OrderedDict[int, None]] = {}
        self._latest: dict[tuple[str, str], int] = {}
        self._number = 0
        self._is_overdue = False
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, frame: bytes, policy: Policy, held: int, now: float) -> None:
        """Let a frame wait if its policy allows it, while ``held`` bytes wait for the peer.

        ``now`` is in seconds.
        """
        self._drop_old(now)
        if self._is_overdue:
            return
        limit = self._default if policy.max_bytes is None else policy.max_bytes
        room = limit - held - len(frame) - OVERHEAD
        number = self._latest.get((policy.topic, policy.key)) if policy.slow == "latest" else None
        earlier = 0 if number is None else len(self._entries[number].frame) + OVERHEAD
        excess = self.size - earlier - room
        if excess > 0 and policy.closes:
            policy.tell(self._owner, policy, CLOSED)
            return
        pushed_out = self._pushed_out(policy, number, excess)
        if pushed_out is None:
            dropped = [policy]
        else:
            dropped = [self._remove(each).policy for each in pushed_out]
            if number is not None:
                dropped.append(self._entries[number].policy)
            self._add(frame, policy, number, now)
        # Last, since whoever is told may put something else in, or close the connection.
        for each in dropped:
            each.tell(self._owner, each, DROPPED)

    def take(self, now: float) -> bytes | None:
        """Take the oldest frame; None if none is left."""
        self._drop_old(now)
        if self._is_overdue or not self._entries:
            return None
        return self._remove(next(iter(self._entries))).frame

    def _drop_old(self, now: float) -> None:
        """Drop what has waited for too long."""
        while self._entries and not self._is_overdue:
            entry = next(iter(self._entries.values()))
            policy = entry.policy
            if policy.max_age is None or now <= entry.since + policy.max_age:
                break
            if policy.closes:
                self._is_overdue = True
                policy.tell(self._owner, policy, CLOSED)
            else:
                self._remove(next(iter(self._entries)))
                policy.tell(self._owner, policy, DROPPED)

    def _pushed_out(self, policy: Policy, but: int | None, excess: int) -> list[int] | None:
        """Return which frames a new one pushes out; None if these would not make enough room."""
        found = []
        numbers = self._by_topic.get(policy.topic, ())
        for number in () if policy.slow == "drop-newest" else numbers:
            if excess <= 0:
                break
            if number != but:
                found.append(number)
                excess -= len(self._entries[number].frame) + OVERHEAD
        return None if excess > 0 else found

    def _add(self, frame: bytes, policy: Policy, number: int | None, now: float) -> None:
        """Add a frame, with ``number`` in the place of an earlier one."""
        # Moved to the end, a value that changes all the time would never be sent.
        if number is not None:
            self.size += len(frame) - len(self._entries[number].frame)
            self._entries[number] = _Entry(frame, policy, now)
            return
        self._number += 1
        self._entries[self._number] = _Entry(frame, policy, now)
        self._by_topic.setdefault(policy.topic, OrderedDict())[self._number] = None
        if policy.slow == "latest":
            self._latest[policy.topic, policy.key] = self._number
        self.size += len(frame) + OVERHEAD

    def _remove(self, number: int) -> _Entry:
        entry = self._entries.pop(number)
        policy = entry.policy
        numbers = self._by_topic[policy.topic]
        del numbers[number]
        if not numbers:
            del self._by_topic[policy.topic]
        if policy.slow == "latest":
            del self._latest[policy.topic, policy.key]
        self.size -= len(entry.frame) + OVERHEAD
        return entry


class _Entry:
    __slots__ = ("frame", "policy", "since")

    def __init__(self, frame: bytes, policy: Policy, since: float) -> None:
        self.frame = frame
        self.policy = policy
        self.since = since
