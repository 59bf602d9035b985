"""The broker that shares topics by way of Redis."""

from __future__ import annotations

import asyncio
import logging
import ssl as ssl_module
from functools import lru_cache, partial
from typing import Any, Final

from ...exceptions import BrokerError
from ..batches import Batches, Budget
from ..broker import IDEMPOTENCY_AGE, Broker, Missed, Receiver, Retention, check_unused
from ..futures import Tasks, fail
from ..pages import Page, read_pages
from ..publication import Position, Publication
from ..wire import decode_all
from .address import Address
from .call import PUBLISH, Call
from .cluster import Cluster
from .command import ANSWERED_WRONG, Repeat
from .names import Names
from .presence import Presence
from .publish import Publish, position
from .scripts import KEEP, READ

__all__ = ["RedisBroker"]

_START_TIMEOUT: Final = 10.0  # seconds
_CLOSE_TIMEOUT: Final = 1.0

_MAX_FAILURES: Final = 10  # different ones that are told of an outage

_log = logging.getLogger("wsproto_async.pubsub")


class RedisBroker(Broker):
    """Shares topics with all processes that use the same Redis server, database and prefix.

    - ``url``: ``redis://user:password@host:port/database``, of which nothing but the scheme is
      needed; ``rediss://`` with TLS; ``redis+unix:///path?db=database``.
    - ``prefix``: what all keys and channels begin with. Redis does not know databases when it
      publishes: servers that share nothing need prefixes of their own.
    - ``ssl``: the context for ``rediss://``; by default certificates and names are checked.

    Needs Redis 6 or newer, or Valkey: one server, which may have replicas, or a cluster, of which
    the URL names any server; its others are found by themselves, and the topics divided among them.
    A history ends, and who has missed something is told so, when its server restarts, another takes
    over, or it gets the topic from another: it may lack what was written last; and when it gets its
    first replica, or has had none for an hour, which looks the same. While that happens, what has
    an idempotency key may arrive behind others published later.

    Raises ValueError for what cannot be.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "wsproto_async:",
        ssl: ssl_module.SSLContext | None = None,
    ) -> None:
        self._address = Address.parse(url, ssl)
        self._names = Names(prefix)
        self._call_again = lru_cache(maxsize=4096)(partial(self._call, idempotency_key=""))
        self._receiver: Receiver | None = None
        self._tasks = Tasks()

    def __repr__(self) -> str:
        return f"<RedisBroker {self._address}>"

    # Its life

    async def start(self, receiver: Receiver) -> None:
        check_unused(self._receiver)
        self._loop = asyncio.get_running_loop()
        self._receiver = receiver
        self._is_started = False
        self._cluster = Cluster(
            self._address, self._linked, self._arrived, self._restored, self._failed
        )
        self._failures: set[str] = set()  # that were told of this outage
        self._presence = Presence(self._cluster, self._names, self._members_restored)
        self._budget = Budget()
        self._batches = Batches(self._budget, self._begin, self._cluster.send, self._cluster.flush)
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                await self._cluster.start()
            self._is_started = True
        except (BrokerError, TimeoutError) as exc:
            why = str(exc) or self._cluster.failure
            raise BrokerError(f"cannot use Redis at {self._address}: {why}") from exc
        finally:
            if not self._is_started:
                await self.close()
        self._looking = self._loop.create_task(self._presence.run())

    async def close(self) -> None:
        if self._receiver is None:
            return
        self._receiver = None
        try:
            if self._is_started:
                self._looking.cancel()
                async with asyncio.timeout(_CLOSE_TIMEOUT):
                    await self._presence.leave_all()
        except (BrokerError, TimeoutError):
            pass  # others find out
        finally:
            self._batches.flush()
            await self._cluster.close("the broker is closed")
            await self._tasks.wait()

    def _linked(self, why: str | None) -> None:
        if self._receiver is None or not self._is_started:
            return
        if why is not None:
            _log.warning("lost Redis at %s: %s", self._address, why)
            self._presence.cut_off()
            self._receiver.connection_lost(why)
            return
        _log.info("Redis at %s is back", self._address)
        self._failures.clear()
        self._presence.look()
        self._receiver.connection_made()

    def _failed(self, why: str) -> None:
        if self._receiver is None or not self._is_started or why in self._failures:
            return
        if len(self._failures) < _MAX_FAILURES:
            self._failures.add(why)
            _log.warning("Redis at %s is not back: %s", self._address, why)

    # Publications

    def publish(
        self, publication: Publication, retention: Retention | None, idempotency_key: str
    ) -> asyncio.Future[Position | None]:
        if not idempotency_key:
            return self._batches.add(publication, retention)
        topic = publication.topic
        call = self._call(topic, retention, idempotency_key)
        command = Publish(topic, retention, self._budget, call, Repeat.SAME_RUN)
        return self._batches.add_alone(publication, command)

    def _begin(self, topic: str, retention: Retention | None) -> Publish:
        return Publish(topic, retention, self._budget, self._call_again(topic, retention))

    def _call(self, topic: str, retention: Retention | None, idempotency_key: str) -> Call:
        """What publishes; publications are to be its end."""
        names = self._names
        channel = names.channel(topic)
        if retention is None and not idempotency_key:
            return Call(PUBLISH, channel)
        keys = [names.head(topic), names.kept(topic)]
        if idempotency_key:
            keys.append(names.idempotency(topic, idempotency_key))
        size, age = (0, 0) if retention is None else (retention.size, _milliseconds(retention.age))
        key_age = _milliseconds(IDEMPOTENCY_AGE)
        return Call(len(keys), *keys, channel, size, age, key_age, script=KEEP)

    def subscribe(self, topic: str) -> asyncio.Future[None]:
        if self._receiver is None:
            return self._closed()
        return self._cluster.subscribe(topic, self._names.channel(topic))

    def unsubscribe(self, topic: str) -> None:
        self._cluster.unsubscribe(self._names.channel(topic))

    def _arrived(self, topic: str, data: bytes) -> None:
        if self._receiver is None:
            return
        try:
            first, newline, encoded = data.partition(b"\n")
            if not newline:
                raise ValueError("publication is cut off")
            publications = decode_all(topic, encoded, position(first))
        except ANSWERED_WRONG as exc:
            self._receiver.publication_refused(str(exc))
            return
        for each in publications:
            if self._receiver is not None:  # whom the one before may have let close the broker
                self._receiver.publication_received(each)

    def _restored(self, topic: str) -> None:
        if self._receiver is not None:
            self._receiver.subscription_restored(topic)

    def _members_restored(self) -> None:
        if self._receiver is not None:
            self._receiver.members_restored()

    # Histories

    def read(
        self, topic: str, since: Position | None, retention: Retention
    ) -> asyncio.Future[Missed]:
        page = partial(self._page, topic, retention)
        return self._tasks.start(read_pages(topic, since, retention, page, self._refused))

    def _refused(self, why: str) -> None:
        if self._receiver is not None:
            self._receiver.publication_refused(why)

    def _page(
        self, topic: str, retention: Retention, since: Position | None
    ) -> asyncio.Future[Page]:
        names = self._names
        size, age = retention.size, _milliseconds(retention.age)
        keys = (names.head(topic), names.kept(topic))
        since = since or Position("", 0)
        return self._cluster.ask(Call(2, *keys, *since, size, age, script=READ), _missed)

    # Presence

    def enter(self, topic: str, member_id: str, name: str) -> asyncio.Future[None]:
        if self._receiver is None:
            return self._closed()
        self._batches.flush()
        return self._presence.enter(topic, member_id, name)

    def leave(self, topic: str, member_id: str) -> asyncio.Future[None]:
        self._batches.flush()
        return self._presence.leave(topic, member_id)

    def members(self, topic: str) -> asyncio.Future[dict[str, str]]:
        return self._presence.members(topic)

    # Futures

    def _closed(self) -> asyncio.Future[Any]:
        future = self._loop.create_future()
        fail(future, "the broker is closed")
        return future


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _missed(reply: list[Any]) -> Page:
    where = position(reply[0])
    if where is None:
        raise ValueError("no position")
    page = reply[1] if len(reply) > 1 else None
    if page is not None and not all(type(each) is bytes for each in page):
        raise ValueError("not publications")
    return where, page
