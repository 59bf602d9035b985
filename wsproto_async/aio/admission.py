"""Who may come in: handshakes under way, connections, and connections of one address."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import TYPE_CHECKING, Final, Literal

from .settings import check_limit

if TYPE_CHECKING:
    from .protocol import ProtocolCore

__all__ = ["Admission", "Limits"]

_PUBLIC_LIMIT: Final = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How many there may be at a time; None lifts a limit.

    ``per_address`` is ``"auto"`` for 1,024 of a public address, and no limit for others, which may
    be those of a proxy.
    """

    handshakes: int | None
    connections: int | None
    per_address: int | Literal["auto"] | None

    def __post_init__(self) -> None:
        check_limit("max_handshakes", self.handshakes)
        check_limit("max_connections", self.connections)
        if self.per_address != "auto":
            check_limit("max_connections_per_address", self.per_address)


class Admission:
    """Counts connections from the moment they are accepted. A connection is counted once."""

    __slots__ = ("_admitted", "_by_address", "_limits", "_pending", "_refused")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pending: OrderedDict[ProtocolCore, None] = OrderedDict()
        self._refused: OrderedDict[ProtocolCore, None] = OrderedDict()
        self._admitted = 0
        self._by_address: dict[str, int] = {}

    def begin(self, protocol: ProtocolCore) -> ProtocolCore | None:
        """A connection has been accepted. Return the one that has to go for it, if one has to.

        That is the one that has been about to send its request for the longest time: those who
        send theirs at once get in, however many do not.
        """
        self._pending[protocol] = None
        return self._oldest_over_limit(self._pending)

    def refused(self, protocol: ProtocolCore) -> ProtocolCore | None:
        """It does not get in, and stays to read why. Return the one that has to go for it, if any.

        There may be as many of them as handshakes.
        """
        self.end(protocol)
        self._refused[protocol] = None
        return self._oldest_over_limit(self._refused)

    def _oldest_over_limit(self, protocols: OrderedDict[ProtocolCore, None]) -> ProtocolCore | None:
        limit = self._limits.handshakes
        if limit is not None and len(protocols) > limit:
            return protocols.popitem(last=False)[0]
        return None

    def requested(self, protocol: ProtocolCore) -> None:
        """The request is there."""
        self._pending.pop(protocol, None)

    def is_full(self) -> bool:
        """Tell if no more connections are let in."""
        limit = self._limits.connections
        return limit is not None and self._admitted >= limit

    def admit(self, protocol: ProtocolCore, host: str) -> str | None:
        """Let a connection from ``host`` in, or return why not."""
        if self.is_full():
            return "too many connections"
        key, is_public = _key_of(host)
        limit = self._limits.per_address
        if limit == "auto":
            limit = _PUBLIC_LIMIT if is_public else None
        if limit is None:
            key = ""
        else:
            count = self._by_address.get(key, 0)
            if count >= limit:
                return "too many connections from this address"
            self._by_address[key] = count + 1
        self._admitted += 1
        protocol.admitted_as = key
        return None

    def end(self, protocol: ProtocolCore) -> None:
        """A connection counts no more."""
        self._pending.pop(protocol, None)
        self._refused.pop(protocol, None)
        key, protocol.admitted_as = protocol.admitted_as, None
        if key is None:
            return
        self._admitted -= 1
        if key:
            self._by_address[key] -= 1
            if not self._by_address[key]:
                del self._by_address[key]


@lru_cache(1024)
def _key_of(host: str) -> tuple[str, bool]:
    """Return what an address is counted under, and if it is public; IPv6 by networks of 64 bits."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:  # a Unix socket's
        return "unknown", False
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped), address.ipv4_mapped.is_global
        return str(ip_network((address, 64), strict=False)), address.is_global
    return host, address.is_global
