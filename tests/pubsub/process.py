"""A broker and what it has told, as one process has them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import count
from typing import Any

from wsproto_async.pubsub import Broker, Publication

PATIENCE = 20.0  # seconds for what must arrive


class Recorder:
    """A receiver that keeps all it is told."""

    def __init__(self) -> None:
        self.publications: list[Publication] = []
        self.refused: list[str] = []
        self.events: list[str] = []
        self.restored: list[str] = []
        self.members_were_lost = 0
        self._changed = asyncio.Event()

    def publication_received(self, publication: Publication) -> None:
        self.publications.append(publication)
        self._changed.set()

    def publication_refused(self, why: str) -> None:
        self.refused.append(why)
        self._changed.set()

    def subscription_restored(self, topic: str) -> None:
        self.restored.append(topic)

    def members_restored(self) -> None:
        self.members_were_lost += 1
        self._changed.set()

    def connection_lost(self, why: str) -> None:
        self.events.append("lost")
        self._changed.set()

    def connection_made(self) -> None:
        self.events.append("made")
        self._changed.set()

    async def changed(self) -> None:
        self._changed.clear()
        await self._changed.wait()


class Process:
    """A broker that has been started, and its receiver.

    ``settling`` are topics, one on each server that the broker uses.
    """

    _numbers = count()

    def __init__(
        self, broker: Broker, recorder: Recorder, settling: Iterable[str] = ("settle",)
    ) -> None:
        self.broker = broker
        self.recorder = recorder
        self._settling = tuple(settling)

    def received(self, topic: str) -> list[Publication]:
        return [each for each in self.recorder.publications if each.topic == topic]

    async def receive(self, number: int, topic: str | None = None) -> list[Publication]:
        """Wait until there are ``number`` publications, and return all that there are."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = self.recorder.publications if topic is None else self.received(topic)
                if len(found) >= number:
                    return list(found)
                await self.recorder.changed()

    async def told(self, *events: str) -> None:
        """Wait until the receiver has been told just this of the connection."""
        async with asyncio.timeout(PATIENCE):
            while self.recorder.events != list(events):
                await self.recorder.changed()

    async def settle(self) -> None:
        """Wait until what was under way has arrived, or does not: something later has."""
        number = b"%d" % next(self._numbers)
        for topic in self._settling:
            await self.broker.subscribe(topic)
            await self.broker.publish(Publication(topic, number, False), None, "")
            while (await self.receive(1, topic))[-1].payload != number:
                await self.recorder.changed()
            self.broker.unsubscribe(topic)
        self.recorder.publications = [
            each for each in self.recorder.publications if each.topic not in self._settling
        ]


def told(publication: Publication) -> tuple[Any, ...]:
    """All that a publication tells."""
    return tuple(getattr(publication, name) for name in Publication.__slots__)
