"""The server's opening handshake with the application's hooks."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple

from ..handshake.http11 import Request, Response
from ..sansio.server import ServerConnection
from .log import Log, who
from .websocket import WebSocket

__all__ = [
    "Hooks",
    "ProcessRequest",
    "ProcessResponse",
    "SelectSubprotocol",
    "answer",
    "ask_hooks",
]

ProcessRequest = Callable[[WebSocket, Request], Awaitable[Response | None] | Response | None]
ProcessResponse = Callable[
    [WebSocket, Request, Response], Awaitable[Response | None] | Response | None
]
SelectSubprotocol = Callable[[WebSocket, Sequence[str]], str | None]


class Hooks(NamedTuple):
    """What an application may add to the opening handshake; see :func:`wsproto_async.serve`."""

    process_request: tuple[ProcessRequest, ...]
    process_response: ProcessResponse | None
    select_subprotocol: SelectSubprotocol | None


async def answer(ws: WebSocket, asking: Awaitable[Response], log: Log) -> Response:
    """Return the response that ``asking`` gives; if that raises, log it, and answer 500."""
    try:
        return await asking
    except Exception as exc:
        log.exception("opening handshake failed", who(ws._protocol), exc)
        return Response(500, body="internal server error\n")


async def ask_hooks(ws: WebSocket, connection: ServerConnection, hooks: Hooks) -> Response:
    """Return the application's response; raises what a hook raises, and for what it returns.

    That is ValueError for a subprotocol that was not offered, or a 101 in place of None.
    """
    request = ws.request
    for process_request in hooks.process_request:
        response = await _result(process_request(ws, request), "process_request")
        if response is not None:
            if response.status == 101:
                raise ValueError("process_request returned 101: return None to accept")
            return response
    select = hooks.select_subprotocol
    response = connection.accept(None if select is None else partial(select, ws))
    if hooks.process_response is not None:
        replaced = await _result(hooks.process_response(ws, request, response), "process_response")
        response = replaced or response
    return response


async def _result(
    result: Awaitable[Response | None] | Response | None, name: str
) -> Response | None:
    if inspect.isawaitable(result):
        result = await result
    if result is not None and not isinstance(result, Response):
        raise TypeError(f"{name} returned {type(result).__name__}, not Response or None")
    return result
