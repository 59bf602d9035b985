"""What the workers of one program know of each other: each publishes its numbers.

They go by way of the broker that the workers share, as a topic with a short history that nobody
subscribes to. Its name is as good as a secret, and no application's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from ..aio.log import Log
from ..exceptions import BrokerError
from ..pubsub.broker import Broker, Retention
from ..pubsub.publication import Position, Publication
from .snapshot import Snapshot

__all__ = ["Exchange"]

_PERIOD: Final = 1.0  # seconds
_SEEN: Final = 12  # periods after which a worker that says nothing is gone, and not just busy
_KEPT: Final = Retention(size=4096, age=4 * _SEEN * _PERIOD)


class Exchange:
    """Tells the others once a second what ``look`` returns, and what the others have told."""

    def __init__(
        self, broker: Broker, name: str, look: Callable[[], Awaitable[Snapshot]], log: Log
    ) -> None:
        self._broker = broker
        self._name = name
        self._look = look
        self._log = log
        self._has_failed = False
        self._positions: deque[Position] = deque(maxlen=_SEEN)
        self._telling: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to tell."""
        self._telling = asyncio.get_running_loop().create_task(self._tell())

    async def close(self) -> None:
        """Tell no more."""
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait([self._telling])

    async def _tell(self) -> None:
        while True:
            try:
                publication = Publication(self._name, (await self._look()).encode(), True)
                async with asyncio.timeout(_PERIOD):
                    position = await self._broker.publish(publication, _KEPT, "")
                if position is None:
                    raise TypeError("the broker gave no position, although there is a history")
            except Exception as exc:
                self._positions.clear()
                self._failed(exc)
            else:
                self._positions.append(position)
            await asyncio.sleep(_PERIOD)

    async def others(self, own: int) -> list[Snapshot]:
        """Return the newest of the other workers; none while the broker does not answer."""
        if not self._positions:
            return []
        try:
            async with asyncio.timeout(_PERIOD):
                missed = await self._broker.read(self._name, self._positions[0], _KEPT)
        except Exception as exc:
            self._failed(exc)
            return []
        found: dict[int, Snapshot] = {}
        for publication in missed.publications or ():
            try:
                snapshot = Snapshot.decode(publication.payload)
            except ValueError:
                continue
            found[snapshot.worker] = snapshot
        found.pop(own, None)
        return list(found.values())

    def _failed(self, exc: Exception) -> None:
        """Log once what is wrong; that brokers are away for a while is not."""
        if not self._has_failed and not isinstance(exc, BrokerError | TimeoutError):
            self._has_failed = True
            self._log.exception("workers do not know of each other", "status", exc)
