"""What the workers of one program know of each other: each publishes its numbers.

They go by way of the broker that the workers share, as a topic with a short history that nobody
subscribes to. Its name is as good as a secret, and no application's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from ..exceptions import BrokerError
from ..pubsub.broker import Broker, Retention
from ..pubsub.publication import Position, Publication
from .snapshot import Snapshot

__all__ = ["Exchange"]

_PERIOD: Final = 1.0  # seconds
_SEEN: Final = 3  # periods after which a worker that says nothing is gone
_KEPT: Final = Retention(size=4096, age=4 * _SEEN * _PERIOD)


class Exchange:
    """Tells the others once a second what ``look`` returns, and what the others have told."""

    def __init__(self, broker: Broker, name: str, look: Callable[[], Awaitable[Snapshot]]) -> None:
        self._broker = broker
        self._name = name
        self._look = look
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
            publication = Publication(self._name, (await self._look()).encode(), True)
            try:
                async with asyncio.timeout(_PERIOD):
                    position = await self._broker.publish(publication, _KEPT, "")
            except (BrokerError, TimeoutError):
                self._positions.clear()
            else:
                assert position is not None
                self._positions.append(position)
            await asyncio.sleep(_PERIOD)

    async def others(self, own: int) -> list[Snapshot]:
        """Return the newest of the other workers; none while the broker does not answer."""
        if not self._positions:
            return []
        try:
            async with asyncio.timeout(_PERIOD):
                missed = await self._broker.read(self._name, self._positions[0], _KEPT)
        except (BrokerError, TimeoutError):
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
