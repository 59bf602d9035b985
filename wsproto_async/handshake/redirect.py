"""Following a redirect of the upgrade request (RFC 9110 15.4), without giving anything away."""

from __future__ import annotations

from typing import Final
from urllib.parse import urldefrag, urljoin

from ..exceptions import InvalidRedirect, InvalidStatus
from .headers import Headers
from .uri import WebSocketURI, parse_uri

__all__ = ["MAX_REDIRECTS", "follow_redirect", "is_redirect", "public_headers"]

MAX_REDIRECTS: Final = 5
_STATUSES: Final = (301, 302, 303, 307, 308)
_SCHEMES: Final = {"http": "ws", "https": "wss"}
_PRIVATE: Final = ("Authorization", "Cookie", "Proxy-Authorization", "Host")


def is_redirect(error: InvalidStatus) -> bool:
    """Tell if the server's answer names another place."""
    response = error.response
    return response.status in _STATUSES and len(response.headers.get_all("Location")) == 1


def follow_redirect(uri: WebSocketURI, error: InvalidStatus) -> WebSocketURI:
    """Return where Location leads; credentials of the URI stay with its origin.

    Raises InvalidRedirect if it leads from TLS to none, or is no URI that can be connected to.
    """
    location = error.response.headers["Location"]
    try:
        scheme, colon, rest = urldefrag(urljoin(str(uri), location)).url.partition(":")
        target = parse_uri(_SCHEMES.get(scheme.lower(), scheme) + colon + rest)
    except ValueError:
        raise InvalidRedirect(error.response, "to what is no ws: or wss: URI") from None
    if uri.secure and not target.secure:
        raise InvalidRedirect(error.response, "from wss: to ws:")
    if target.credentials is None and target.origin == uri.origin:
        target = target._replace(credentials=uri.credentials)
    return target


def public_headers(headers: Headers) -> Headers:
    """Return the caller's header fields that may go to another origin."""
    public = Headers(headers)
    for name in _PRIVATE:
        del public[name]
    return public
