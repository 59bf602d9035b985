"""What waits for one slow connection of all that is published to many: no IO.

Laws: never more waits than the policy of each message allows, the overhead of the objects included.
What is dropped is told. Control frames never wait here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

__all__ = ["CLOSED", "DROPPED", "Outbox", "Policy"]

CLOSED: Final = "closed"
DROPPED: Final = "dropped"

_OVERHEAD: Final = 256  # bytes of what is needed to remember one message


class Policy:
    """What is done if a message cannot be sent at once: see :class:`Topic`.

    ``topic`` is whose messages it may push out, ``key`` what the message is the latest of.
    """

    __slots__ = ("key", "max_age", "max_bytes", "slow", "topic")

    def __init__(
        self, topic: str, slow: str, max_bytes: int | None, max_age: float | None, key: str
    ) -> None:
        self.topic = topic
        self.slow = slow
        self.max_bytes = max_bytes
        self.max_age = max_age
        self.key = key

    @property
    def closes(self) -> bool:
        """Tell if a subscriber that cannot have the message is closed."""
        return self.slow in ("close", "wait")


class Outbox:
    """Frames that wait until a connection can take them; ``size`` is what they hold, in bytes.

    ``tell(policy, what)`` is called for each message that is dropped, or that closes the
    connection; ``overdue`` is the policy of one that has waited for too long, and has to close it.
    """

    __slots__ = (
        "_by_topic",
        "_default",
        "_entries",
        "_latest",
        "_number",
        "_tell",
        "overdue",
        "size",
    )

    def __init__(self, default: int, tell: Callable[[Policy, str], None]) -> None:
        self._default = default
        self._tell = tell
        self._entries: OrderedDict[int, _Entry] = OrderedDict()
        self._by_topic: dict[str, OrderedDict[int, None]] = {}
        self._latest: dict[tuple[str, str], int] = {}
        self._number = 0
        self.overdue: Policy | None = None
        self.size = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, frame: bytes, policy: Policy, held: int, now: float) -> None:
        """Let a frame wait if its policy allows it, while ``held`` bytes wait for the peer.

        ``now`` is in seconds.
        """
        limit = self._default if policy.max_bytes is None else policy.max_bytes
        if policy.slow == "latest" and self._replace(frame, policy, limit - held, now):
            return
        while held + self.size + len(frame) + _OVERHEAD > limit:
            if policy.closes:
                self._tell(policy, CLOSED)
                return
            if policy.slow == "drop-newest" or policy.topic not in self._by_topic:
                self._tell(policy, DROPPED)
                return
            self._remove(next(iter(self._by_topic[policy.topic])))
            self._tell(policy, DROPPED)
        self._number += 1
        self._entries[self._number] = _Entry(frame, policy, now)
        self._by_topic.setdefault(policy.topic, OrderedDict())[self._number] = None
        if policy.slow == "latest":
            self._latest[policy.topic, policy.key] = self._number
        self.size += len(frame) + _OVERHEAD

    def take(self, now: float) -> bytes | None:
        """Take the oldest frame; None if none is left, or if one is ``overdue``."""
        while self._entries and self.overdue is None:
            entry = self._remove(next(iter(self._entries)))
            policy = entry.policy
            if policy.max_age is None or now <= entry.since + policy.max_age:
                return entry.frame
            if policy.closes:
                self.overdue = policy
            else:
                self._tell(policy, DROPPED)
        return None

    def close(self, policy: Policy) -> None:
        """Tell that the connection has to be closed for a message with this policy."""
        self._tell(policy, CLOSED)

    def _replace(self, frame: bytes, policy: Policy, room: int, now: float) -> bool:
        """Put a frame in the place of the one that it is a later version of; tell if it fits."""
        number = self._latest.get((policy.topic, policy.key))
        if number is None:
            return False
        self._tell(policy, DROPPED)
        growth = len(frame) - len(self._entries[number].frame)
        if self.size + growth > room:
            self._remove(number)
            return False
        # Its place stays: moved to the end, a value that changes all the time would never be sent.
        self._entries[number] = _Entry(frame, policy, now)
        self.size += growth
        return True

    def _remove(self, number: int) -> _Entry:
        entry = self._entries.pop(number)
        policy = entry.policy
        numbers = self._by_topic[policy.topic]
        del numbers[number]
        if not numbers:
            del self._by_topic[policy.topic]
        if policy.slow == "latest":
            del self._latest[policy.topic, policy.key]
        self.size -= len(entry.frame) + _OVERHEAD
        return entry


class _Entry:
    __slots__ = ("frame", "policy", "since")

    def __init__(self, frame: bytes, policy: Policy, since: float) -> None:
        self.frame = frame
        self.policy = policy
        self.since = since
