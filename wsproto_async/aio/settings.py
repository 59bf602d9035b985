"""What a server or a client was asked for and its connections go by."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

__all__ = ["LoggerLike", "Settings"]

LoggerLike = logging.Logger | logging.LoggerAdapter[Any]


class Settings(NamedTuple):
    """Timeouts in seconds and limits in bytes; None lifts a timeout."""

    open_timeout: float | None
    close_timeout: float | None
    ping_interval: float | None
    ping_timeout: float | None
    read_limit: int
    write_limit: int
    logger: LoggerLike
