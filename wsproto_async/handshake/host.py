"""Which hosts a server answers for: an attacker may let a name of theirs point here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ..exceptions import InvalidHost
from .http11 import Request

__all__ = ["AllowedHosts", "check_host"]

AllowedHosts = Sequence[str | re.Pattern[str]] | None

_PORT: Final = re.compile(r":[0-9]*$")


def check_host(request: Request, allowed: AllowedHosts) -> None:
    """Raise InvalidHost (421) unless Host, without its port, is one of those allowed.

    A string is a host name or an address, an IPv6 one without brackets; a pattern must match in
    full. Upper and lower case are the same. None allows all.
    """
    if allowed is None:
        return
    host = _PORT.sub("", request.headers["Host"]).strip("[]").lower()
    for each in allowed:
        if isinstance(each, str) and each.lower() == host:
            return
        if isinstance(each, re.Pattern) and each.fullmatch(host):
            return
    raise InvalidHost(f"host {host} is not allowed by the parameter allowed_hosts")
