"""What an application is told of its connection: the scope (ASGI 3.0, WebSocket 2.4)."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from ..aio.websocket import WebSocket
from ..handshake.headers import parse_tokens

__all__ = ["make_scope"]


def make_scope(ws: WebSocket, config: Config, state: dict[str, Any]) -> dict[str, Any]:
    """Return the scope of a connection whose request has come.

    ``scope["extensions"]["wsproto_async"]["websocket"]`` is the :class:`WebSocket` itself.
    """
    request = ws.request
    path, _, query = request.path.partition("?")
    return {
        "type": "websocket",
        "asgi": {"version": config.asgi_version, "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "wss" if is_ssl(ws.transport) else "ws",
        "server": get_local_addr(ws.transport),
        "client": get_remote_addr(ws.transport),
        "root_path": config.root_path,
        "path": config.root_path + unquote(path),
        "raw_path": (config.root_path + path).encode("ascii"),
        "query_string": query.encode("ascii"),
        "headers": [
            (name.lower().encode("ascii"), value.encode("latin-1"))
            for name, value in request.headers.pairs()
        ],
        "subprotocols": parse_tokens(request.headers, "Sec-WebSocket-Protocol"),
        "state": state.copy(),
        "extensions": {"websocket.http.response": {}, "wsproto_async": {"websocket": ws}},
    }
