"""Traces for OpenTelemetry: a span for each connection.

Attributes have the names of the semantic conventions for HTTP and networks where there are any;
there are none for WebSockets yet. What may hold a token is left out: queries and headers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import time_ns
from typing import Final

from opentelemetry import propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.util.types import AttributeValue

from ..aio.server import is_failure
from ..aio.websocket import WebSocket

__all__ = ["traced"]

_INTERNAL_ERROR: Final = 1011
_SILENT: Final = "keepalive: "  # what the reason begins with if the peer does not answer


def traced(
    handler: Callable[[WebSocket], Awaitable[None]],
    tracer_provider: TracerProvider | None = None,
) -> Callable[[WebSocket], Awaitable[None]]:
    """Return a handler that does what ``handler`` does, in a span: ``serve(traced(handler), ...)``.

    The span begins when the connection opens, as a child of the one that the request's
    ``traceparent`` names, and is current in the handler, and in tasks that it starts. It ends with
    the handler's task: when the handler has returned and the connection is gone, whichever is
    later; at once if the task is cancelled. It is an error if the handler raised, or if this side
    closed the connection with 1011; what a peer does wrong is none, nor is its silence.
    ``tracer_provider`` is the global one by default.
    """
    tracer = trace.get_tracer("wsproto_async", tracer_provider=tracer_provider)

    async def handle(ws: WebSocket) -> None:
        age = ws._protocol.now() - ws._protocol.opened_at
        span = tracer.start_span(
            ws.request.method,
            context=propagate.extract(ws.headers),
            kind=SpanKind.SERVER,
            attributes=_of_request(ws),
            start_time=time_ns() - int(age * 1e9),
        )
        ending = _End(span, ws)
        task = asyncio.current_task()
        assert task is not None
        # The task goes on until the connection is gone too, unless it is cancelled.
        task.add_done_callback(ending.end)
        with trace.use_span(span, record_exception=False, set_status_on_exception=False):
            try:
                await handler(ws)
            except Exception as exc:
                if is_failure(ws, exc):
                    span.record_exception(exc)
                    ending.fail(type(exc).__qualname__, f"{type(exc).__name__}: {exc}")
                raise

    return handle


def _of_request(ws: WebSocket) -> dict[str, AttributeValue]:
    request = ws.request
    attributes: dict[str, AttributeValue] = {
        "http.request.method": request.method,
        "http.response.status_code": 101,
        "network.protocol.name": "websocket",
        "network.protocol.version": "13",
        "url.path": request.path.partition("?")[0],
        "url.scheme": "ws" if ws.transport.get_extra_info("ssl_object") is None else "wss",
    }
    host, _, port = request.headers["Host"].rpartition(":")
    if host and port.isdecimal():
        attributes |= {"server.address": host, "server.port": int(port)}
    else:
        attributes["server.address"] = request.headers["Host"]
    client, peer = ws.remote_address, ws.transport.get_extra_info("peername")
    if isinstance(client, tuple):
        attributes["client.address"] = client[0]
        if client[1]:
            attributes["client.port"] = client[1]
    if isinstance(peer, tuple):
        attributes |= {"network.peer.address": peer[0], "network.peer.port": peer[1]}
    attributes["network.transport"] = "tcp" if isinstance(peer, tuple) else "unix"
    if "User-Agent" in request.headers:
        attributes["user_agent.original"] = request.headers["User-Agent"]
    if ws.subprotocol is not None:
        attributes["websocket.subprotocol"] = ws.subprotocol
    return attributes


class _End:
    """The end of a span."""

    def __init__(self, span: Span, ws: WebSocket) -> None:
        self._span = span
        self._ws = ws
        self._has_failed = False

    def fail(self, error_type: str, why: str) -> None:
        """Make it an error; the first one counts."""
        if not self._has_failed:
            self._has_failed = True
            self._span.set_attribute("error.type", error_type)
            self._span.set_status(Status(StatusCode.ERROR, why))

    def end(self, task: asyncio.Task[None]) -> None:
        """The handler's task is over."""
        ws, protocol = self._ws, self._ws._protocol
        connection = protocol.connection
        self._span.set_attributes(
            {
                "websocket.close.code": ws.close_code or 1006,
                "websocket.close.reason_length": len((ws.close_reason or "").encode()),
                "websocket.messages.received": protocol.messages_received(),
                "websocket.messages.sent": connection.messages_sent,
                "websocket.bytes.received": protocol.bytes_received,
                "websocket.bytes.sent": protocol.sender.bytes_sent,
            }
        )
        sent = connection.close_sent
        if (
            sent is not None
            and sent.code == _INTERNAL_ERROR
            and not connection.received_first
            and not sent.reason.startswith(_SILENT)
        ):
            self.fail(str(_INTERNAL_ERROR), sent.reason)
        self._span.end()
