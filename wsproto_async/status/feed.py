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
from ..exceptions import HandshakeError
from ..handshake.http11 import Response
from ..handshake.origin import check_origin
from ..handshake.server import accept_response, check_upgrade, refusal
from .access import Access
from .snapshot import Snapshot

__all__ = ["Feed"]

_PERIOD: Final = 1.0  # seconds
_PATIENCE: Final = 5.0  # seconds for the token to come
_STRANGERS: Final = 16  # who have not sent it yet
_UNKNOWN: Final = 4401  # the page knows it too


class Feed:
    """Sends what ``look`` returns."""

    def __init__(self, access: Access, look: Callable[[], Awaitable[list[Snapshot]]]) -> None:
        self._access = access
        self._look = look
        self._strangers = 0

    def answer(self, ws: WebSocket) -> Response:
        """Return the response to an opening handshake."""
        if self._strangers >= _STRANGERS:
            return Response(503, headers={"Retry-After": "5"}, body="too many without a token\n")
        try:
            key = check_upgrade(ws.request)
            check_origin(ws.request, "same-origin")
        except HandshakeError as exc:
            return refusal(exc)
        return accept_response(key, None)

    async def handle(self, ws: WebSocket) -> None:
        """Be the handler of a connection."""
        if not await self._is_known(ws):
            await ws.close(_UNKNOWN, "the token is needed")
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

    async def _is_known(self, ws: WebSocket) -> bool:
        self._strangers += 1
        try:
            async with asyncio.timeout(_PATIENCE):
                token = await ws.recv(decode=False)
        except TimeoutError:
            return False
        finally:
            self._strangers -= 1
        assert isinstance(token, bytes)
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
