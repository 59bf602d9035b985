"""Who has subscribed to what: between a server's connections and its broker.

Laws: who has subscribed gets what is published from then on, once and in order, or ``on_gap`` is
called. When a connection is gone, nothing of it is left in here.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from ..codec.opcodes import OP_BINARY, OP_TEXT
from ..exceptions import BrokerError, InvalidState
from ..pubsub.audience import Audience
from ..pubsub.broker import MAX_PAYLOAD, Broker, Missed
from ..pubsub.publication import Kind, Position, Publication
from ..pubsub.topic import Slow, Topic, check_key, check_slow, check_topic
from .data import Data, encode_data
from .fanout import Fanout
from .log import Log, one_line, who
from .outbox import CLOSED, OVERHEAD, Policy
from .prepared import PreparedMessage
from .thread import current_thread

if TYPE_CHECKING:
    from .protocol import ProtocolCore
    from .websocket import WebSocket

__all__ = ["Subscription", "TopicStats", "Topics", "TopicsView"]

_T = TypeVar("_T")
_Tell = Callable[[Any, Policy, str], None]

_MAX_PENDING: Final = 2**26  # bytes that wait for their subscribers: 64 MiB
_AGAIN: Final = 1.0  # seconds until what could not be read is read again
_IN_A_ROW: Final = 32  # messages whose publishers may await them without a turn of the loop
_ANY: Final = Topic("*")


class Subscription(NamedTuple):
    """What ``subscribe`` has come to."""

    topic: str
    position: Position | None
    """Where the topic's history stood: all from there on will be sent. None without a history."""
    recovered: bool | None
    """With ``since``: True if all that was missed has been sent, False if not all of it is kept or
    it is too much: then nothing of it has been sent, or with ``last`` the end. None without."""


class TopicStats(NamedTuple):
    """Numbers of a server's topics: two of now, the others since it started."""

    topics: int
    """Topics with subscribers in this process now."""
    subscriptions: int
    """Subscriptions now."""
    published: int
    """Messages published in this process."""
    received: int
    """Publications that came from the broker, those of this process included."""
    dropped: int
    """Messages that slow subscribers have not been sent."""
    closed: int
    """Slow subscribers closed with 1013."""
    duplicates: int
    """Publications that came once more, and were dropped."""
    gaps: int
    """Times that subscribers of a topic may have missed something."""
    refused: int
    """What came from the broker and was no publication, or came too fast."""


class Topics:
    """The topics of one server; what the broker tells comes in here."""

    def __init__(
        self,
        topics: Sequence[Topic],
        broker: Broker,
        max_topics: int | None,
        max_subscriptions: int | None,
        log: Log,
    ) -> None:
        self._rules = (*topics, _ANY)
        self._broker = broker
        self._max_topics = max_topics
        self._max_subscriptions = max_subscriptions
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._thread = current_thread()
        self._fanout = Fanout(self._loop)
        self._audiences: dict[str, _Audience] = {}
        self._websockets: dict[ProtocolCore, WebSocket] = {}  # of those with subscriptions
        self._excluded: dict[bytes, ProtocolCore] = {}  # who was excluded once, by id
        self._pending: dict[tuple[ProtocolCore, str], asyncio.Task[Subscription]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._in_a_row = 0  # awaited without a turn of the loop
        self._published = self._received = self._refused = 0
        self._dropped = self._closed = 0
        self._duplicates = self._gaps = 0

    async def start(self) -> None:
        """Connect to the broker; raises BrokerError."""
        await self._broker.start(self)

    async def close(self) -> None:
        """Leave the broker; nothing is delivered any more."""
        for task in self._tasks:
            task.cancel()
        await self._broker.close()
        if self._tasks:
            await asyncio.wait(self._tasks)

    # Subscribing

    def subscribe(
        self,
        ws: WebSocket,
        name: str,
        since: Position | str | None,
        last: int,
        member: str | None,
    ) -> asyncio.Future[Subscription]:
        """See ``WebSocket.subscribe``."""
        protocol = ws._protocol
        protocol.sender.check_thread()
        check_topic(name)
        if member is not None:
            check_key("member", member)
        if isinstance(since, str):
            since = _position_of(since)
        elif since is not None and not isinstance(since, Position):
            raise TypeError(f"since must be a Position or a str, not {type(since).__name__}")
        protocol.connection.check_open()
        mine = {} if protocol.audiences is None else protocol.audiences
        if name in mine:
            raise InvalidState(f"subscribed to {name} already")
        if self._max_subscriptions is not None and len(mine) >= self._max_subscriptions:
            raise InvalidState(f"a connection may have {self._max_subscriptions} subscriptions")
        audience = self._audiences.get(name)
        options = self._options(name)
        if last < 0:
            raise ValueError("last must be a number of messages, or 0")
        reads = since is not None or last > 0
        if reads and options.retention is None:
            raise InvalidState(f"{name} has no history: a Topic with history has one")
        if member is not None and not options.presence:
            raise InvalidState(f"{name} has no members: a Topic with presence has them")
        if audience is None:
            audience = self._begin(name, options)
        protocol.audiences = mine
        mine[name] = audience
        self._websockets[protocol] = ws
        if reads:
            audience.begin_join(protocol)
        else:
            audience.add(protocol)
        if member is not None:
            audience.members[protocol] = member
            self._broker.enter(name, ws.id.hex, member)
        done = self._subscribed(audience, protocol, since, last)
        if options.on_subscribe is not None:
            self._call(protocol, options.on_subscribe, ws, name)
        return done

    def _begin(self, name: str, options: Topic) -> _Audience:
        """Somebody is the first in this process who subscribes to a topic."""
        if self._max_topics is not None and len(self._audiences) >= self._max_topics:
            raise InvalidState(f"a process may have {self._max_topics} topics")
        audience = _Audience(name, options, self._slow)
        audience.confirmed = self._broker.subscribe(name)
        self._audiences[name] = audience
        if options.retention is not None:
            read: asyncio.Future[Missed] | None = None
            if _has_succeeded(audience.confirmed):
                audience.begin_reading()
                read = self._broker.read(name, None, options.retention)
                if _has_succeeded(read):
                    self._caught_up(audience, read.result())
                    return audience
            audience.confirmed = self._start(self._open(audience, audience.confirmed, read))
        return audience

    async def _open(
        self, audience: _Audience, confirmed: Awaitable[None], read: Awaitable[Missed] | None
    ) -> None:
        """Find out where a topic with a history stands, now that all that comes is seen."""
        if read is None:
            await confirmed
            assert audience.options.retention is not None
            audience.begin_reading()
            read = self._broker.read(audience.name, None, audience.options.retention)
        self._caught_up(audience, await read)

    def _subscribed(
        self, audience: _Audience, protocol: ProtocolCore, since: Position | None, last: int
    ) -> asyncio.Future[Subscription]:
        """Return what tells when all is seen, and sent that was missed: at once, if it can be."""
        name, retention = audience.name, audience.options.retention
        read: asyncio.Future[Missed] | None = None
        subscription: Subscription | None = None
        if _has_succeeded(audience.confirmed):
            if since is None and not last:
                subscription = Subscription(name, audience.position, None)
            elif since is not None and not last:
                assert retention is not None
                read = self._broker.read(name, since, retention)
                if _has_succeeded(read):
                    subscription = self._join(audience, protocol, *_recovered(read.result()))
        if subscription is not None:
            done: asyncio.Future[Subscription] = self._loop.create_future()
            done.set_result(subscription)
            return done
        run = self._subscribe(audience, protocol, since, last, audience.position, read)
        task = self._pending[protocol, name] = self._start(run)
        # Not at the end of the coroutine: one that is cancelled at once never begins.
        task.add_done_callback(lambda task: self._end_subscribing(protocol, name, task))
        return task

    async def _subscribe(
        self,
        audience: _Audience,
        protocol: ProtocolCore,
        since: Position | None,
        last: int,
        position: Position | None,
        read: asyncio.Future[Missed] | None,
    ) -> Subscription:
        name = audience.name
        if read is None:
            await asyncio.wait([audience.confirmed])  # others wait for it too: not to be cancelled
            audience.confirmed.result()
        found: tuple[Missed, bool | None] | None = None
        if read is not None:
            found = _recovered(await read)
        elif since is not None or last:
            found = await self._read(audience, since, last)
        protocol.connection.check_open()
        if self._pending.get((protocol, name)) is not asyncio.current_task():
            raise InvalidState(f"unsubscribed from {name} meanwhile")
        if found is None:
            return Subscription(name, position or audience.start, None)
        return self._join(audience, protocol, *found)

    async def _read(
        self, audience: _Audience, since: Position | None, last: int
    ) -> tuple[Missed, bool | None]:
        """Read what came after ``since``, else the last messages; tell if that was recovered."""
        assert audience.options.retention is not None
        read = partial(self._broker.read, audience.name, retention=audience.options.retention)
        if since is not None:
            missed = await read(since=since)
            if missed.publications is not None or not last:
                return _recovered(missed)
        newest = (await read(since=None)).position
        while True:
            missed = await read(since=Position(newest.epoch, max(newest.offset - last, 0)))
            if missed.publications is not None or not last:
                return missed, None if since is None else False
            last //= 2  # not so many are kept: they have become too old

    def _end_subscribing(
        self, protocol: ProtocolCore, name: str, task: asyncio.Task[Subscription]
    ) -> None:
        if self._pending.get((protocol, name)) is task:
            del self._pending[protocol, name]
            if not _has_succeeded(task):
                self.unsubscribe(protocol, name)

    def _join(
        self, audience: _Audience, protocol: ProtocolCore, missed: Missed, recovered: bool | None
    ) -> Subscription:
        """Let a connection have all that was read, or nothing of it, and then what comes."""
        publications, position = audience.join(protocol, missed)
        messages = [self._prepare(audience, each) for each in publications or ()]
        ready = [each for each in messages if each is not None]
        connection, sender = protocol.connection, protocol.sender
        size = sum(len(each.frame(connection.codec, False)) + OVERHEAD for each in ready)
        room = audience.options.max_bytes or sender.outbox_limit()
        is_all = publications is not None and sender.buffered_amount() + size <= room
        if is_all:
            whole = Policy(audience.name, "close", audience.options.max_bytes, None, "", self._slow)
            self._fanout.give(protocol, ready, whole)
        return Subscription(audience.name, position, recovered and is_all)

    def unsubscribe(self, protocol: ProtocolCore, name: str) -> None:
        """See ``WebSocket.unsubscribe``."""
        protocol.sender.check_thread()
        mine = protocol.audiences
        audience = None if mine is None else mine.pop(name, None)
        if audience is None:
            return
        ws = self._websockets[protocol]
        if not mine:
            protocol.audiences = None
            del self._websockets[protocol]
            self._forget_excluded(ws)
        self._leave(audience, protocol, ws)

    def drop(self, protocol: ProtocolCore, ws: WebSocket) -> None:
        """The connection is gone."""
        mine, protocol.audiences = protocol.audiences, None
        self._websockets.pop(protocol, None)
        self._forget_excluded(ws)
        for audience in (mine or {}).values():
            self._leave(audience, protocol, ws)

    def _leave(
        self, audience: Audience[ProtocolCore], protocol: ProtocolCore, ws: WebSocket
    ) -> None:
        self._pending.pop((protocol, audience.name), None)
        audience.remove(protocol)
        if audience.members.pop(protocol, None) is not None:
            self._broker.leave(audience.name, ws.id.hex)
        if not len(audience):
            reading = self._audiences.pop(audience.name).reading
            if reading is not None:
                reading.cancel()
            self._broker.unsubscribe(audience.name)
            self._duplicates += audience.duplicates
            self._refused += audience.refused
        if audience.options.on_unsubscribe is not None:
            self._call(protocol, audience.options.on_unsubscribe, ws, audience.name)

    # Publishing

    def publish(
        self,
        name: str,
        message: Data,
        text: bool | None,
        compress: bool | None,
        exclude: WebSocket | None,
        key: str,
        slow: Slow | None,
        idempotency_key: str,
    ) -> Awaitable[Position | None]:
        """See ``Server.publish``."""
        if current_thread() != self._thread:
            raise RuntimeError(
                "called from another thread than the server's: "
                "see asyncio.run_coroutine_threadsafe() and loop.call_soon_threadsafe()"
            )
        if name not in self._audiences:
            check_topic(name)
        opcode, payload = encode_data(message, text)
        if len(payload) > MAX_PAYLOAD:
            raise ValueError(f"a message of {len(payload)} bytes is too large to publish")
        if slow is not None:
            check_slow(slow)
        check_key("key", key)
        check_key("idempotency_key", idempotency_key)
        publication = Publication(
            name,
            payload,
            opcode == OP_TEXT,
            key=key,
            slow=slow,
            compress=compress,
            exclude=b"" if exclude is None else self._exclude(exclude),
        )
        if self._fanout.pending > _MAX_PENDING:
            done: asyncio.Future[Position | None] = self._loop.create_future()
            done.set_exception(BrokerError("too much waits for its subscribers"))
            done.exception()  # whoever does not ask is not told
            return done
        self._published += 1
        options = self._options(name)
        done = self._broker.publish(publication, options.retention, idempotency_key)
        return _Publishing(done, self, name, slow or options.slow)

    def _exclude(self, ws: WebSocket) -> bytes:
        number = ws.id.bytes
        if ws._protocol.audiences is not None:
            self._excluded[number] = ws._protocol
        return number

    def _forget_excluded(self, ws: WebSocket) -> None:
        if self._excluded:
            self._excluded.pop(ws.id.bytes, None)

    async def settle(self, name: str, slow: str) -> None:
        """Wait for those who deliver, and with "wait" for those who read."""
        self._in_a_row += 1
        if self._in_a_row >= _IN_A_ROW:  # nobody may have subscribed
            self._in_a_row = 0
            await asyncio.sleep(0)
        if slow == "wait" or self._fanout.is_busy():
            await self._fanout.settle()
        if slow == "wait":
            await self._wait_for_slow(name)

    async def _wait_for_slow(self, name: str) -> None:
        audience = self._audiences.get(name)
        for protocol in () if audience is None else audience.targets():
            while protocol.sender.outbox is not None and not protocol.is_lost:
                await protocol.sender.change()

    def members(self, name: str) -> asyncio.Future[dict[str, str]]:
        """See ``Server.members``."""
        check_topic(name)
        return self._broker.members(name)

    # What the broker tells

    def publication_received(self, publication: Publication) -> None:
        self._received += 1
        audience = self._audiences.get(publication.topic)
        if audience is None:
            return  # the last subscriber has just left
        if self._fanout.pending > _MAX_PENDING:
            self._refused += 1
            if audience.options.retention is None:
                self._gap(audience)
            elif not audience.is_reading:  # else it will be seen that it is missing
                self._catch_up(audience, settles=True)
            return
        self._take(audience, publication)

    def publication_refused(self, why: str) -> None:
        self._refused += 1
        self._log.info("refused from the broker: %s", one_line(why))

    def connection_lost(self, why: str) -> None:
        pass  # what it means is known when the broker is back

    def connection_made(self) -> None:
        for audience in tuple(self._audiences.values()):
            if not audience.confirmed.done():
                continue  # nobody has been told that they would miss nothing
            if audience.options.retention is None:
                self._gap(audience)
            else:
                self._catch_up(audience)

    def _take(self, audience: _Audience, publication: Publication) -> None:
        is_next = audience.take(publication)
        if is_next:
            self._deliver(audience, publication)
        elif is_next is None:
            self._catch_up(audience)

    def _catch_up(self, audience: _Audience, settles: bool = False) -> None:
        """Read what all subscribers have missed, with ``settles`` after what waits for them."""
        audience.begin_reading()
        if audience.reading is not None:
            audience.reading.cancel()
        audience.reading = self._start(self._read_missed(audience, settles))

    async def _read_missed(self, audience: _Audience, settles: bool) -> None:
        assert audience.options.retention is not None
        if settles:
            await self._fanout.settle()
        while True:
            audience.begin_reading()
            try:
                missed = await self._broker.read(
                    audience.name, audience.position, audience.options.retention
                )
                break
            except BrokerError as exc:
                self._log.debug("topic %s: %s", one_line(audience.name), one_line(exc))
            await asyncio.sleep(_AGAIN)
        audience.reading = None
        self._caught_up(audience, missed)

    def _caught_up(self, audience: _Audience, missed: Missed) -> None:
        if self._audiences.get(audience.name) is not audience:
            return  # the last subscriber has left meanwhile
        publications, is_all = audience.caught_up(missed)
        if not is_all:
            self._gap(audience)
        for publication in publications:
            self._take(audience, publication)

    def _gap(self, audience: _Audience) -> None:
        if audience.is_gap_told:
            return
        audience.is_gap_told = True
        self._gaps += 1
        self._log.info("messages may have been missed: topic %s", one_line(audience.name))
        if audience.options.on_gap is not None:
            self._call(None, audience.options.on_gap, audience.name)

    def _deliver(self, audience: _Audience, publication: Publication) -> None:
        audience.is_gap_told = False
        targets = audience.targets()
        if not targets:
            return
        message = self._prepare(audience, publication)
        if message is None:
            return
        policy = audience.policy
        if publication.slow is not None or publication.key:
            policy = _policy(audience.name, audience.options, publication, self._slow)
        excluded = self._excluded.get(publication.exclude) if publication.exclude else None
        self._fanout.add(targets, message, policy, excluded)

    def _prepare(self, audience: _Audience, publication: Publication) -> PreparedMessage | None:
        """Return what subscribers are sent for a publication; None for nothing."""
        wrap = audience.options.wrap
        if wrap is None:
            if publication.kind is not Kind.MESSAGE:
                return None
            opcode = OP_TEXT if publication.is_text else OP_BINARY
            return PreparedMessage(opcode, publication.payload, publication.compress)
        try:
            wrapped = wrap(publication)
            if wrapped is None:
                return None
            opcode, payload = encode_data(wrapped, None)
        except Exception as exc:
            self._log.exception("wrap failed", f"topic {one_line(audience.name)}", exc)
            return None
        return PreparedMessage(opcode, payload, publication.compress)

    # Slow subscribers

    def _slow(self, protocol: ProtocolCore, policy: Policy, what: str) -> None:
        if what == CLOSED:
            self._closed += 1
            protocol.close(1013, "too slow")
        else:
            self._dropped += 1
        on_slow = self._options(policy.topic).on_slow
        ws = self._websockets.get(protocol)
        if on_slow is not None and ws is not None:
            self._call(protocol, on_slow, ws, policy.topic, what)

    # What it is

    def names(self) -> Iterator[str]:
        """Return the names of the topics with subscribers in this process."""
        return iter(tuple(self._audiences))

    def count(self) -> int:
        """Return how many these are."""
        return len(self._audiences)

    def subscribers(self, name: str) -> frozenset[WebSocket]:
        """Return a topic's subscribers in this process; raises KeyError if there are none."""
        audience = self._audiences[name]
        return frozenset([self._websockets[each] for each in audience.subscribers()])

    def stats(self) -> TopicStats:
        """Return the numbers."""
        audiences = self._audiences.values()
        return TopicStats(
            len(audiences),
            sum(map(len, audiences)),
            self._published,
            self._received,
            self._dropped,
            self._closed,
            self._duplicates + sum(each.duplicates for each in audiences),
            self._gaps,
            self._refused + sum(each.refused for each in audiences),
        )

    def _options(self, name: str) -> Topic:
        audience = self._audiences.get(name)
        if audience is not None:
            return audience.options
        return next(each for each in self._rules if each.matches(name))

    def _call(
        self, protocol: ProtocolCore | None, callback: Callable[..., None], *args: object
    ) -> None:
        """Call what the application has given."""
        try:
            callback(*args)
        except Exception as exc:
            whose = "the broker" if protocol is None else who(protocol)
            self._log.exception("callback of a topic failed", whose, exc)

    def _start(self, run: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = self._loop.create_task(run)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:  # asked for, so not logged
            self._log.debug("topic: %s", one_line(task.exception()))


def _recovered(missed: Missed) -> tuple[Missed, bool]:
    return missed, missed.publications is not None


def _position_of(text: str) -> Position:
    """Return what a client says where it left off; if it is no position, one of no epoch."""
    try:
        return Position.parse(text)
    except ValueError:
        return Position("", 0)


class _Audience(Audience["ProtocolCore"]):
    """``confirmed`` is done when all that is published arrives, ``policy`` the topic's.

    ``reading`` is what reads what was missed.
    """

    __slots__ = ("confirmed", "policy", "reading")

    confirmed: asyncio.Future[None]

    def __init__(self, name: str, options: Topic, tell: _Tell) -> None:
        super().__init__(name, options)
        self.policy = _policy(name, options, None, tell)
        self.reading: asyncio.Task[None] | None = None


def _policy(name: str, options: Topic, publication: Publication | None, tell: _Tell) -> Policy:
    slow: str | None = None if publication is None else publication.slow
    key = "" if publication is None else publication.key
    return Policy(name, slow or options.slow, options.max_bytes, options.max_age, key, tell)


def _has_succeeded(future: asyncio.Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


class _Publishing:
    """What ``publish`` returns: awaited, it tells the position, and waits for its turn."""

    __slots__ = ("_done", "_name", "_slow", "_topics")

    def __init__(
        self, done: asyncio.Future[Position | None], topics: Topics, name: str, slow: str
    ) -> None:
        self._done = done
        self._topics = topics
        self._name = name
        self._slow = slow

    def __await__(self) -> Generator[Any, None, Position | None]:
        position = yield from self._done.__await__()
        yield from self._topics.settle(self._name, self._slow).__await__()
        return position


class TopicsView(Mapping[str, "frozenset[WebSocket]"]):
    """A server's topics by name: their subscribers in this process."""

    __slots__ = ("_topics",)

    def __init__(self, topics: Topics) -> None:
        self._topics = topics

    def __getitem__(self, name: str) -> frozenset[WebSocket]:
        return self._topics.subscribers(name)

    def __iter__(self) -> Iterator[str]:
        return self._topics.names()

    def __len__(self) -> int:
        return self._topics.count()
