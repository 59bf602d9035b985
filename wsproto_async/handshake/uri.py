"""WebSocket URIs (RFC 6455 3, RFC 3986)."""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote, unquote, urlsplit

__all__ = ["WebSocketURI", "parse_uri"]

# Characters that stand for themselves; '%' keeps escapes as they are.
_SAFE_IN_PATH: Final = "/:@!$&'()*+,;=-._~%"
_SAFE_IN_QUERY: Final = _SAFE_IN_PATH + "?"
_HOST: Final = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=%]+|[0-9A-Fa-f:.]+")
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")


class WebSocketURI(NamedTuple):
    """The parts of a ``ws:`` or ``wss:`` URI that a handshake needs.

    ``host`` is for the connection, without brackets; ``authority`` for the Host header; ``path``
    with the query; ``credentials`` as (user, password), both unquoted.
    """

    secure: bool
    host: str
    port: int
    authority: str
    path: str
    credentials: tuple[str, str] | None

    @property
    def origin(self) -> tuple[bool, str, int]:
        """What decides if another URI belongs to the same server."""
        return self.secure, self.host, self.port

    def __str__(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://{self.authority}{self.path}"


def parse_uri(uri: str) -> WebSocketURI:
    """Split and check a URI; non-ASCII hosts become IDNA, other non-ASCII text UTF-8 escapes.

    Raises ValueError for another scheme, a fragment, a missing host, a bad port, white space,
    control characters or backslashes.
    """
    if _CONTROL.search(uri):
        raise ValueError(f"{uri!r} holds white space or control characters")
    # To browsers it is a slash, which ends the host; nobody may take another host for the real one.
    if "\\" in uri:
        raise ValueError(f"{uri!r} holds a backslash")
    parts = urlsplit(uri)
    if parts.scheme not in ("ws", "wss"):
        raise ValueError(f"{uri!r} is not a ws: or wss: URI")
    if "#" in uri:
        raise ValueError(f"{uri!r} has a fragment, which RFC 6455 does not allow")
    if not parts.hostname:
        raise ValueError(f"{uri!r} has no host")
    secure = parts.scheme == "wss"
    default_port = 443 if secure else 80
    host = (
        parts.hostname.encode("idna").decode() if not parts.hostname.isascii() else parts.hostname
    )
    if not _HOST.fullmatch(host):
        raise ValueError(f"{uri!r} has a malformed host")
    port = default_port if parts.port is None else parts.port
    authority = f"[{host}]" if ":" in host else host
    if port != default_port:
        authority += f":{port}"
    path = quote(parts.path, _SAFE_IN_PATH) or "/"
    if parts.query:
        path += "?" + quote(parts.query, _SAFE_IN_QUERY)
    credentials = None
    if parts.username is not None:
        credentials = unquote(parts.username), unquote(parts.password or "")
    return WebSocketURI(secure, host, port, authority, path, credentials)
