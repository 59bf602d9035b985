"""The log of a server or a client: what peers cause in it is bounded, and disturbs nobody."""

from __future__ import annotations

import logging
from contextlib import suppress
from time import monotonic
from typing import Any, Final

__all__ = ["Log", "LoggerLike"]

LoggerLike = logging.Logger | logging.LoggerAdapter[Any]

_LINES_PER_SECOND: Final = 100


class Log:
    """Writes to ``logger``.

    Of DEBUG and INFO, which peers cause, 100 lines a second; how many were left out is told when
    there is room again. A logger that raises is not heard.
    """

    __slots__ = ("_left_out", "_lines", "_logger", "_second")

    def __init__(self, logger: LoggerLike) -> None:
        self._logger = logger
        self._second = 0
        self._lines = 0
        self._left_out = 0

    def has_info(self) -> bool:
        """Tell if INFO is written at all."""
        return self._logger.isEnabledFor(logging.INFO)

    def debug(self, message: str, *args: object) -> None:
        """Write a line of what is of interest to who looks for a fault."""
        self._write(logging.DEBUG, message, args)

    def info(self, message: str, *args: object) -> None:
        """Write a line of what happened to a connection."""
        self._write(logging.INFO, message, args)

    def warning(self, message: str, *args: object) -> None:
        """Write a line of what the operator should know."""
        with suppress(Exception):
            self._logger.warning(message, *args)

    def exception(self, message: str) -> None:
        """Write what the application raised, with its traceback."""
        with suppress(Exception):
            self._logger.exception(message)

    def _write(self, level: int, message: str, args: tuple[object, ...]) -> None:
        with suppress(Exception):
            if self._logger.isEnabledFor(level) and self._has_room():
                self._logger.log(level, message, *args)

    def _has_room(self) -> bool:
        second = int(monotonic())
        if second != self._second:
            self._second = second
            self._lines = 0
            left_out, self._left_out = self._left_out, 0
            if left_out:
                self._logger.info("%d lines left out", left_out)
        self._lines += 1
        if self._lines <= _LINES_PER_SECOND:
            return True
        self._left_out += 1
        return False
