"""The broker that shares topics by way of a hub."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any, Final

from ...exceptions import BrokerError
from ..batches import Batches, Budget
from ..broker import Broker, Missed, Receiver, Retention, check_unused
from ..futures import Tasks
from ..pages import Page, read_pages
from ..publication import Position, Publication
from ..wire import decode_all
from .commands import Commands
from .link import Connection, Link
from .presence import Presence
from .protocol import (
    GOODBYE,
    KEPT,
    MESSAGE,
    PAGE,
    PING,
    READ,
    U8,
    U32,
    U64,
    Fields,
    frame_of,
    short,
    split_kept,
    topic_end,
)
from .publish import Publish, position_of, take_position
from .subscriptions import Subscriptions

__all__ = ["HubBroker"]

_START_TIMEOUT: Final = 10.0  # seconds
_CLOSE_TIMEOUT: Final = 1.0

_log = logging.getLogger("wsproto_async.pubsub")


class HubBroker(Broker):
    """Shares topics with all processes that use the hub whose Unix socket is at ``path``.

    The workers of one :func:`run` have a hub of their own, and use it by themselves. What it keeps
    ends with it: when it has to be started again, who has missed something is told so.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._receiver: Receiver | None = None
        self._tasks = Tasks()

    def __repr__(self) -> str:
        return f"<HubBroker {self._path}>"

    # Its life

    async def start(self, receiver: Receiver) -> None:
        check_unused(self._receiver)
        self._loop = asyncio.get_running_loop()
        self._receiver = receiver
        self._is_up = False
        self._up = asyncio.Event()
        self._commands = Commands()
        self._subscriptions = Subscriptions(self._commands, self._subscription_restored)
        self._presence = Presence(self._commands)
        self._budget = Budget()
        self._batches = Batches(
            self._budget, self._begin, self._commands.send, self._commands.flush
        )
        link = Link(self._path, self)
        self._running = self._loop.create_task(link.run())
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                await self._up.wait()
            if self._receiver is None:
                raise BrokerError("the broker is closed")
        except TimeoutError:
            why = f"cannot connect to the hub at {self._path}: {link.error}"
            raise BrokerError(why) from None
        finally:
            if not self._up.is_set():
                await self.close()

    async def close(self) -> None:
        if self._receiver is None:
            return
        self._receiver = None
        self._up.set()
        self._batches.flush()
        if self._is_up:
            goodbye = self._commands.ask_now(frame_of(GOODBYE))
            await asyncio.wait([goodbye], timeout=_CLOSE_TIMEOUT)
        self._subscriptions.close("the broker is closed")
        self._commands.fail("the broker is closed")
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        await self._tasks.wait()

    # What the link tells

    def linked(self, connection: Connection, run: bytes) -> None:
        self._commands.linked(connection, run)
        self._subscriptions.restore()
        self._presence.restore(run)
        restored = self._commands.ask_now(frame_of(PING))
        restored.add_done_callback(self._restored)

    def _restored(self, restored: asyncio.Future[Any]) -> None:
        if restored.exception() is not None or not self._commands.is_linked:
            return
        self._is_up = True
        if self._receiver is not None and self._up.is_set():
            _log.info("the hub is back")
            self._receiver.connection_made()
        self._up.set()
        self._commands.open()

    def _subscription_restored(self, topic: str) -> None:
        if self._receiver is not None:
            self._receiver.subscription_restored(topic)

    def unlinked(self, why: str) -> None:
        self._commands.unlinked(why)
        was_up, self._is_up = self._is_up, False
        if self._receiver is not None and was_up:
            _log.warning("lost the hub: %s", why)
            self._receiver.connection_lost(why)

    def ping(self) -> None:
        self._commands.ask_now(frame_of(PING))

    def received(self, frame: bytes) -> None:
        kind = frame[4]
        if kind in (MESSAGE, KEPT):
            self._arrived(frame)
        else:
            self._commands.answered(kind, Fields(frame))

    def _arrived(self, frame: bytes) -> None:
        receiver = self._receiver
        if receiver is None:
            return
        position = None
        try:
            if frame[4] == MESSAGE:
                end = topic_end(frame)
                name, data = frame[6:end], frame[end:]
            else:
                name, epoch, offset, data = split_kept(frame)
                position = position_of(epoch, offset)
            topic = self._subscriptions.topics.get(name)
            if topic is None or name in self._subscriptions.lost:
                return  # it was on its way when this process unsubscribed, or is part of a gap
            publications = decode_all(topic, data, position)
        except ValueError as exc:
            receiver.publication_refused(str(exc))
            return
        for each in publications:
            if self._receiver is not None:  # whom the one before may have let close the broker
                receiver.publication_received(each)

    # Publications

    def publish(
        self, publication: Publication, retention: Retention | None, idempotency_key: str
    ) -> asyncio.Future[Position | None]:
        if not idempotency_key:
            return self._batches.add(publication, retention)
        command = Publish(publication.topic, retention, self._budget, idempotency_key)
        return self._batches.add_alone(publication, command)

    def _begin(self, topic: str, retention: Retention | None) -> Publish:
        return Publish(topic, retention, self._budget)

    def subscribe(self, topic: str) -> asyncio.Future[None]:
        self._batches.flush()
        return self._subscriptions.subscribe(topic)

    def unsubscribe(self, topic: str) -> None:
        self._batches.flush()
        self._subscriptions.unsubscribe(topic)

    # Histories

    def read(
        self, topic: str, since: Position | None, retention: Retention
    ) -> asyncio.Future[Missed]:
        return self._tasks.start(
            read_pages(topic, since, retention, partial(self._page, topic), self._refused)
        )

    def _refused(self, why: str) -> None:
        if self._receiver is not None:
            self._receiver.publication_refused(why)

    def _page(self, topic: str, since: Position | None) -> asyncio.Future[Page]:
        epoch, offset = since or ("", 0)
        fields = (short(topic.encode()), short(epoch.encode()), U64.pack(offset))
        return self._commands.ask(frame_of(READ, *fields), _take_page, answer=PAGE)

    # Presence

    def enter(self, topic: str, member_id: str, name: str) -> asyncio.Future[None]:
        self._batches.flush()
        return self._presence.enter(topic, member_id, name)

    def leave(self, topic: str, member_id: str) -> asyncio.Future[None]:
        self._batches.flush()
        return self._presence.leave(topic, member_id)

    def members(self, topic: str) -> asyncio.Future[dict[str, str]]:
        return self._presence.members(topic)


def _take_page(fields: Fields) -> Page:
    position = take_position(fields)
    if position is None:
        raise ValueError("no position")
    (is_there,) = fields.take(U8)
    page = []
    while fields:
        (length,) = fields.take(U32)
        page.append(fields.raw(length))
    return position, page if is_there else None
