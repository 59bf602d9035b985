"""What a server's application says about its topics: their names, histories and policies."""

from __future__ import annotations

import math
from collections.abc import Callable
from inspect import iscoroutinefunction
from typing import Any, Final, Literal, get_args

from ..exceptions import TopicRefused
from .broker import Retention
from .publication import Publication

__all__ = ["Slow", "Topic", "check_key", "check_slow", "check_topic"]

Slow = Literal["close", "wait", "drop-oldest", "drop-newest", "latest"]
"""What is done about a subscriber that does not read as fast as messages are published."""

_MAX_NAME: Final = 255  # bytes of UTF-8
_SLOW: Final = frozenset(get_args(Slow))


class Topic:
    """What holds for the topics whose names match ``pattern``.

    - ``pattern``: a name, or the beginning of one and ``*``. Of those given to :func:`serve` the
      first that matches counts.
    - ``slow``: what is done about a subscriber for which more than ``write_limit`` waits:

      - ``"close"``, the default: messages wait for it, and when more would wait than allowed it is
        closed with 1013. It misses the end rather than the middle.
      - ``"wait"``: the same, but who awaits ``publish`` waits for it.
      - ``"drop-oldest"``, ``"drop-newest"``: messages wait for it, and when more would wait than
        allowed the oldest of the topic that wait are dropped, or the new one.
      - ``"latest"``: of messages with the same ``key`` only the latest waits; then as
        ``"drop-oldest"``.
    - ``max_bytes``: bytes that may wait for one subscriber, from all topics, what the transport
      holds included; None, the default, is 16 times its ``write_limit``: 1 MiB. With less than
      twice ``write_limit`` the transport alone may hold so much that the newest is dropped. What a
      subscriber has missed is sent if all of it finds room there, and as many of its ``last``
      messages as do.
    - ``max_age``: seconds that a message may wait. What is older is dropped, or with ``"close"``
      and ``"wait"`` the subscriber closed with 1013, when the next message comes or the peer reads
      again. None, the default, is no limit.
    - ``history``: how many messages are kept for subscribers that have missed them, 0 by default;
      ``history_age``: for how many seconds, 300 by default. Who publishes keeps them: all processes
      that share a broker need the same.
    - ``presence``: True if members are kept of; see ``subscribe``. False by default.
    - ``wrap(publication)``: returns what each subscriber is sent, called once per publication and
      process, and again for who has missed it; None sends nothing. By default messages are sent
      as they were published, joins and leaves not at all.
    - ``on_subscribe(ws, topic)``, ``on_unsubscribe(ws, topic)``: called after that, the end of the
      connection included.
    - ``on_slow(ws, topic, what)``: called each time that ``what``, ``"dropped"`` or ``"closed"``,
      was done about a slow subscriber; a message that a later one with its ``key`` replaces is
      dropped, too.
    - ``on_gap(websockets, topic)``: called when these, the subscribers in this process, may have
      missed messages that cannot be had any more, as after an outage of the broker; with
      ``presence`` after each, since joins and leaves are not kept.

    These are plain functions, called and not awaited. What they raise is logged; if it is ``wrap``,
    nobody in this process is sent that publication.

    Raises TypeError and ValueError for what cannot be.
    """

    def __init__(
        self,
        pattern: str,
        *,
        slow: Slow = "close",
        max_bytes: int | None = None,
        max_age: float | None = None,
        history: int = 0,
        history_age: float = 300,
        presence: bool = False,
        wrap: Callable[[Publication], str | bytes | None] | None = None,
        on_subscribe: Callable[[Any, str], None] | None = None,
        on_unsubscribe: Callable[[Any, str], None] | None = None,
        on_slow: Callable[[Any, str, str], None] | None = None,
        on_gap: Callable[[frozenset[Any], str], None] | None = None,
    ) -> None:
        if pattern != "*":
            check_topic(pattern.removesuffix("*") if isinstance(pattern, str) else pattern)
        self.pattern = pattern
        self._prefix = pattern[:-1] if pattern.endswith("*") else None
        check_slow(slow)
        _check_positive("max_bytes", max_bytes)
        _check_positive("max_age", max_age)
        if history_age is None:
            raise TypeError("history_age must be a number of seconds")
        _check_positive("history_age", history_age)
        if not isinstance(history, int) or history < 0:
            raise ValueError("history must be a number of messages, or 0")
        _check_callback("wrap", wrap)
        _check_callback("on_subscribe", on_subscribe)
        _check_callback("on_unsubscribe", on_unsubscribe)
        _check_callback("on_slow", on_slow)
        _check_callback("on_gap", on_gap)
        self.slow: Slow = slow
        self.max_bytes = max_bytes
        self.max_age = max_age
        self.retention = Retention(history, history_age) if history else None
        self.presence = presence
        self.wrap = wrap
        self.on_subscribe = on_subscribe
        self.on_unsubscribe = on_unsubscribe
        self.on_slow = on_slow
        self.on_gap = on_gap

    def __repr__(self) -> str:
        return f"Topic({self.pattern!r})"

    def matches(self, name: str) -> bool:
        """Tell if this holds for the topic ``name``."""
        return name == self.pattern if self._prefix is None else name.startswith(self._prefix)


def check_topic(name: str) -> None:
    """Raise TopicRefused unless ``name`` can name a topic, TypeError if it is no string.

    It has 1 to 255 bytes of UTF-8, all characters can be printed, and none is ``*``.
    """
    if not isinstance(name, str):
        raise TypeError(f"a topic must be a str, not {type(name).__name__}")
    # Printable rules lone surrogates out, which cannot be encoded.
    if not name or "*" in name or not name.isprintable() or len(name.encode()) > _MAX_NAME:
        why = f"1 to {_MAX_NAME} bytes, printable, and no * but at the end of a pattern"
        raise TopicRefused(f"no name for a topic, which has {why}: {name[:_MAX_NAME]!r}")


def check_key(name: str, key: str) -> None:
    """Raise TopicRefused unless ``key`` has at most 255 bytes of UTF-8, TypeError if it is none."""
    if not isinstance(key, str):
        raise TypeError(f"{name} must be a str, not {type(key).__name__}")
    try:
        size = len(key.encode())
    except UnicodeEncodeError as exc:
        raise TopicRefused(f"{name} must be UTF-8: {exc}") from None
    if size > _MAX_NAME:
        raise TopicRefused(f"{name} must have at most {_MAX_NAME} bytes of UTF-8")


def check_slow(slow: str) -> None:
    """Raise ValueError unless ``slow`` is one of the policies."""
    if slow not in _SLOW:
        raise ValueError(f"slow must be one of {', '.join(get_args(Slow))}")


def _check_positive(name: str, value: float | None) -> None:
    if value is not None and not 0 < value < math.inf:
        raise ValueError(f"{name} must be positive, and finite")


def _check_callback(name: str, value: object) -> None:
    if value is not None and (not callable(value) or iscoroutinefunction(value)):
        raise TypeError(f"{name} must be a plain function, which is not awaited, not {value!r}")
