"""What a server or a client was asked for and its connections go by."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import isfinite
from typing import Any

__all__ = ["LoggerLike", "Settings", "check_timeout"]

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
        if self.read_limit < 1 or self.write_limit < 1:
            raise ValueError("read_limit and write_limit must be at least 1 byte")


def check_timeout(name: str, timeout: float | None) -> None:
    """Raise ValueError unless ``timeout`` is None or a finite number of seconds, not negative."""
    if timeout is not None and not (isfinite(timeout) and timeout >= 0):
        raise ValueError(f"{name} must be a number of seconds or None, not {timeout}")
