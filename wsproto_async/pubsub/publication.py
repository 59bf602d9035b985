"""What is published: a message on a topic, and its position among those before and after it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import IntEnum
from itertools import count, repeat
from typing import Final, NamedTuple

__all__ = ["MAX_EPOCH", "MAX_OFFSET", "Kind", "Position", "Publication", "positions"]

MAX_EPOCH: Final = 32
"""Characters."""

MAX_OFFSET: Final = 2**53 - 1
"""The largest integer that JavaScript and Lua have exactly."""

_POSITION: Final = re.compile(rf"([0-9a-z]{{1,{MAX_EPOCH}}}):(0|[1-9][0-9]{{0,15}})")


class Kind(IntEnum):
    """What a publication tells."""

    MESSAGE = 0
    JOIN = 1
    LEAVE = 2


class Position(NamedTuple):
    """A place in the history of a topic: behind the ``offset``-th message of ``epoch``.

    An epoch ends when the history is lost or forgotten: offsets of different ones tell nothing
    about each other. ``str(position)`` is what a client can keep, as ``epoch:offset``.
    """

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Return the position that ``str()`` has made ``text`` of.

        Raises ValueError for anything else, whatever its type: a client may have sent it.
        """
        match = _POSITION.fullmatch(text) if isinstance(text, str) else None
        if match is None or int(match[2]) > MAX_OFFSET:
            raise ValueError("not a position")
        return cls(match[1], int(match[2]))


def positions(first: Position) -> Iterator[Position]:
    """Return a position and all that follow it."""
    pairs = zip(repeat(first.epoch), count(first.offset))
    return map(tuple.__new__, repeat(Position), pairs)  # a third of what Position() takes


class Publication:
    """A message on a topic, on its way from who published it to who subscribed.

    ``position`` is where it stands in the topic's history, None without one. Of a ``JOIN`` or a
    ``LEAVE`` the payload is the member's name, and ``key`` its id. It is shared: do not change it.
    """

    __slots__ = (
        "compress",
        "exclude",
        "is_text",
        "key",
        "kind",
        "payload",
        "position",
        "slow",
        "topic",
    )

    def __init__(
        self,
        topic: str,
        payload: bytes,
        is_text: bool,
        *,
        kind: Kind = Kind.MESSAGE,
        key: str = "",
        slow: str | None = None,
        compress: bool | None = None,
        exclude: bytes = b"",
        position: Position | None = None,
    ) -> None:
        self.topic = topic
        self.payload = payload
        """Bytes; of text, UTF-8."""
        self.is_text = is_text
        self.kind = kind
        self.key = key
        """What it is the latest of, for subscribers that are slow."""
        self.slow = slow
        """What is done about subscribers that are slow; None for what the topic says."""
        self.compress = compress
        self.exclude = exclude
        """The 16 bytes of the ``id`` of the connection that does not get it; empty for none."""
        self.position = position

    def __repr__(self) -> str:
        where = "" if self.position is None else f" {self.position}"
        return f"<Publication {self.topic}{where} {self.kind.name} {len(self.payload)} bytes>"

    @property
    def message(self) -> str | bytes:
        """What was published: ``str`` for text, ``bytes`` for binary."""
        return self.payload.decode() if self.is_text else self.payload

    def at(self, position: Position | None) -> Publication:
        """Return the same at another position."""
        return Publication(
            self.topic,
            self.payload,
            self.is_text,
            kind=self.kind,
            key=self.key,
            slow=self.slow,
            compress=self.compress,
            exclude=self.exclude,
            position=position,
        )
