"""Proxies: which one to take, and the CONNECT that asks an HTTP proxy for a tunnel."""

from __future__ import annotations

import base64
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

from ..exceptions import HandshakeError, InvalidMessage, ProxyError
from .headers import Headers
from .http11 import MAX_INTERIM, HeadReader, Request, Response, parse_status_line
from .uri import WebSocketURI

__all__ = [
    "AnswerReader",
    "ProxyURI",
    "build_connect_request",
    "check_connect",
    "parse_proxy",
    "system_proxy",
]

_DEFAULT_PORTS: Final = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}


class ProxyURI(NamedTuple):
    """A proxy's URI in parts; ``credentials`` as (user, password), both unquoted."""

    scheme: str
    host: str
    port: int
    credentials: tuple[str, str] | None

    @property
    def is_socks(self) -> bool:
        """Tell if this is a SOCKS proxy of any version."""
        return self.scheme.startswith("socks")

    @property
    def resolves(self) -> bool:
        """Tell if this is a SOCKS proxy that looks up host names itself."""
        return self.scheme in ("socks4a", "socks5h")


def parse_proxy(uri: str) -> ProxyURI:
    """Split a proxy's URI; raises ValueError for another scheme or no host."""
    parts = urlsplit(uri)
    default_port = _DEFAULT_PORTS.get(parts.scheme)
    if default_port is None or not parts.hostname:
        schemes = ", ".join(f"{scheme}:" for scheme in _DEFAULT_PORTS)
        raise ValueError(f"a proxy's URI needs a host and one of {schemes}")
    credentials = None
    if parts.username is not None:
        credentials = unquote(parts.username), unquote(parts.password or "")
    return ProxyURI(parts.scheme, parts.hostname, parts.port or default_port, credentials)


def system_proxy(uri: WebSocketURI) -> ProxyURI | None:
    """Return the proxy that the environment or the system names for ``uri``, None for none.

    Of wss_proxy, https_proxy, all_proxy the first one, of ws_proxy, http_proxy, all_proxy without
    TLS; no_proxy names hosts that need none. Raises ValueError for a malformed one.
    """
    from urllib.request import getproxies, proxy_bypass  # whose import servers need not wait for

    if proxy_bypass(f"{uri.host}:{uri.port}"):
        return None
    proxies = getproxies()
    for scheme in ("wss", "https", "all") if uri.secure else ("ws", "http", "all"):
        if proxy := proxies.get(scheme):
            return parse_proxy(proxy if "://" in proxy else f"http://{proxy}")
    return None


def build_connect_request(proxy: ProxyURI, uri: WebSocketURI) -> bytes:
    """Return the request for a tunnel to the host of ``uri`` (RFC 9110 9.3.6)."""
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    target = f"{host}:{uri.port}"
    headers = Headers({"Host": target})
    if proxy.credentials is not None:
        token = base64.b64encode(":".join(proxy.credentials).encode()).decode()
        headers.add("Proxy-Authorization", f"Basic {token}")
    return Request(target, headers, method="CONNECT").serialize()


def check_connect(start: tuple[int, str], headers: Headers) -> None:
    """Raise ProxyError unless the answer to CONNECT opens the tunnel."""
    status, reason = start
    if status < 200:
        raise ProxyError(f"proxy answered {status} {reason} to CONNECT")
    if status >= 300:
        response = Response(status, reason, headers)
        raise ProxyError(f"proxy answered {status} {reason} to CONNECT", response)


class AnswerReader:
    """Reads a proxy's answer to CONNECT, past the interim ones."""

    __slots__ = ("_head", "_interim")

    def __init__(self) -> None:
        self._head = HeadReader(parse_status_line)
        self._interim = 0

    def feed(self, data: bytes) -> None:
        """Append to the input."""
        self._head.feed(data)

    def read(self) -> bytes | None:
        """Return what has come through the tunnel once it is open, None until then.

        Raises ProxyError for any other answer.
        """
        try:
            while (answer := self._head.read()) is not None:
                rest = self._head.rest()
                start, headers = answer
                if not _is_interim(start[0]):
                    check_connect(start, headers)
                    return rest
                self._interim += 1
                if self._interim > MAX_INTERIM:
                    raise InvalidMessage(f"over {MAX_INTERIM} interim responses")
                self._head = HeadReader(parse_status_line)
                self._head.feed(rest)
        except ProxyError:
            raise
        except HandshakeError as exc:
            raise ProxyError(f"proxy: {exc}") from exc
        return None


def _is_interim(status: int) -> bool:
    # RFC 9110 15.2.2: 101 is followed by no other answer.
    return status < 200 and status != 101
