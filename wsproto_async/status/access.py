"""Who may see the status: addresses, and a token that only they know.

Laws: what is secret is compared in constant time and written to no response and no log line but
the one that tells a token which nobody has chosen.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Final

from ..aio.address import host_of
from ..aio.websocket import WebSocket
from ..handshake.host import named_host
from ..handshake.http11 import Response
from ..handshake.networks import Networks
from ..handshake.origin import is_loopback

__all__ = ["Access"]

_LEAST: Final = 16  # characters
_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")  # what RFC 6750 2.1 can carry
_LOOPBACK: Final = Networks(("127.0.0.0/8", "::1"), "")
_FROM_PROXY: Final = (
    "Forwarded",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Real-IP",
    "Via",
    "CF-Connecting-IP",
)


class Access:
    """Lets in who comes from ``allow`` and knows ``token``; None makes one up.

    Raises TypeError and ValueError as :class:`Status` does.
    """

    def __init__(self, token: str | None, allow: Sequence[str]) -> None:
        self.is_made_up = token is None
        if token is None:
            token = secrets.token_urlsafe(24)
        elif not isinstance(token, str):
            raise TypeError("token must be a string")
        elif len(token) < _LEAST or not _TOKEN.fullmatch(token):
            raise ValueError(
                f"token must be {_LEAST} characters or more, out of A-Z a-z 0-9 - . _ ~ + /"
            )
        self.token = token
        self._allowed = Networks(allow, "allow")

    def refuse(self, ws: WebSocket) -> Response | None:
        """Return the response to who comes from elsewhere, None for who may ask."""
        host = host_of(ws.remote_address)
        if host not in self._allowed:
            return Response(403, body=f"{host} is not in the parameter allow of Status\n")
        client = ws._protocol.client_address
        is_named = client is not None and client[1] == 0  # by a header; a PROXY header has ports
        if not is_named and any(name in ws.headers for name in _FROM_PROXY):
            return Response(403, body="this came by way of a proxy: see trusted_proxies\n")
        peer = host_of(ws.transport.get_extra_info("peername"))
        if client is not None:
            if host in _LOOPBACK and peer not in _LOOPBACK and peer != "unix":
                return Response(403, body=f"{host} is not the same machine at {peer} as here\n")
        elif peer in _LOOPBACK and not is_loopback(named_host(ws.request)):
            # A page may have let a name of its own point here.
            return Response(403, body="on this machine the status is at localhost\n")
        return None

    def is_token(self, text: str) -> bool:
        """Tell if this is the token."""
        return secrets.compare_digest(text.encode(), self.token.encode())

    def is_bearer(self, ws: WebSocket) -> bool:
        """Tell if the request has the token in Authorization (RFC 6750)."""
        values = ws.headers.get_all("Authorization")
        scheme, _, token = values[0].partition(" ") if len(values) == 1 else ("", "", "")
        return scheme.lower() == "bearer" and self.is_token(token.strip(" "))
