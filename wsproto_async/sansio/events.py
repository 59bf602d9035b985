"""What a connection tells its owner.

A message is a plain ``str`` or ``bytes``, whole and valid. The handshake's halves are
:class:`Request` and :class:`Response` themselves. :class:`Close` is the last event, always:
the peer's Close frame, or code 1006 for any other end.
"""

from __future__ import annotations

from ..codec.close import Close
from ..handshake.http11 import Request, Response

__all__ = ["Close", "Event", "Ping", "Pong"]


class _WithPayload:
    __slots__ = ("payload",)

    def __init__(self, payload: bytes) -> None:
        self.payload = payload

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and other.payload == self.payload

    def __hash__(self) -> int:
        return hash((type(self), self.payload))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.payload!r})"


class Ping(_WithPayload):
    """A Ping frame was received; the connection has put its Pong in line already."""

    __slots__ = ()


class Pong(_WithPayload):
    """A Pong frame was received, asked for or not."""

    __slots__ = ()


Event = str | bytes | Ping | Pong | Close | Request | Response
