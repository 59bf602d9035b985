"""What a server or a client was asked for and its connections go by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, Final, Literal, TypedDict

from ..extensions.base import Extension
from ..extensions.permessage_deflate import PerMessageDeflate
from ..handshake.extensions import Extensions, check_extensions
from .log import Log

__all__ = [
    "USUAL_WRITE_LIMIT",
    "Compression",
    "Settings",
    "Timeouts",
    "all_extensions",
    "all_of",
    "changed",
    "check_limit",
    "check_timeout",
]

Compression = Literal["deflate"] | PerMessageDeflate | None

USUAL_WRITE_LIMIT: Final = 65536
"""Bytes; with so many transports begin."""

_TIMEOUTS: Final = (
    "open_timeout",
    "close_timeout",
    "ping_interval",
    "ping_timeout",
    "send_timeout",
    "frame_timeout",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """Timeouts in seconds and limits in bytes; None lifts a timeout."""

    open_timeout: float | None
    close_timeout: float | None
    ping_interval: float | None
    ping_timeout: float | None
    send_timeout: float | None
    frame_timeout: float | None
    read_limit: int
    write_limit: int
    log: Log

    def __post_init__(self) -> None:
        for name in _TIMEOUTS:
            check_timeout(name, getattr(self, name))
        # A character of a streamed text has up to 4 bytes, and none is given out in part.
        if self.read_limit < 4 or self.write_limit < 1:
            raise ValueError("read_limit must be at least 4 bytes, and write_limit 1")


class Timeouts(TypedDict, total=False):
    """The timeouts that an open connection can change, in seconds; None lifts one."""

    close_timeout: float | None
    ping_interval: float | None
    ping_timeout: float | None
    send_timeout: float | None
    frame_timeout: float | None


def changed(settings: Settings, timeouts: Timeouts) -> Settings:
    """Return the settings with other timeouts; raises TypeError and ValueError."""
    unknown = timeouts.keys() - Timeouts.__annotations__.keys()
    if unknown:
        raise TypeError(f"no timeout of an open connection: {', '.join(sorted(unknown))}")
    return replace(settings, **timeouts)


def check_timeout(name: str, timeout: float | None) -> None:
    """Raise ValueError unless ``timeout`` is None or a finite number of seconds, not negative."""
    if timeout is not None and not (isfinite(timeout) and timeout >= 0):
        raise ValueError(f"{name} must be a number of seconds or None, not {timeout}")


def check_limit(name: str, limit: int | None, least: int = 0) -> None:
    """Raise TypeError or ValueError unless ``limit`` is None or an integer, ``least`` or more."""
    if limit is None:
        return
    if not isinstance(limit, int):
        raise TypeError(f"{name} must be an integer or None, not {limit!r}")
    if limit < least:
        raise ValueError(f"{name} must be at least {least}, not {limit}")


def all_of(items: Any) -> Any:
    """Return what an iterable gives, for more than one pass; a string and None as they are."""
    return items if items is None or isinstance(items, str) else tuple(items)


def all_extensions(extensions: Sequence[Extension], compression: Compression) -> Extensions:
    """Return the extensions to negotiate, compression last.

    Raises TypeError for what is none, and ValueError for two of one name.
    """
    if compression == "deflate":
        compression = PerMessageDeflate()
    return check_extensions((*extensions, *(() if compression is None else (compression,))))
