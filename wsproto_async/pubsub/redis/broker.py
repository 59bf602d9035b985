"""The broker that shares topics by way of Redis."""

from __future__ import annotations

import asyncio
import logging
import ssl as ssl_module
from functools import lru_cache, partial
from typing import Any, Final, TypeVar

from ...exceptions import BrokerError
from ..batches import OVERHEAD, Batch, Batches
from ..broker import IDEMPOTENCY_AGE, Broker, Missed, Receiver, Retention, check_unused
from ..futures import Tasks, fail
from ..pages import Page, read_pages
from ..publication import Position, Publication
from ..wire import decode_all, decode_epoch, encode, sized
from .address import Address
from .call import Call
from .commands import Commands, Repeat
from .link import Link
from .names import Names
from .presence import Presence
from .scripts import PUBLISH, READ
from .subscriptions import Subscriptions

__all__ = ["RedisBroker"]

_T = TypeVar("_T")

_START_TIMEOUT: Final = 10.0  # seconds
_CLOSE_TIMEOUT: Final = 1.0

# What begins so is not going to change while a server starts.
_FINAL: Final = ("NOAUTH", "NOPERM", "WRONGPASS", "ERR AUTH", "ERR DB index")

_log = logging.getLogger("wsproto_async.pubsub")


class RedisBroker(Broker):
    """Shares topics with all processes that use the same Redis server, database and prefix.

    - ``url``: ``redis://user:password@host:port/database``, of which nothing but the scheme is
      needed; ``rediss://`` with TLS; ``redis+unix:///path?db=database``.
    - ``prefix``: what all keys and channels begin with. Redis does not know databases when it
      publishes: servers that share nothing need prefixes of their own.
    - ``ssl``: the context for ``rediss://``; by default certificates and names are checked.

    Needs Redis 6 or newer, or Valkey, as one server, which may have replicas; not a cluster. A
    history ends, and who has missed something is told so, when that server restarts or another
    takes over: it may lack what was written last.

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
        self._down: set[str] = {"commands", "subscriptions"}
        self._is_started = False
        self._commands = Commands(lambda why: self._linked("commands", why))
        self._subscriptions = Subscriptions(
            lambda why: self._linked("subscriptions", why), self._arrived
        )
        self._presence = Presence(self._commands, self._names)
        self._batches = Batches(self._publish)
        self._settled = asyncio.Event()
        self._failure: Exception | None = None
        links = [
            Link(self._address, owner.greeting, owner, self._failed)
            for owner in (self._commands, self._subscriptions)
        ]
        self._running = [self._loop.create_task(link.run()) for link in links]
        try:
            async with asyncio.timeout(_START_TIMEOUT):
                await self._settled.wait()
        except TimeoutError:
            pass  # told below
        finally:
            if self._down:
                await self.close()
        if self._down:
            why = str(self._failure or "") or "silent"
            raise BrokerError(f"cannot use Redis at {self._address}: {why}") from self._failure
        self._is_started = True
        self._running.append(self._loop.create_task(self._presence.run()))

    async def close(self) -> None:
        if self._receiver is None:
            return
        self._receiver = None
        running = self._running
        if self._is_started:
            running.pop().cancel()  # presence
            try:
                async with asyncio.timeout(_CLOSE_TIMEOUT):
                    await self._presence.leave_all()
            except (BrokerError, TimeoutError):
                pass  # others find out
        self._batches.flush()
        self._commands.fail("the broker is closed")
        self._subscriptions.close("the broker is closed")
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._tasks.wait()

    def _linked(self, link: str, why: str | None) -> None:
        was_up = not self._down
        (self._down.discard if why is None else self._down.add)(link)
        if self._receiver is None or was_up is not bool(self._down):
            return
        if why is not None:
            _log.warning("lost Redis at %s: %s", self._address, why)
            self._receiver.connection_lost(why)
            return
        self._settled.set()
        if self._is_started:
            _log.info("Redis at %s is back", self._address)
            self._presence.look()
            self._receiver.connection_made()
        self._subscriptions.confirm()

    def _failed(self, exc: Exception) -> None:
        self._failure = exc
        is_final = isinstance(exc, BrokerError) or str(exc).startswith(_FINAL)
        if is_final and not self._is_started:
            self._settled.set()

    # Publications

    def publish(
        self, publication: Publication, retention: Retention | None, idempotency_key: str
    ) -> asyncio.Future[Position | None]:
        if not idempotency_key:
            return self._batches.add(publication, retention)
        self._batches.flush()
        call = self._call(publication.topic, retention, idempotency_key)
        data = encode(publication)
        return self._commands.send(
            call, _position, sized(data), size=len(data) + OVERHEAD, repeat=Repeat.SAME_RUN
        )

    def _publish(self, batch: Batch) -> asyncio.Future[Position | None]:
        call = self._call_again(batch.topic, batch.retention)
        data, size = batch.data, batch.size
        if batch.retention is None:
            return self._commands.send(call, _none, b"\n" + data, size=size, repeat=Repeat.NEVER)
        return self._commands.send(call, _position, data, size=size, repeat=Repeat.NEVER)

    def _call(self, topic: str, retention: Retention | None, idempotency_key: str) -> Call:
        """What publishes; the data comes last: publications, each behind its length."""
        names = self._names
        channel = names.channel(topic)
        if retention is None and not idempotency_key:
            return Call("PUBLISH", channel)
        keys = [names.head(topic), names.stream(topic)]
        if idempotency_key:
            keys.append(names.idempotency(topic, idempotency_key))
        size, age = (0, 0) if retention is None else (retention.size, _milliseconds(retention.age))
        key_age = _milliseconds(IDEMPOTENCY_AGE)
        return Call(len(keys), *keys, channel, size, age, key_age, script=PUBLISH)

    def subscribe(self, topic: str) -> asyncio.Future[None]:
        if self._receiver is None:
            return self._closed()
        return self._subscriptions.subscribe(topic, self._names.channel(topic))

    def unsubscribe(self, topic: str) -> None:
        self._subscriptions.unsubscribe(self._names.channel(topic))

    def _arrived(self, topic: str, data: bytes) -> None:
        if self._receiver is None:
            return
        position, newline, encoded = data.partition(b"\n")
        try:
            if not newline:
                raise ValueError("publication is cut off")
            publications = decode_all(topic, encoded, _position(position))
        except ValueError as exc:
            self._receiver.publication_refused(str(exc))
            return
        for each in publications:
            if self._receiver is not None:  # whom the one before may have let close the broker
                self._receiver.publication_received(each)

    # Histories

    def read(
        self, topic: str, since: Position | None, retention: Retention
    ) -> asyncio.Future[Missed]:
        page = partial(self._page, topic, retention)
        return self._tasks.start(read_pages(topic, since, page, self._refused))

    def _refused(self, why: str) -> None:
        if self._receiver is not None:
            self._receiver.publication_refused(why)

    def _page(
        self, topic: str, retention: Retention, since: Position | None
    ) -> asyncio.Future[Page]:
        names = self._names
        size, age = retention.size, _milliseconds(retention.age)
        keys = (names.head(topic), names.stream(topic))
        since = since or Position("", 0)
        return self._commands.send(Call(2, *keys, *since, size, age, script=READ), _missed)

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


def _none(reply: Any) -> None:
    return None


def _position(text: bytes) -> Position | None:
    if not text:
        return None
    epoch, _, offset = text.partition(b":")
    if not offset.isdigit() or len(offset) > 16:
        raise ValueError("not a position")
    return Position(decode_epoch(epoch), int(offset))


def _missed(reply: list[Any]) -> Page:
    position = _position(reply[0])
    if position is None:
        raise ValueError("no position")
    return position, reply[1] if len(reply) > 1 else None
