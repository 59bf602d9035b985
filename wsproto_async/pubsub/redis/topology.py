"""Which servers there are, and what each has: asked of one of them."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple

from ...exceptions import BrokerError
from .address import Address
from .connection import Connection
from .run import INFO, Run
from .slots import SLOTS

__all__ = ["Topology"]

_TIMEOUT: Final = 3.0  # seconds


class Topology(NamedTuple):
    """The servers by slot; None where nobody has it."""

    is_cluster: bool
    is_sure: bool
    """The server is in touch with the others, and not one that was left behind."""
    owners: list[Address | None]

    @classmethod
    async def ask(cls, address: Address) -> Topology:
        """Ask a server; raises OSError, hiredis.ReplyError, BrokerError."""
        connection: Connection | None = None
        greeting = address.greeting()
        try:
            async with asyncio.timeout(_TIMEOUT):
                connection = await address.connect(Connection)
                *_, info = await connection.ask([*greeting, INFO])
                if not Run.parse(info).is_cluster:
                    return cls(False, True, [address] * SLOTS)
                slots, state = await connection.ask([("CLUSTER", "SLOTS"), ("CLUSTER", "INFO")])
        finally:
            if connection is not None:
                connection.close()
        try:
            return cls(True, b"cluster_state:ok" in state, _owners(slots, address))
        except (ValueError, TypeError, IndexError, AttributeError) as exc:
            raise BrokerError("it does not tell who has which slots") from exc


def _owners(reply: Any, asked: Address) -> list[Address | None]:
    found: list[Address | None] = [None] * SLOTS
    for first, last, (host, port, *_), *_ in reply:
        if not 0 <= first <= last < SLOTS or not 0 < port < 65536:
            raise ValueError("not a slot, or not a port")
        # A server that does not know its own address leaves it to who has found it.
        name = host.decode() if host not in (None, b"", b"?") else asked.host
        owner = asked._replace(host=name, port=port, path="")
        found[first : last + 1] = [owner] * (last + 1 - first)
    if not reply:
        raise ValueError("no slots")
    return found
