"""The connection's state: a table, and the only code that changes it.

Laws: CONNECTING comes first and never again. CLOSING is left by the end of the byte stream alone.
CLOSED is last: what the rest of the input tells changes nothing. A cause without a row is a bug.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final

__all__ = ["CLOSED", "CONNECTING", "OPEN", "TRANSITIONS", "Cause", "Lifecycle", "State"]


class State(IntEnum):
    """The state of a connection; the values are those of ``readyState`` in browsers."""

    CONNECTING = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3


# To find an enum's member takes long: a handshake did nothing else for a twentieth of its time.
CONNECTING: Final = State.CONNECTING
OPEN: Final = State.OPEN
CLOSED: Final = State.CLOSED


class Cause(Enum):
    """What changes the state of a connection."""

    HANDSHAKE_COMPLETED = "opening handshake completed"
    HANDSHAKE_FAILED = "opening handshake failed"
    CLOSE_SENT = "Close frame sent"
    EOF = "end of the byte stream"

    __hash__ = object.__hash__  # Enum's is written in Python


TRANSITIONS: Final = {
    (State.CONNECTING, Cause.HANDSHAKE_COMPLETED): State.OPEN,
    (State.CONNECTING, Cause.HANDSHAKE_FAILED): State.CLOSING,
    (State.CONNECTING, Cause.EOF): State.CLOSED,
    (State.OPEN, Cause.CLOSE_SENT): State.CLOSING,
    (State.OPEN, Cause.EOF): State.CLOSED,
    (State.CLOSING, Cause.EOF): State.CLOSED,
    (State.CLOSED, Cause.EOF): State.CLOSED,
    (State.CLOSED, Cause.HANDSHAKE_COMPLETED): State.CLOSED,
    (State.CLOSED, Cause.HANDSHAKE_FAILED): State.CLOSED,
}


class Lifecycle:
    """Something that has a ``state``: CONNECTING, OPEN, CLOSING or CLOSED."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state: State = CONNECTING

    def _advance(self, cause: Cause) -> None:
        self.state = TRANSITIONS[self.state, cause]
