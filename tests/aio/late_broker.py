"""A broker that answers when a test says so, in the order in which it says so, or fails."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from wsproto_async import BrokerError
from wsproto_async.pubsub import Broker, Missed, Position, Publication, Receiver, Retention

PUBLISH, SUBSCRIBE, READ, MEMBERS = "publish", "subscribe", "read", "members"


class Call(NamedTuple):
    """What was asked for; ``answer`` tells what would be answered now."""

    name: str
    topic: str
    future: asyncio.Future[Any]
    answer: Callable[[], Any]


class LateBroker(Broker):
    """What is published is in the history at once, and waits in ``live`` for its delivery.

    What is ``prompt`` is done at once: calls of these names.
    """

    def __init__(self, *prompt: str) -> None:
        self.prompt = set(prompt)
        self.calls: deque[Call] = deque()
        self.asked: list[tuple[str, str]] = []
        self.live: deque[Publication] = deque()
        self.epoch = "e0"
        self.history: list[Publication] = []

    async def start(self, receiver: Receiver) -> None:
        self.receiver = receiver

    async def close(self) -> None:
        for call in self.calls:
            if not call.future.done():
                fail(call.future, "closed")

    # What a test does

    def call(self, name: str) -> Call:
        """The oldest call of a name that has not been answered."""
        found = next(call for call in self.calls if call.name == name)
        self.calls.remove(found)
        return found

    def answer(self, name: str) -> None:
        call = self.call(name)
        call.future.set_result(call.answer())

    def fail(self, name: str) -> None:
        fail(self.call(name).future, "failed")

    def deliver(self, count: int | None = None) -> None:
        """Let some of what is on its way arrive."""
        for _ in range(len(self.live) if count is None else count):
            self.receiver.publication_received(self.live.popleft())

    def lose(self, count: int) -> None:
        """Let some of it never arrive."""
        for _ in range(count):
            self.live.popleft()

    def publish_elsewhere(self, text: str, topic: str = "news") -> None:
        """Another process publishes something, with a history."""
        self._append(Publication(topic, text.encode(), True))

    def forget(self, epoch: str) -> None:
        """Lose the history."""
        self.epoch = epoch
        self.history.clear()

    # What a server does

    def _call(self, name: str, topic: str, answer: Callable[[], Any]) -> asyncio.Future[Any]:
        future = asyncio.get_running_loop().create_future()
        self.asked.append((name, topic))
        if name in self.prompt:
            future.set_result(answer())
        else:
            self.calls.append(Call(name, topic, future, answer))
        return future

    def _append(self, publication: Publication) -> Position:
        position = Position(self.epoch, len(self.history) + 1)
        self.history.append(publication.at(position))
        self.live.append(self.history[-1])
        return position

    def publish(
        self, publication: Publication, retention: Retention | None, idempotency_key: str
    ) -> asyncio.Future[Position | None]:
        position = None
        if retention is None:
            self.live.append(publication)
        else:
            position = self._append(publication)
        return self._call(PUBLISH, publication.topic, lambda: position)

    def subscribe(self, topic: str) -> asyncio.Future[None]:
        return self._call(SUBSCRIBE, topic, lambda: None)

    def unsubscribe(self, topic: str) -> None:
        self.asked.append(("unsubscribe", topic))

    def read(
        self, topic: str, since: Position | None, retention: Retention
    ) -> asyncio.Future[Missed]:
        def answer() -> Missed:
            position = Position(self.epoch, len(self.history))
            if since is None:
                return Missed(position, [])
            missed = position.offset - since.offset
            if since.epoch != self.epoch or not 0 <= missed <= retention.size:
                return Missed(position, None)
            return Missed(position, self.history[since.offset :])

        return self._call(READ, topic, answer)

    def enter(self, topic: str, member_id: str, name: str) -> asyncio.Future[None]:
        return self._call("enter", topic, lambda: None)

    def leave(self, topic: str, member_id: str) -> asyncio.Future[None]:
        return self._call("leave", topic, lambda: None)

    def members(self, topic: str) -> asyncio.Future[dict[str, str]]:
        return self._call(MEMBERS, topic, dict)


def fail(future: asyncio.Future[Any], why: str) -> None:
    future.set_exception(BrokerError(why))
    future.exception()  # whoever does not ask is not told
