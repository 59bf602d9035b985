"""Whom a proxy speaks for: X-Forwarded-For, and Forwarded (RFC 7239), from proxies one trusts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Final

from ..exceptions import InvalidHeader
from .headers import Headers
from .networks import Networks

__all__ = ["TrustedProxies"]

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_PAIR: Final = re.compile(rf"[ \t]*(?:({_TOKEN})=({_TOKEN}|{_QUOTED}))?[ \t]*([;,]|$)")
_ESCAPED: Final = re.compile(r"\\(.)")
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")


class TrustedProxies(Networks):
    """Addresses and networks (``"10.0.0.0/8"``) whose word is taken for whom they speak for.

    ``"unix"`` are all on a Unix socket. Raises ValueError for what is none of these.
    """

    __slots__ = ()

    def __init__(self, networks: Sequence[str]) -> None:
        super().__init__(networks, "trusted_proxies")

    def client(self, host: str, headers: Headers) -> str:
        """Return the address of the client for which ``host`` sent a request with ``headers``.

        That is the last one named by a proxy that is trusted. What stands before it the client
        may have written itself.

        Raises InvalidHeader (400) if both headers are there and disagree: one is the proxy's, the
        other the client's, and nobody knows which. And for a Forwarded that is malformed.
        """
        if host not in self:
            return host
        clients = [
            self._last_untrusted(host, read(headers))
            for name, read in _READERS.items()
            if name in headers
        ]
        if len(set(clients)) > 1:
            raise InvalidHeader("X-Forwarded-For and Forwarded name different clients")
        return clients[0] if clients else host

    def _last_untrusted(self, host: str, names: list[str]) -> str:
        for name in reversed(names):
            address = _address(name)
            if address is None:  # "unknown", or a name that only the proxy knows
                break
            host = address
            if host not in self:
                break
        return host


def _x_forwarded_for(headers: Headers) -> list[str]:
    return ",".join(headers.get_all("X-Forwarded-For")).split(",")


def _forwarded(headers: Headers) -> list[str]:
    """Return the value of ``for`` in each element, the empty string where there is none."""
    value = ",".join(headers.get_all("Forwarded"))
    names = [""]
    position = 0
    while position < len(value):
        match = _PAIR.match(value, position)
        if match is None:  # a quote that is not closed would swallow what the proxy has added
            raise InvalidHeader("Forwarded is malformed")
        name, text, end = match.groups()
        if name is not None and name.lower() == "for":
            names[-1] = _ESCAPED.sub(r"\1", text[1:-1]) if text.startswith('"') else text
        if end == ",":
            names.append("")
        position = match.end()
    return names


_READERS: Final = {"X-Forwarded-For": _x_forwarded_for, "Forwarded": _forwarded}


def _address(name: str) -> str | None:
    name = name.strip(" \t")
    match = _WITH_PORT.fullmatch(name)
    try:
        address = ip_address(match[1] or match[2] if match else name)
    except ValueError:
        return None
    if getattr(address, "scope_id", None) is not None:  # it may hold anything
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)
