"""Status: what a server shows of itself, where, and to whom."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from ..aio.log import who
from ..aio.server import Server
from ..aio.websocket import WebSocket
from ..handshake.http11 import Request, Response
from ..pubsub.broker import Broker
from .access import Access
from .exchange import Exchange
from .feed import Feed
from .page import page
from .snapshot import Snapshot
from .survey import survey

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Status"]

_PATH: Final = re.compile(r"/[!\"$->@-~]*")
_LOOPBACK: Final = ("127.0.0.0/8", "::1")
_EVERYWHERE: Final = ("0.0.0.0", "::")


class Status:
    """A page of what goes on in a server, and metrics, on its own port: ``serve(status=...)``.

    - ``path``: of the page, ``"/status"``; None for no page.
    - ``metrics``: of what Prometheus asks for, such as ``"/metrics"``; needs the extra
      ``metrics``. None, the default, for none.
    - ``token``: what the page asks for, and Prometheus sends as ``Authorization: Bearer``: 16
      characters or more, letters, digits and ``-._~+/``. None, the default, makes one up, and
      writes it to the log with the address of the page.
    - ``allow``: addresses and networks from which it may be asked for, and ``"unix"`` for all on a
      Unix socket: only this machine, by default. Behind a proxy of ``trusted_proxies`` that is the
      client's address; what came by way of another one is refused.
    - ``registry``: a registry of prometheus-client, whose metrics stand beside the server's. It is
      collected in another thread; if that fails, the log tells, and the server's stand alone.

    Requests for these paths do not reach the application, nor its hooks, are answered when the
    server is full as well, and cannot change anything. Of several workers of :func:`run` each tells
    the numbers of all.

    Raises TypeError and ValueError for what cannot work, and ImportError without the extra.
    """

    def __init__(
        self,
        path: str | None = "/status",
        *,
        metrics: str | None = None,
        token: str | None = None,
        allow: Sequence[str] = _LOOPBACK,
        registry: CollectorRegistry | None = None,
    ) -> None:
        if path is None and metrics is None:
            raise ValueError("Status needs a path or metrics")
        if path == metrics:
            raise ValueError("path and metrics must differ")
        for name, each in (("path", path), ("metrics", metrics)):
            if each is not None and not _PATH.fullmatch(each):
                raise ValueError(
                    f"{name} must be a path that begins with /, in visible ASCII without ? and #, "
                    f"not {each!r}"
                )
        if registry is not None and metrics is None:
            raise ValueError("registry needs metrics")
        if metrics is not None:
            _import_metrics()
        self.path = path
        self.metrics = metrics
        self.paths = frozenset(each for each in (path, metrics) if each is not None)
        self.registry = registry
        self.access = Access(token, allow)
        # Workers are forked after this: they know by the process that there are others, and by the
        # name where these publish.
        self.process = os.getpid()
        self.name = f"wsproto_async.status.{secrets.token_hex(16)}"

    def open(self, server: Server, broker: Broker) -> StatusSite:
        """Return the site of one server: see ``aio.beside``."""
        return StatusSite(self, server, broker)


class StatusSite:
    """The status of one server."""

    def __init__(self, status: Status, server: Server, broker: Broker) -> None:
        self._status = status
        self._server = server
        self._page = page() if status.path is not None else None
        self._feed = Feed(status.access, self._all)
        self._exchange: Exchange | None = None
        if os.getpid() != status.process:
            look = partial(survey, server)
            self._exchange = Exchange(broker, status.name, look, server._log)

    def start(self, is_tls: bool) -> None:
        if self._exchange is not None:
            self._exchange.start()
        if self._status.path is not None:
            url = f"{self._base(is_tls)}{self._status.path}"
            if self._status.access.is_made_up:
                url += f"#token={self._status.access.token}"
            self._server._log.info("status: %s", url)

    def _base(self, is_tls: bool) -> str:
        """Return the part of a URL before the path; nothing on a Unix socket and in memory."""
        sockets = self._server.sockets
        address = sockets[0].getsockname() if sockets else None
        if not isinstance(address, tuple):
            return ""
        host, port = address[:2]
        if host in _EVERYWHERE:
            host = "localhost"
        elif ":" in host:
            host = f"[{host}]"
        return f"{'https' if is_tls else 'http'}://{host}:{port}"

    def owns(self, request: Request) -> bool:
        path = request.path.partition("?")[0]
        return path in self._status.paths

    async def answer(self, ws: WebSocket) -> Response:
        refused = self._status.access.refuse(ws)
        if refused is not None:
            return refused
        if ws.path.partition("?")[0] == self._status.metrics:
            return await self._answer_metrics(ws)
        if "Upgrade" in ws.headers:
            return self._feed.answer(ws)
        assert self._page is not None
        return self._page

    async def _answer_metrics(self, ws: WebSocket) -> Response:
        if not self._status.access.is_bearer(ws):
            challenge = {"WWW-Authenticate": "Bearer"}
            return Response(401, headers=challenge, body="the token is needed\n")
        from .metrics import render

        made = partial(
            render,
            await self._all(),
            accept=ws.headers.get("Accept", ""),
            by_worker=self._exchange is not None,
        )
        registry = self._status.registry
        if registry is not None:
            try:
                return await asyncio.to_thread(made, registry)
            except Exception as exc:
                self._server._log.exception("Status's registry failed", who(ws._protocol), exc)
        return made(None)

    async def handle(self, ws: WebSocket) -> None:
        await self._feed.handle(ws)

    async def close(self) -> None:
        if self._exchange is not None:
            await self._exchange.close()

    async def _all(self) -> list[Snapshot]:
        """Return the numbers of this process and of the other workers, by their ids."""
        own = await survey(self._server)
        if self._exchange is None:
            return [own]
        return sorted([own, *await self._exchange.others(own.worker)])


def _import_metrics() -> None:
    try:
        from . import metrics  # noqa: F401
    except ImportError as exc:
        raise ImportError("metrics need prometheus-client: wsproto_async[metrics]") from exc
