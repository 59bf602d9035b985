"""The client's side of the opening handshake (RFC 6455 4.1), as functions on values."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence

from ..exceptions import InvalidHeader, InvalidStatus, InvalidSubprotocol, InvalidUpgrade
from ..extensions.base import Extension
from .extensions import format_offers
from .headers import Headers, HeadersLike, is_token, parse_list, parse_tokens
from .http11 import Request, Response
from .server import accept_token
from .uri import WebSocketURI

__all__ = ["build_upgrade_request", "check_response", "generate_key"]


def generate_key() -> str:
    """Return a fresh, unpredictable Sec-WebSocket-Key."""
    return base64.b64encode(os.urandom(16)).decode()


def build_upgrade_request(
    uri: WebSocketURI,
    key: str,
    *,
    subprotocols: Sequence[str] = (),
    extensions: Sequence[Extension] = (),
    origin: str | None = None,
    additional_headers: HeadersLike = (),
    user_agent_header: str | None = None,
) -> Request:
    """Return the upgrade request; raises ValueError for what HTTP cannot carry."""
    headers = Headers([("Host", uri.authority), ("Upgrade", "websocket")])
    headers.add("Connection", "Upgrade")
    headers.add("Sec-WebSocket-Key", key)
    headers.add("Sec-WebSocket-Version", "13")
    if origin is not None:
        headers.add("Origin", origin)
    if subprotocols:
        if isinstance(subprotocols, str) or not all(map(is_token, subprotocols)):
            raise ValueError("subprotocols is not a sequence of tokens")
        if len(set(subprotocols)) < len(subprotocols):
            raise ValueError("subprotocols are not all different")
        headers.add("Sec-WebSocket-Protocol", ", ".join(subprotocols))
    if extensions:
        headers.add("Sec-WebSocket-Extensions", format_offers(extensions))
    if user_agent_header is not None:
        headers.add("User-Agent", user_agent_header)
    if uri.credentials is not None:
        token = base64.b64encode(":".join(uri.credentials).encode()).decode()
        headers.add("Authorization", f"Basic {token}")
    # The caller's fields replace ours of the same name, Host included.
    additional = Headers(additional_headers)
    for name in additional:
        del headers[name]
    for name, value in additional.pairs():
        headers.add(name, value)
    return Request(uri.path, headers)


def check_response(response: Response, key: str, offered: Sequence[str]) -> str | None:
    """Return the subprotocol of a valid answer to the upgrade request.

    Raises InvalidStatus, InvalidUpgrade, InvalidHeader or InvalidSubprotocol.
    """
    headers = response.headers
    if response.status != 101:
        raise InvalidStatus(response)
    if [name.lower() for name in parse_list(headers, "Upgrade")] != ["websocket"]:
        raise InvalidUpgrade("Upgrade is not websocket")
    if "upgrade" not in (option.lower() for option in parse_list(headers, "Connection")):
        raise InvalidUpgrade("Connection lacks the token upgrade")
    if headers.get_all("Sec-WebSocket-Accept") != [accept_token(key)]:
        raise InvalidHeader("Sec-WebSocket-Accept does not answer the key")
    chosen = parse_tokens(headers, "Sec-WebSocket-Protocol")
    if not chosen:
        return None
    if len(chosen) > 1 or chosen[0] not in offered:
        raise InvalidSubprotocol(f"server chose subprotocol {', '.join(chosen)}, not offered")
    return chosen[0]
