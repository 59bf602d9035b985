"""``async for ws in connect(uri)``: connect again and again, with pauses that spare the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from ssl import SSLCertVerificationError
from typing import Final

from ..exceptions import InvalidMessage, InvalidStatus, ProxyError
from ..handshake.http11 import Response
from ..handshake.retry import retry_after
from .backoff import Backoff
from .log import Log, one_line
from .websocket import WebSocket

__all__ = ["ProcessException", "is_transient", "reconnect"]

ProcessException = Callable[[Exception], Exception | None]

_TRANSIENT_STATUSES: Final = (429, 500, 502, 503, 504)


def is_transient(error: Exception) -> Exception | None:
    """Return None for an error that may be over the next time, else the error itself.

    Transient are a network that fails or is slow, a connection that ends in the middle of the
    handshake, and a server or proxy that answers 429, 500, 502, 503 or 504.
    """
    response = _response(error)
    if response is not None:
        return None if response.status in _TRANSIENT_STATUSES else error
    if isinstance(error, SSLCertVerificationError):
        return error
    # A proxy that answered has no cause but its answer.
    reason = error.__cause__ if isinstance(error, ProxyError) else error
    return None if isinstance(reason, (OSError, InvalidMessage)) else error


def _response(error: Exception) -> Response | None:
    return error.response if isinstance(error, (InvalidStatus, ProxyError)) else None


async def reconnect(
    open_websocket: Callable[[], Awaitable[WebSocket]],
    process_exception: ProcessException,
    where: str,
    log: Log,
    backoff: Backoff,
) -> AsyncIterator[WebSocket]:
    """Yield one open connection after another, each closed before the next is opened."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            ws = await open_websocket()
        except Exception as exc:
            error = process_exception(exc)
            if error is exc:
                raise
            if error is not None:
                raise error from exc
            response = _response(exc)
            now = datetime.now(UTC)
            asked_for = 0.0 if response is None else retry_after(response.headers, now)
            delay = backoff.after_failure(asked_for)
            why = str(exc) or type(exc).__name__
        else:
            opened = loop.time()
            try:
                yield ws
            finally:
                lasted = loop.time() - opened
                await ws.close()
            code = ws.close_code or 1006
            delay = backoff.after_close(code, lasted)
            why = f"connection ended with {code}"
        log.info("%s: %s; connecting again in %.1f s", where, one_line(why), delay)
        await asyncio.sleep(delay)
