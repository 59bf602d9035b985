"""How a connection that was open ended, and what that says of the command."""

from __future__ import annotations

from ..aio.websocket import WebSocket
from ..exceptions import ConnectionClosed
from .exits import EXIT_FAILED
from .text import escape

__all__ = ["describe_close", "end_of", "status_of"]


async def end_of(ws: WebSocket) -> ConnectionClosed:
    """Wait until a connection is gone, all of whose messages have been received."""
    await ws.wait_closed()
    try:
        message = await ws.recv()
    except ConnectionClosed as end:
        return end
    raise AssertionError(f"{message!r} after the end")


def status_of(end: ConnectionClosed) -> int:
    """Return the exit status for a connection that was open."""
    return 0 if end.code in (1000, 1001, 1005) else EXIT_FAILED


def describe_close(end: ConnectionClosed) -> str:
    """Return how a connection ended, in one line."""
    if end.received is None and end.sent is None:
        return "the connection was cut off"
    if end.received is None:
        return f"this side closed the connection with {escape(str(end.sent))}, without an answer"
    who = "the server" if end.received_first else "this side"
    return f"{who} closed the connection with {escape(str(end.received))}"
