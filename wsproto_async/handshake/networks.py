"""A set of addresses and networks."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

__all__ = ["Networks"]


class Networks:
    """Addresses and networks (``"10.0.0.0/8"``); ``"unix"`` are all on a Unix socket.

    Raises ValueError for what is none of these, and TypeError, which calls them ``name``, for a
    string in place of a sequence.
    """

    __slots__ = ("_has_unix", "_networks")

    def __init__(self, networks: Sequence[str], name: str) -> None:
        if isinstance(networks, str):
            raise TypeError(f"{name} must be a sequence of strings, not a string")
        self._has_unix = "unix" in networks
        self._networks = [ip_network(network) for network in networks if network != "unix"]

    def __contains__(self, host: str) -> bool:
        if host == "unix":
            return self._has_unix
        if not self._networks:
            return False
        try:
            address = ip_address(host.partition("%")[0])
        except ValueError:
            return False
        address = getattr(address, "ipv4_mapped", None) or address
        return any(address in network for network in self._networks)
