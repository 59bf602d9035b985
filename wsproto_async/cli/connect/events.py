"""What happens to a connection, as lines: for people, for pipes, for scripts."""

from __future__ import annotations

import base64
from typing import Any, Final, Protocol

from ...aio.websocket import WebSocket
from ...exceptions import ConnectionClosed
from ..output import write_line
from ..text import escape, hex_dump, json_line, quantity, reindent

__all__ = ["Events", "JsonLines", "Lines", "message_lines"]

_LONGEST_TEXT: Final = 20_000  # characters of a message that a terminal is shown
_LONGEST_DUMP: Final = 1024  # bytes


class Events(Protocol):
    """Prints what happens."""

    def opened(self, ws: WebSocket) -> None:
        """The connection is open."""

    def received(self, message: str | bytes) -> None:
        """A message has come."""

    def closed(self, end: ConnectionClosed) -> None:
        """There is nothing more to come."""


class Lines:
    """A line for each message."""

    def opened(self, ws: WebSocket) -> None:
        """Not worth a line."""

    def received(self, message: str | bytes) -> None:
        write_line(f"0x{message.hex()}" if isinstance(message, bytes) else escape(message))

    def closed(self, end: ConnectionClosed) -> None:
        """What is worth a line is an error."""


class JsonLines:
    """A JSON object for each event."""

    def opened(self, ws: WebSocket) -> None:
        response = ws.response
        assert response is not None
        extensions = response.headers.get("Sec-WebSocket-Extensions", "")
        self._write("open", subprotocol=ws.subprotocol, extensions=extensions)

    def received(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._write("binary", data=base64.b64encode(message).decode())
        else:
            self._write("text", data=message)

    def closed(self, end: ConnectionClosed) -> None:
        self._write("close", code=end.code, reason=end.reason)

    def _write(self, kind: str, **values: Any) -> None:
        write_line(json_line({"type": kind, **values}))


def message_lines(message: str | bytes) -> list[str]:
    """Return a message as lines for a person."""
    if isinstance(message, str):
        plain = message[:_LONGEST_TEXT], len(message) - _LONGEST_TEXT
        text, left_out = reindent(message, _LONGEST_TEXT) or plain
        lines, unit = list(map(escape, text.split("\n"))), "character"
    else:
        dump = hex_dump(message[:_LONGEST_DUMP])
        lines = [f"binary, {quantity(len(message), 'byte')}", *dump]
        left_out, unit = len(message) - _LONGEST_DUMP, "byte"
    return lines if left_out <= 0 else [*lines, f"... {quantity(left_out, f'more {unit}')}"]
