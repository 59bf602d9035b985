"""The WebSocket of the page: numbers once a second, for who begins with the token.

Law: nothing that comes from the page after that means anything.
"""

from __future__ import annotations

import asyncio
import json
import platform
from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from ..aio.websocket import WebSocket
from ..build import compiled
from ..exceptions import ConnectionClosed, HandshakeError
from ..handshake.http11 import Response
from ..handshake.origin import check_origin
from ..handshake.server import accept_response, check_upgrade, refusal
from .access import Access
from .snapshot import Snapshot

__all__ = ["Feed"]

_PERIOD: Final = 1.0  # seconds
_PATIENCE: Final = 5.0  # seconds for the token to come
_STRANGERS: Final = 16  # who have not sent it yet, or a wrong one
_LONGEST: Final = 1024  # bytes of a token
_FAREWELL: Final = 1.0  # seconds for who is sent away to read why
_UNKNOWN: Final = 4401  # the page knows it too


class Feed:
    """Sends what ``look`` returns."""

    def __init__(self, access: Access, look: Callable[[], Awaitable[list[Snapshot]]]) -> None:
        self._access = access
        self._look = look
        self._strangers: dict[WebSocket, None] = {}  # the oldest first

    def answer(self, ws: WebSocket) -> Response:
        """Return the response to an opening handshake."""
        try:
            key = check_upgrade(ws.request)
            check_origin(ws.request, "same-origin")
        except HandshakeError as exc:
            return refusal(exc)
        return accept_response(key, None)

    async def handle(self, ws: WebSocket) -> None:
        """Be the handler of a connection."""
        if not await self._let_in(ws):
            return
        about = _about()
        while True:
            lag = await _lag()
            workers = [each._asdict() for each in await self._look()]
            await ws.send(json.dumps({"about": about, "lag": lag, "workers": workers}))
            try:
                async with asyncio.timeout(_PERIOD):
                    await ws.recv()
            except TimeoutError:
                continue
            await ws.close(1008, "there is nothing to say")
            return

    async def _let_in(self, ws: WebSocket) -> bool:
        """Tell if the peer knows the token; else its connection is gone.

        Until then it takes up one of the few places: the one that has had its place for the longest
        loses it, so that those who stay keep nobody out.
        """
        ws.set_timeouts(close_timeout=_FAREWELL)
        self._strangers[ws] = None
        if len(self._strangers) > _STRANGERS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.abort()
        try:
            if await self._is_known(ws):
                return True
            await ws.close(_UNKNOWN, "the token is needed")
        except ConnectionClosed:
            await ws.wait_closed()
        finally:
            self._strangers.pop(ws, None)
        return False

    async def _is_known(self, ws: WebSocket) -> bool:
        token = b""
        try:
            async with asyncio.timeout(_PATIENCE):
                async for part in ws.recv_streaming():
                    token += part.encode() if isinstance(part, str) else part
                    if len(token) > _LONGEST:
                        return False
        except TimeoutError:
            return False
        return self._access.is_token(token.decode("latin-1"))


async def _lag() -> float:
    """Return by how many seconds the event loop is late, this moment."""
    loop = asyncio.get_running_loop()
    due = loop.time() + 0.01
    await asyncio.sleep(0.01)
    return max(loop.time() - due, 0.0)


def _about() -> dict[str, Any]:
    try:
        release = version("wsproto_async")
    except PackageNotFoundError:  # run from its sources
        release = ""
    return {
        "version": release,
        "compiled": compiled,
        "python": platform.python_version(),
        "loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
        "host": platform.node(),
    }
