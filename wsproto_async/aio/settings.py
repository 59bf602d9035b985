"""What a server or a client was asked for and its connections go by."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from ..extensions.base import Extension
from ..extensions.permessage_deflate import PerMessageDeflate
from ..handshake.extensions import check_extensions

__all__ = ["Compression", "LoggerLike", "Settings", "all_extensions", "check_timeout"]

Compression = Literal["deflate"] | PerMessageDeflate | None

LoggerLike = logging.Logger | logging.LoggerAdapter[Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """Timeouts in seconds and limits in bytes; None lifts a timeout."""

    open_timeout: float | None
    close_timeout: float | None
    ping_interval: float | None
    ping_timeout: float | None
    read_limit: int
    write_limit: int
    logger: LoggerLike

    def __post_init__(self) -> None:
        for name in ("open_timeout", "close_timeout", "ping_interval", "ping_timeout"):
            check_timeout(name, getattr(self, name))
        # A character of a streamed text has up to 4 bytes, and none is given out in part.
        if self.read_limit < 4 or self.write_limit < 1:
            raise ValueError("read_limit must be at least 4 bytes, and write_limit 1")


def check_timeout(name: str, timeout: float | None) -> None:
    """Raise ValueError unless ``timeout`` is None or a finite number of seconds, not negative."""
    if timeout is not None and not (isfinite(timeout) and timeout >= 0):
        raise ValueError(f"{name} must be a number of seconds or None, not {timeout}")


def all_extensions(
    extensions: Sequence[Extension], compression: Compression
) -> tuple[Extension, ...]:
    """Return the extensions to negotiate, compression last.

    Raises TypeError for what is none, and ValueError for two of one name.
    """
    if compression == "deflate":
        compression = PerMessageDeflate()
    both = (*extensions, *(() if compression is None else (compression,)))
    check_extensions(both)
    return both
