"""What a handler raises fails its test: the server itself only logs it, and closes with 1011."""

from __future__ import annotations

from ..aio.server import Handler, is_failure
from ..aio.websocket import WebSocket

__all__ = ["Failures"]


class Failures:
    """What handlers have raised, but for ConnectionClosed and cancellation."""

    def __init__(self) -> None:
        self._found: list[Exception] = []

    def watch(self, handler: Handler) -> Handler:
        """Return what does the same as ``handler``; raises TypeError if it cannot be called."""
        if not callable(handler):
            raise TypeError(f"handler must be a coroutine function, not {handler!r}")

        async def watched(ws: WebSocket) -> None:
            try:
                await handler(ws)
            except Exception as exc:
                if is_failure(ws, exc):
                    self._found.append(exc)
                raise

        return watched

    def raise_any(self) -> None:
        """Raise what was found, several as an ExceptionGroup; nothing if there is none."""
        if len(self._found) > 1:
            raise ExceptionGroup("handlers have failed", self._found)
        for exc in self._found:
            raise exc
