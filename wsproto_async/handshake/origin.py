"""Which pages may connect: the server's check of Origin (RFC 6455 4.2.2, 10.2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import urlsplit

from ..exceptions import InvalidOrigin
from .http11 import Request

__all__ = ["Origins", "check_origin", "check_origins", "is_loopback"]

Origins = Literal["same-origin"] | Sequence[str | re.Pattern[str] | None] | None

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
# As browsers write it (RFC 6454 6.2), without a path, and in lower case.
_ORIGIN: Final = re.compile(r"null|[a-z][a-z0-9+.\-]*://[^A-Z/?#@*\s]*")


def check_origins(origins: Origins) -> None:
    """Raise TypeError or ValueError for what no browser's Origin can be equal to."""
    if origins is None or origins == "same-origin":
        return
    if isinstance(origins, str):
        raise TypeError("origins must be a sequence of origins, not a string")
    for origin in origins:
        if isinstance(origin, str):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} in origins is no origin: https://example.com, in lower case and "
                    "without a path, is one"
                )
        elif origin is not None and not (
            isinstance(origin, re.Pattern) and isinstance(origin.pattern, str)
        ):
            raise TypeError(f"{origin!r} in origins is no string, pattern or None")


def check_origin(request: Request, origins: Origins) -> None:
    """Raise InvalidOrigin (403) unless ``origins`` allows the request's Origin.

    ``"same-origin"`` allows a request without Origin, which no browser sends, one whose Origin
    is the host that it was sent to, and one between loopback names on any ports. A sequence
    allows what equals a string or fully matches a pattern in it, and a request without Origin
    if None is in it. None allows everything.
    """
    if origins is None:
        return
    found = request.headers.get_all("Origin")
    if len(found) > 1:
        raise InvalidOrigin("more than one Origin header")
    origin = found[0] if found else None
    if origins == "same-origin":
        if origin is None or _is_same_origin(origin, request.headers["Host"]):
            return
    elif any(_matches(origin, allowed) for allowed in origins):
        return
    raise InvalidOrigin(f"origin {origin} is not allowed by the parameter origins")


def _matches(origin: str | None, allowed: str | re.Pattern[str] | None) -> bool:
    if isinstance(allowed, re.Pattern):
        return origin is not None and allowed.fullmatch(origin) is not None
    return origin == allowed


def _is_same_origin(origin: str, host: str) -> bool:
    scheme, separator, authority = origin.partition("://")
    default_port = _DEFAULT_PORTS.get(scheme.lower())
    if not separator or default_port is None:
        return False
    page = _split_host(authority, default_port)
    server = _split_host(host, default_port)
    if page is None or server is None:
        return False
    return page == server or (is_loopback(page[0]) and is_loopback(server[0]))


def _split_host(authority: str, default_port: int) -> tuple[str, int] | None:
    try:
        parts = urlsplit(f"//{authority}")
        port = parts.port
    except ValueError:
        return None
    if parts.netloc != authority or parts.username is not None or not parts.hostname:
        return None
    return parts.hostname, default_port if port is None else port


def is_loopback(host: str) -> bool:
    """Tell if a name in lower case, or an address, is this machine's own wherever it is said."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
