"""Which hosts a server answers for: an attacker may let a name of theirs point here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv6Address
from typing import Final

from ..exceptions import InvalidHost
from .http11 import Request

__all__ = ["AllowedHosts", "check_allowed_hosts", "check_host", "named_host"]

AllowedHosts = Sequence[str | re.Pattern[str]] | None

_PORT: Final = re.compile(r":[0-9]*$")
_NAME: Final = re.compile(r"[^:/?#@*\[\]\s]+")


def check_allowed_hosts(allowed: AllowedHosts) -> None:
    """Raise TypeError or ValueError for what no host can be equal to."""
    if allowed is None:
        return
    if isinstance(allowed, str):
        raise TypeError("allowed_hosts must be a sequence of hosts, not a string")
    for host in allowed:
        if isinstance(host, str):
            if not _NAME.fullmatch(host) and not _is_ipv6(host):
                raise ValueError(
                    f"{host!r} in allowed_hosts is no host: it has no port, brackets or wildcards"
                )
        elif not isinstance(host, re.Pattern) or not isinstance(host.pattern, str):
            raise TypeError(f"{host!r} in allowed_hosts is no string or pattern")


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True


def named_host(request: Request) -> str:
    """Return what Host says without its port, in lower case, an IPv6 address without brackets."""
    return _PORT.sub("", request.headers["Host"]).strip("[]").lower()


def check_host(request: Request, allowed: AllowedHosts) -> None:
    """Raise InvalidHost (421) unless Host, without its port, is one of those allowed.

    A string is a host name or an address, an IPv6 one without brackets; a pattern must match in
    full. Upper and lower case are the same. None allows all.
    """
    if allowed is None:
        return
    host = named_host(request)
    for each in allowed:
        if isinstance(each, str) and each.lower() == host:
            return
        if isinstance(each, re.Pattern) and each.fullmatch(host):
            return
    raise InvalidHost(f"host {host} is not allowed by the parameter allowed_hosts")
