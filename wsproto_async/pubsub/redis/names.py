"""The names of channels and keys in Redis.

``<prefix>{<topic>}`` is a topic's channel, and what its keys begin with: so all of them are in one
hash slot. Braces in a topic are written as in a URL, since the first pair of them counts.
"""

from __future__ import annotations

from functools import lru_cache

__all__ = ["Names"]


class Names:
    """The names with one prefix; raises ValueError if it has braces in it."""

    def __init__(self, prefix: str) -> None:
        if "{" in prefix or "}" in prefix:
            raise ValueError("a prefix has no braces")
        self._prefix = prefix
        self.channel = lru_cache(maxsize=4096)(self._channel)

    def _channel(self, topic: str) -> bytes:
        tag = topic.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")
        return f"{self._prefix}{{{tag}}}".encode()

    def head(self, topic: str) -> bytes:
        """Where a topic's history stands."""
        return self.channel(topic) + b":head"

    def kept(self, topic: str) -> bytes:
        """What is kept of it."""
        return self.channel(topic) + b":kept"

    def idempotency(self, topic: str, key: str) -> bytes:
        """What was published with a key."""
        return self.channel(topic) + b":key:" + key.encode()

    def members(self, topic: str) -> bytes:
        """Who is a member of it."""
        return self.channel(topic) + b":members"

    @property
    def processes(self) -> str:
        """The processes, and how often each has told that it lives."""
        return f"{self._prefix}processes"

    def topics(self, process: str) -> str:
        """The topics with members of a process."""
        return f"{self._prefix}topics:{process}"
