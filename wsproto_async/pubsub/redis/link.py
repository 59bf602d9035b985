"""A connection to Redis that comes back by itself."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import hiredis

from ...exceptions import BrokerError
from .address import Address
from .call import Arguments
from .connection import Connection

__all__ = ["Link", "Owner"]

_CONNECT_TIMEOUT: Final = 3.0  # seconds
# Seconds to wait before the next attempt, and before one that follows many in vain: up to them, at
# random.
_FIRST_CEILING: Final = 0.05
_LAST_CEILING: Final = 0.5
_STABLE: Final = 1.0  # seconds that a connection lasts if it is of use


class Owner(Protocol):
    """Who uses a link."""

    def check(self, replies: list[Any]) -> None:
        """Raise BrokerError, OSError if a server that has answered so is of no use."""

    def linked(self, connection: Connection, replies: list[Any]) -> None:
        """There is a connection, and the answers to what it was greeted with."""

    def unlinked(self, why: str) -> None:
        """The connection is over, after ``linked`` each time."""


class Link:
    """Keeps ``owner`` connected while ``run`` runs; ``greeting`` is sent on each connection.

    ``on_failure`` is called with what made an attempt fail.
    """

    def __init__(
        self,
        address: Address,
        greeting: Sequence[Arguments],
        owner: Owner,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._address = address
        self._prelude = address.greeting()
        self._greeting = (*self._prelude, *greeting)
        self._owner = owner
        self._on_failure = on_failure
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Connect again and again until cancelled; then the connection is closed."""
        ceiling = _FIRST_CEILING
        while True:
            connection: Connection | None = None
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT):
                    connection = await self._address.connect(Connection)
                    replies = await connection.ask(self._greeting)
                replies = replies[len(self._prelude) :]
                self._owner.check(replies)
            except (OSError, hiredis.ReplyError, BrokerError) as exc:
                self._on_failure(exc)
                if connection is not None:
                    connection.abort("the greeting failed")
                ceiling = await _pause(ceiling)
                continue
            except BaseException:
                if connection is not None:
                    connection.abort("not needed any more")
                raise
            since = self._loop.time()
            try:
                connection.on_lost = self._owner.unlinked
                self._owner.linked(connection, replies)
                await asyncio.shield(connection.ended)
            finally:
                connection.close()
            if not connection.is_aborted or self._loop.time() >= since + _STABLE:
                ceiling = _FIRST_CEILING
            ceiling = await _pause(ceiling)


async def _pause(ceiling: float) -> float:
    """Wait before the next attempt; return up to how long before the one after that."""
    await asyncio.sleep(random.random() * ceiling)
    return min(ceiling * 2, _LAST_CEILING)
