"""What a server may have beside its application, at paths of its own on the same port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from ..handshake.http11 import Request, Response
    from ..pubsub.broker import Broker
    from .server import Server
    from .websocket import WebSocket

__all__ = ["Beside", "Site"]


class Site(Protocol):
    """Answers the requests that it owns; the application does not see them, nor its hooks.

    They are no part of what ``max_connections`` limits: a site sets limits of its own.
    """

    def start(self, is_tls: bool) -> None:
        """The server listens."""

    def owns(self, request: Request) -> bool:
        """Tell if this is a request for it."""

    async def answer(self, ws: WebSocket) -> Response:
        """Return the response; with 101 ``handle`` is called next."""

    async def handle(self, ws: WebSocket) -> None:
        """Be the handler of a connection."""

    async def close(self) -> None:
        """The server has no connections any more."""


@runtime_checkable
class Beside(Protocol):
    """What makes the site of a server."""

    paths: frozenset[str]
    """Those that the site owns."""

    def open(self, server: Server, broker: Broker) -> Site:
        """Return the site of a server that is about to listen."""
