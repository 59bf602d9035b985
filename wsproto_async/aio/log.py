"""The log of a server or a client: what peers cause in it is bounded, and disturbs nobody."""

from __future__ import annotations

import logging
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from ..handshake.http11 import without_query
from .address import host_of

if TYPE_CHECKING:
    from .protocol import ProtocolCore

__all__ = ["Log", "LoggerLike", "one_line", "who"]

LoggerLike = logging.Logger | logging.LoggerAdapter[Any]

_LINES: Final = 100  # a second
_TRACEBACKS: Final = 10  # a minute
_LONGEST: Final = 200  # characters of what a peer has chosen


class Log:
    """Writes to ``logger``.

    Of DEBUG and INFO, which peers cause, 100 lines a second; how many were left out is told when
    there is room again, or by ``close``. Of what the application raises 10 tracebacks a minute;
    more errors are lines like the others. A logger that raises is not heard.
    """

    __slots__ = ("_left_out", "_level_left_out", "_lines", "_logger", "_tracebacks")

    def __init__(self, logger: LoggerLike) -> None:
        self._logger = logger
        self._lines = _Quota(_LINES, 1)
        self._tracebacks = _Quota(_TRACEBACKS, 60)
        self._left_out = 0
        self._level_left_out = logging.INFO

    def has_info(self) -> bool:
        """Tell if INFO is written at all."""
        return self._logger.isEnabledFor(logging.INFO)

    def has_debug(self) -> bool:
        """Tell if DEBUG is written at all."""
        return self._logger.isEnabledFor(logging.DEBUG)

    def debug(self, message: str, *args: object) -> None:
        """Write a line of what is of interest to who looks for a fault."""
        self._write(logging.DEBUG, message, args)

    def info(self, message: str, *args: object) -> None:
        """Write a line of what happened to a connection."""
        self._write(logging.INFO, message, args)

    def warning(self, message: str, *args: object) -> None:
        """Write a line of what the operator should know; for what is rare by itself."""
        with suppress(Exception):
            self._logger.warning(message, *args)

    def exception(self, message: str, whose: str, error: Exception) -> None:
        """Write what the application raised for a connection, with its traceback."""
        if self._tracebacks.take():
            with suppress(Exception):
                self._logger.error(f"{message}: %s", whose, exc_info=error)
        else:
            name = type(error).__name__
            self._write(logging.ERROR, f"{message}: %s %s, no traceback", (whose, name))

    def close(self) -> None:
        """Tell what has not been told: there may be no more lines."""
        with suppress(Exception):
            self._tell_left_out()

    def _write(self, level: int, message: str, args: tuple[object, ...]) -> None:
        with suppress(Exception):
            if not self._logger.isEnabledFor(level):
                return
            if self._lines.take():
                self._tell_left_out()
                self._logger.log(level, message, *args)
            else:
                self._left_out += 1
                self._level_left_out = max(self._level_left_out, level)

    def _tell_left_out(self) -> None:
        left_out, self._left_out = self._left_out, 0
        level, self._level_left_out = self._level_left_out, logging.INFO
        if left_out:
            self._logger.log(level, "lines left out: %d", left_out)


class _Quota:
    """So many in each period of so many seconds."""

    __slots__ = ("_limit", "_period", "_seconds", "_used")

    def __init__(self, limit: int, seconds: int) -> None:
        self._limit = limit
        self._seconds = seconds
        self._period = 0
        self._used = 0

    def take(self) -> bool:
        """Take one; tell if there was one left."""
        period = int(monotonic() / self._seconds)
        if period != self._period:
            self._period = period
            self._used = 0
        self._used += 1
        return self._used <= self._limit


def who(protocol: ProtocolCore) -> str:
    """Return the peer's address and the path, if there is one yet: the subject of a line.

    The address is that of a proxy's client where the proxy is trusted. Queries hold tokens.
    """
    address = protocol.client_address or protocol.transport.get_extra_info("peername")
    name = host_of(address)
    if isinstance(address, tuple):
        name = f"{name}:{address[1]}"
    request = protocol.connection.request
    return name if request is None else f"{name} {_shortened(without_query(request.path))}"


def one_line(text: object) -> str:
    """Return what an error says in characters that any log can hold, and not too many."""
    return _shortened(str(text).encode("unicode_escape").decode())


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
