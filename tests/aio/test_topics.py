"""Topics through a server and real sockets: who gets what, and what is done about who is slow."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from raw_peer import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    RawPeer,
    frame,
    raw_peer,
    until,
)
from room import Room, read, read_payloads, read_to_close, room, turns

from wsproto_async import (
    BrokerError,
    ConnectionClosed,
    InvalidState,
    Position,
    State,
    Topic,
    TopicRefused,
    WebSocket,
    broadcast,
    connect,
    serve,
)
from wsproto_async.pubsub import Kind, Publication

SMALL: Any = {"small": True, "write_limit": 2**15}
MESSAGE = 1000  # bytes of a message to somebody slow


# Subscribing and publishing


async def test_subscribers_get_what_is_published_on_their_topic() -> None:
    async with room(3) as here:
        one, other, third = here.websockets
        await one.subscribe("a")
        await other.subscribe("a")
        await other.subscribe("b")
        assert await here.server.publish("a", "text €") is None
        here.server.publish("b", b"binary")
        here.server.publish("c", "nobody")
        here.server.publish("a", b"text", text=True)
        here.server.publish("a", bytearray(b"last"))
        await third.send("only this")
        assert await read(here.peers[0], 3) == [
            Frame(TEXT, "text €".encode()),
            Frame(TEXT, b"text"),
            Frame(BINARY, b"last"),
        ]
        assert sorted(await read_payloads(here.peers[1], 4)) == sorted(
            ["text €".encode(), b"binary", b"text", b"last"]
        )
        assert await read_payloads(here.peers[2], 1) == [b"only this"]


async def test_what_subscribing_comes_to() -> None:
    async with room(1) as here:
        ws = here.websockets[0]
        subscription = await ws.subscribe("news")
        assert subscription == ("news", None, None)
        assert ws.topics == {"news"}
        assert dict(here.server.topics) == {"news": {ws}}
        ws.unsubscribe("news")
        ws.unsubscribe("news")
        ws.unsubscribe("never")
        assert ws.topics == frozenset()
        assert dict(here.server.topics) == {}
        here.server.publish("news", "nobody")
        await ws.subscribe("news")
        here.server.publish("news", "again")
        assert await read_payloads(here.peers[0], 1) == [b"again"]


async def test_it_begins_at_once_and_does_not_have_to_be_awaited() -> None:
    async with room(1) as here:
        here.server.publish("news", "before")
        here.websockets[0].subscribe("news")
        here.server.publish("news", "after")
        assert await read_payloads(here.peers[0], 1) == [b"after"]


async def test_nobody_subscribes_twice() -> None:
    async with room(2) as here:
        await here.subscribe("news")
        with pytest.raises(TopicRefused, match="subscribed to news already"):
            here.websockets[0].subscribe("news")
        here.server.publish("news", "once")
        here.server.publish("news", "next")
        assert await read_payloads(here.peers[0], 2) == [b"once", b"next"]


async def test_one_connection_has_so_many_subscriptions() -> None:
    async with room(2, max_subscriptions=2) as here:
        ws, other = here.websockets
        ws.subscribe("a")
        ws.subscribe("b")
        with pytest.raises(TopicRefused, match="may have 2 subscriptions"):
            ws.subscribe("c")
        assert "c" not in here.server.topics
        ws.unsubscribe("a")
        ws.subscribe("c")
        other.subscribe("d")


async def test_a_process_has_so_many_topics() -> None:
    async with room(2, max_topics=2) as here:
        ws, other = here.websockets
        ws.subscribe("a")
        ws.subscribe("b")
        for each in (ws, other):
            with pytest.raises(TopicRefused, match="may have 2 topics"):
                each.subscribe("c")
        assert other.topics == frozenset()
        other.subscribe("a")
        ws.unsubscribe("b")
        other.subscribe("c")
        assert set(here.server.topics) == {"a", "c"}


@pytest.mark.parametrize("is_group", [False, True])
@pytest.mark.parametrize(
    "wishes",
    [[""], ["*"], ["a" * 2**19], ["a", "a"], ["a", "b", "c"], ["\ud800"], ["a", "b" * 256]],
    ids=lambda wishes: f"{len(wishes)} of {len(wishes[-1])}",
)
async def test_what_peers_want_of_topics_closes_with_1008(
    wishes: list[str], is_group: bool
) -> None:
    """N24, and it is no failure of the handler's: that would be an error in the log."""

    async def handler(ws: WebSocket) -> None:
        async def subscribe() -> None:
            async for message in ws:
                topic, member = json.loads(message)
                await ws.subscribe(topic, member=member)

        if not is_group:
            await subscribe()
        async with asyncio.TaskGroup() as group:
            group.create_task(subscribe())

    async with (
        serve(handler, 0, topics=[Topic("*", presence=True)], max_subscriptions=2) as server,
        raw_peer(server.port) as peer,
    ):
        for wish in wishes:
            is_member = len(wish) == 256
            topic, member = ("room", wish) if is_member else (wish, "Ann")
            await peer.send(frame(TEXT, json.dumps([topic, member]).encode()))
        close = await peer.read_close()
        assert close.payload == b"\x03\xf0topic refused"


@pytest.mark.parametrize("name", ["", "*", "a" * 256, "a\n", None, 1], ids=repr)
async def test_what_names_no_topic(name: Any) -> None:
    async with room(1) as here:
        with pytest.raises((TopicRefused, TypeError)):
            here.websockets[0].subscribe(name)
        with pytest.raises((TopicRefused, TypeError)):
            here.server.publish(name, "nothing")
        with pytest.raises((ValueError, TypeError)):
            here.server.members(name)
        here.websockets[0].unsubscribe(name)
        assert len(here.server.topics) == 0


@pytest.mark.parametrize(
    "options",
    [
        {"message": None},
        {"message": ["fragments"]},
        {"message": "\ud800"},
        {"message": b"\xff", "text": True},
        {"message": bytes(2**24 + 1)},
        {"slow": "fast"},
        {"key": "a" * 256},
        {"key": 1},
        {"idempotency_key": "ü" * 128},
        {"idempotency_key": None},
    ],
    ids=lambda options: ",".join(options),
)
async def test_what_cannot_be_published_raises_at_once(options: Any) -> None:
    async with room(1) as here:
        await here.subscribe("news")
        with pytest.raises((ValueError, TypeError)):
            here.server.publish("news", **{"message": "text", **options})
        here.server.publish("news", "next")
        assert await read_payloads(here.peers[0], 1) == [b"next"]
        assert here.server.stats().topics.published == 1


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"since": Position("a", 1)}, InvalidState),
        ({"since": 1}, TypeError),
        ({"member": "name"}, InvalidState),
        ({"member": 5}, TypeError),
        ({"member": "a" * 256}, ValueError),
        ({"member": "\ud800"}, ValueError),
    ],
    ids=repr,
)
async def test_what_is_refused_leaves_nothing(options: Any, error: type[Exception]) -> None:
    async with room(1) as here:
        with pytest.raises(error):
            here.websockets[0].subscribe("news", **options)
        assert here.websockets[0].topics == frozenset()
        assert here.server.stats().topics[:2] == (0, 0)


async def test_a_client_has_no_topics() -> None:
    async with room(0) as here, connect(f"ws://127.0.0.1:{here.server.port}/") as ws:
        with pytest.raises(InvalidState, match="a client has none"):
            ws.subscribe("news")
        with pytest.raises(InvalidState):
            ws.unsubscribe("news")
        assert ws.topics == frozenset()


async def test_a_connection_that_is_closing_does_not_subscribe() -> None:
    async with room(2) as here:
        closing = asyncio.create_task(here.websockets[0].close())
        await asyncio.sleep(0)
        here.websockets[1].abort()
        for ws in here.websockets:
            with pytest.raises(ConnectionClosed):
                ws.subscribe("news")
            ws.unsubscribe("news")
        assert len(here.server.topics) == 0
        closing.cancel()


async def test_from_another_thread_it_raises() -> None:
    async with room(1) as here:
        errors: list[BaseException] = []

        def run() -> None:
            for call in (
                lambda: here.server.publish("news", "text"),
                lambda: here.websockets[0].subscribe("news"),
                lambda: here.websockets[0].unsubscribe("news"),
            ):
                try:
                    call()
                except RuntimeError as exc:
                    errors.append(exc)

        thread = threading.Thread(target=run)
        thread.start()
        await asyncio.to_thread(thread.join)
        assert len(errors) == 3


@pytest.mark.parametrize("options", [{"topics": ["news"]}, {"broker": 5}, {"max_topics": -1}])
async def test_what_serve_refuses_at_once(options: Any) -> None:
    async def handler(ws: WebSocket) -> None: ...

    with pytest.raises((TypeError, ValueError)):
        serve(handler, 0, **options)


async def test_names_can_be_looked_at_while_they_change() -> None:
    async with room(1) as here:
        ws = here.websockets[0]
        for name in "abc":
            ws.subscribe(name)
        for name in here.server.topics:
            ws.unsubscribe(name)
        assert len(here.server.topics) == 0
        with pytest.raises(KeyError):
            here.server.topics["a"]


# Who is left out


async def test_exclude() -> None:
    async with room(2) as here:
        await here.subscribe("news")
        one, other = here.websockets
        here.server.publish("news", "not for one", exclude=one)
        here.server.publish("news", "not for the other", exclude=other)
        here.server.publish("news", "for both")
        await asyncio.sleep(0)
        here.server.publish("news", "not for one", exclude=one)
        one.unsubscribe("news")
        here.server.publish("news", "not for one", exclude=one)
        assert await read_payloads(here.peers[0], 2) == [b"not for the other", b"for both"]
        assert await read_payloads(here.peers[1], 4) == [
            b"not for one",
            b"for both",
            b"not for one",
            b"not for one",
        ]


async def test_unsubscribing_before_it_goes_out_does_not_take_it_back() -> None:
    async with room(2) as here:
        await here.subscribe("news")
        here.server.publish("news", "before")
        here.websockets[0].unsubscribe("news")
        here.server.publish("news", "after")
        assert await read_payloads(here.peers[1], 2) == [b"before", b"after"]
        await here.websockets[0].send("next")
        assert await read_payloads(here.peers[0], 2) == [b"before", b"next"]


async def test_a_connection_that_is_gone_leaves_nothing() -> None:
    gone: list[tuple[WebSocket, str]] = []
    topic = Topic("*", on_unsubscribe=lambda ws, name: gone.append((ws, name)))
    async with room(2, topics=[topic]) as here:
        one, other = here.websockets
        for name in "ab":
            one.subscribe(name)
        other.subscribe("b")
        here.server.publish("a", "text", exclude=one)
        here.peers[0].reset()
        await until(lambda: len(gone) == 2)
        assert gone == [(one, "a"), (one, "b")]
        assert one.topics == frozenset()
        assert dict(here.server.topics) == {"b": {other}}
        here.server.publish("b", "text")
        assert await read_payloads(here.peers[1], 1) == [b"text"]


# Writes


async def test_what_is_published_in_one_turn_is_one_write() -> None:
    async with room(3, is_recorded=True) as here:
        await here.subscribe("news")
        for number in range(32):
            here.server.publish("news", str(number))
        for peer in here.peers:
            assert await read_payloads(peer, 32) == [b"%d" % number for number in range(32)]
        assert [len(writes) for writes in here.writes] == [1, 1, 1]
        assert here.writes[0][0] is here.writes[1][0]


async def test_awaited_one_after_another_they_are_few_writes() -> None:
    async with room(1, is_recorded=True) as here:
        await here.subscribe("news")
        for number in range(32):
            await here.server.publish("news", str(number))
        assert await read_payloads(here.peers[0], 32) == [b"%d" % number for number in range(32)]
        assert len(here.writes[0]) < 4


async def test_what_is_sent_beside_it_keeps_its_own_order() -> None:
    async with room(1) as here:
        await here.subscribe("news")
        ws = here.websockets[0]
        for number in range(50):
            here.server.publish("news", f"published {number}")
            await ws.send(f"sent {number}")
            if not number % 7:
                await asyncio.sleep(0)
        payloads = await read_payloads(here.peers[0], 100)
        for kind in (b"published", b"sent"):
            of_kind = [payload for payload in payloads if payload.startswith(kind)]
            assert of_kind == [b"%b %d" % (kind, number) for number in range(50)]


@pytest.mark.parametrize("topic", ["news", "nobody"])
@pytest.mark.parametrize("slow", ["close", "wait"])
async def test_who_publishes_without_end_and_awaits_lets_the_loop_go_on(
    topic: str, slow: Any
) -> None:
    async with room(1, topics=[Topic("nobody", wrap=lambda publication: None)]) as here:
        await here.subscribe("news")

        async def publish() -> None:
            while True:
                await here.server.publish(topic, "text", slow=slow)

        publishing = asyncio.create_task(publish())
        reading = asyncio.create_task(here.peers[0].read_eof())
        for _ in range(20):
            await asyncio.sleep(0)
        publishing.cancel()
        await asyncio.wait([publishing])
        here.websockets[0].abort()
        await asyncio.wait([reading])


async def test_who_publishes_without_end_and_does_not_await_is_told() -> None:
    async with room(1, **SMALL) as here:
        await here.subscribe("news", **{})
        block = bytes(2**20)
        futures = [here.server.publish("news", block, slow="drop-newest") for _ in range(70)]
        done = await asyncio.gather(*futures, return_exceptions=True)
        assert 60 <= done.count(None) < 70
        assert all(isinstance(each, BrokerError) for each in done if each is not None)
        assert here.server.stats().topics.published == done.count(None)
        await here.server.publish("news", "again", slow="drop-newest")


async def test_small_messages_are_counted_with_their_overhead() -> None:
    async with room(1, **SMALL) as here:
        await here.subscribe("news")
        for _ in range(60):  # nearly all that may wait
            here.server.publish("news", bytes(2**20), slow="drop-newest")
        with pytest.raises(BrokerError):
            for _ in range(2**16):
                publishing = here.server.publish("news", b"", slow="drop-newest")
                if isinstance(publishing, asyncio.Future):
                    await publishing


# Who is slow


async def fill(here: Room, ws: WebSocket, size: int = 2**18) -> None:
    """Let more wait for a connection than its peer takes, so that what follows waits as well."""
    await ws.send(bytes(size))
    assert ws._protocol.sender.is_held_up()


async def skip(peer: RawPeer, size: int = 2**18) -> None:
    assert await read_payloads(peer, 1) == [bytes(size)]


def payload(number: int, size: int = MESSAGE) -> bytes:
    return b"%d" % number + bytes(size)


def number(payload: bytes) -> int:
    return int(payload.split(b"\0")[0])


class Slow:
    """What a topic tells of those who are slow."""

    def __init__(self) -> None:
        self.told: list[tuple[WebSocket, str, str]] = []

    def __call__(self, ws: WebSocket, topic: str, what: str) -> None:
        self.told.append((ws, topic, what))


async def publish_slowly(here: Room, count: int, **options: Any) -> None:
    """Publish more than is allowed to wait for who does not read."""
    for each in range(count):
        here.server.publish("news", payload(each), **options)
        await asyncio.sleep(0)


@pytest.mark.parametrize("is_per_call", [True, False])
@pytest.mark.parametrize("slow", ["drop-oldest", "drop-newest", "latest"])
async def test_policies_that_drop(slow: Any, is_per_call: bool) -> None:
    told = Slow()
    kept = 10
    limit = 2**18 + kept * (MESSAGE + 300)
    by_topic = {} if is_per_call else {"slow": slow}
    topic = Topic("news", max_bytes=limit, on_slow=told, **by_topic)
    async with room(2, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        ws, quick = here.websockets
        await fill(here, ws)
        reading = asyncio.create_task(read_payloads(here.peers[1], 100))
        await publish_slowly(here, 100, **({"slow": slow} if is_per_call else {}))
        assert ws.buffered_amount <= limit
        assert [number(each) for each in await reading] == list(range(100))
        await skip(here.peers[0])
        found: list[int] = []

        async def read_to_the_last() -> None:
            while not found or found[-1] != 100:
                found.extend(number(each) for each in await read_payloads(here.peers[0], 1))

        reading_too = asyncio.create_task(read_to_the_last())
        await until(lambda: not ws.buffered_amount)
        here.server.publish("news", payload(100))
        await reading_too
        assert found == sorted(set(found))
        dropped = 101 - len(found)
        assert told.told == [(ws, "news", "dropped")] * dropped
        assert here.server.stats().topics.dropped == dropped
        assert here.server.stats().topics.closed == 0
        assert dropped
        # How much of it the kernel takes, and when, is not ours to say.
        if slow == "latest":
            assert found[-2:] == [99, 100]
        elif slow == "drop-oldest":
            assert found[-kept - 1 :] == list(range(100 - kept, 101))
        else:
            assert found[:kept] == list(range(kept))
        assert quick.state is State.OPEN


async def test_the_latest_of_each_key_arrives() -> None:
    async with room(1, **SMALL, topics=[Topic("news", slow="latest")]) as here:
        await here.subscribe("news")
        await fill(here, here.websockets[0])
        for each in range(40):
            here.server.publish("news", payload(each), key="abcd"[each % 4])
            await asyncio.sleep(0)
        await skip(here.peers[0])
        assert [number(each) for each in await read_payloads(here.peers[0], 4)] == [36, 37, 38, 39]
        assert here.server.stats().topics.dropped == 36


@pytest.mark.parametrize("slow", ["close", "wait"])
async def test_policies_that_close(slow: Any) -> None:
    """It misses the end rather than the middle; the others do not notice."""
    told = Slow()
    topic = Topic("news", slow=slow, max_bytes=2**18 + 20_000, on_slow=told)
    async with room(2, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        ws = here.websockets[0]
        await fill(here, ws)
        reading = asyncio.create_task(read_payloads(here.peers[1], 100))
        await publish_slowly(here, 100)
        assert ws.state is State.CLOSING
        assert told.told == [(ws, "news", "closed")]
        assert here.server.stats().topics.closed == 1
        assert [number(each) for each in await reading] == list(range(100))
        await skip(here.peers[0])
        found, close = await read_to_close(here.peers[0])
        assert [number(each) for each in found] == list(range(len(found)))
        assert 10 < len(found) < 100
        assert close == Frame(CLOSE, b"\x03\xf5too slow")


async def test_the_default_is_1_mib() -> None:
    async with room(1, small=True, write_limit=2**16) as here:
        await here.subscribe("news")
        ws = here.websockets[0]
        most = 0
        while ws.state is State.OPEN:
            await here.server.publish("news", bytes(10_000))
            most = max(most, ws.buffered_amount)
        assert 2**20 - 30_000 < most <= 2**20
        await until(lambda: here.server.stats().topics.closed)


async def test_with_wait_who_awaits_waits_for_who_is_slow() -> None:
    async with room(2, **SMALL, topics=[Topic("news", slow="wait")]) as here:
        await here.subscribe("news")
        await fill(here, here.websockets[0])
        publishing = asyncio.ensure_future(here.server.publish("news", "text"))
        assert await read_payloads(here.peers[1], 1) == [b"text"]
        other = asyncio.ensure_future(here.server.publish("news", "next", slow="drop-oldest"))
        await other
        for _ in range(20):
            await asyncio.sleep(0)
        assert not publishing.done()
        await skip(here.peers[0])
        await publishing
        assert await read_payloads(here.peers[0], 2) == [b"text", b"next"]


@pytest.mark.parametrize("end", ["lost", "unsubscribed", "closed", "aborted"])
async def test_with_wait_nobody_waits_for_who_is_gone(end: str) -> None:
    async with room(1, **SMALL, topics=[Topic("news", slow="wait")], close_timeout=0.1) as here:
        await here.subscribe("news")
        ws = here.websockets[0]
        await fill(here, ws)
        publishing = asyncio.ensure_future(here.server.publish("news", "text"))
        for _ in range(3):
            await asyncio.sleep(0)
        assert not publishing.done()
        if end == "lost":
            here.peers[0].reset()
        elif end == "closed":
            asyncio.create_task(ws.close()).add_done_callback(lambda task: task.result())
        elif end == "aborted":
            ws.abort()
        else:
            ws.unsubscribe("news")
            await skip(here.peers[0])
        async with asyncio.timeout(10):
            await publishing


async def test_cancelling_who_waits_takes_nothing_back() -> None:
    async with room(1, **SMALL, topics=[Topic("news", slow="wait")]) as here:
        await here.subscribe("news")
        await fill(here, here.websockets[0])
        publishing = asyncio.ensure_future(here.server.publish("news", "text"))
        await asyncio.sleep(0)
        publishing.cancel()
        await asyncio.wait([publishing])
        await skip(here.peers[0])
        assert await read_payloads(here.peers[0], 1) == [b"text"]


@pytest.mark.parametrize("slow", ["drop-oldest", "close"])
async def test_what_has_waited_for_too_long(slow: Any) -> None:
    topic = Topic("news", slow=slow, max_age=1)
    async with room(1, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        ws = here.websockets[0]
        await fill(here, ws)
        here.server.publish("news", "old")
        await asyncio.sleep(1.1)
        if slow == "close":
            await skip(here.peers[0])
            assert await read_to_close(here.peers[0]) == ([], Frame(CLOSE, b"\x03\xf5too slow"))
            assert here.server.stats().topics.closed == 1
        else:
            here.server.publish("news", "new")
            await skip(here.peers[0])
            assert await read_payloads(here.peers[0], 1) == [b"new"]
            assert here.server.stats().topics.dropped == 1


async def test_pings_are_answered_while_messages_wait() -> None:
    async with room(1, **SMALL, topics=[Topic("news", slow="drop-oldest")]) as here:
        await here.subscribe("news")
        ws, peer = here.websockets[0], here.peers[0]
        await fill(here, ws)
        await publish_slowly(here, 100)
        await peer.send(frame(PING, b"first") + frame(PING, b"last"))
        await skip(peer)
        frames = await read(peer, 101)
        place = frames.index(Frame(PONG, b"last"))
        assert place < 90  # some had been written before


async def test_the_handlers_messages_and_those_that_wait_take_turns() -> None:
    """Neither waits for the other to end, though both go on for ever."""
    topic = Topic("news", slow="drop-oldest")
    async with room(1, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        ws, peer = here.websockets[0], here.peers[0]
        is_over = False

        async def send() -> None:
            while not is_over:
                await ws.send(b"sent" + bytes(20_000))

        async def publish() -> None:
            while not is_over:
                here.server.publish("news", b"published" + bytes(20_000))
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(run()) for run in (send, publish)]
        counts = {b"sent": 0, b"published": 0}
        while min(counts.values()) < 30:
            (found,) = await read_payloads(peer, 1)
            counts[found.rstrip(b"\0")] += 1
            assert max(counts.values()) < 1000
        is_over = True
        ws.abort()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_who_sends_gets_its_turn_while_messages_wait_all_the_time() -> None:
    topic = Topic("news", slow="drop-oldest")
    async with room(1, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        ws, peer = here.websockets[0], here.peers[0]
        await fill(here, ws)
        await publish_slowly(here, 100)
        sending = asyncio.create_task(ws.send("mine"))
        await asyncio.sleep(0)
        await skip(peer)
        found = 0
        while await read_payloads(peer, 1) != [b"mine"]:
            found += 1
            here.server.publish("news", bytes(1000))
            assert found < 100
        await sending


async def test_a_message_in_fragments_is_not_interrupted() -> None:
    async def fragments() -> AsyncIterator[str]:
        yield "one "
        await go_on.wait()
        yield "two"

    go_on = asyncio.Event()
    async with room(1) as here:
        await here.subscribe("news")
        ws, peer = here.websockets[0], here.peers[0]
        sending = asyncio.create_task(ws.send(fragments()))
        assert await read(peer, 1) == [Frame(TEXT, b"one ", fin=False)]
        here.server.publish("news", "published")
        broadcast([ws], "broadcast")
        await asyncio.sleep(0)
        await ws.ping(b"ping")
        assert await read(peer, 1) == [Frame(PING, b"ping")]
        go_on.set()
        await sending
        assert await read(peer, 2) == [
            Frame(CONTINUATION, b"two", fin=False),
            Frame(CONTINUATION, b""),
        ]
        assert sorted(await read_payloads(peer, 2)) == [b"broadcast", b"published"]


async def test_closing_sends_what_waits_first() -> None:
    async with room(1, **SMALL) as here:
        await here.subscribe("news")
        ws, peer = here.websockets[0], here.peers[0]
        await fill(here, ws)
        await publish_slowly(here, 20)
        closing = asyncio.create_task(ws.close(4000, "bye"))
        await skip(peer)
        found, close = await read_to_close(peer)
        assert [number(each) for each in found] == list(range(20))
        assert close.close_code == 4000
        await peer.send(frame(CLOSE, close.payload))
        peer.finish()
        await closing


async def test_broadcasts_and_publications_wait_together() -> None:
    """Each with what holds for it: a broadcast closes, what is published may be dropped."""
    topic = Topic("news", slow="drop-newest", max_bytes=2**18 + 5000)
    async with room(2, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        one, other = here.websockets
        for ws in here.websockets:
            await fill(here, ws)
        broadcast([one], "broadcast")
        here.server.publish("news", "published")
        await asyncio.sleep(0)
        await publish_slowly(here, 100)
        assert here.server.stats().topics.dropped > 100
        assert [ws.state for ws in (one, other)] == [State.OPEN] * 2
        while other.state is State.OPEN:
            broadcast([other], bytes(MESSAGE))
        assert here.server.stats().topics.closed == 0
        assert one.state is State.OPEN
        await skip(here.peers[0])
        assert (await read_payloads(here.peers[0], 2)) == [b"broadcast", b"published"]
        await skip(here.peers[1])
        _, close = await read_to_close(here.peers[1])
        assert close.close_code == 1013


async def test_what_waits_for_many_is_there_once() -> None:
    count, size = 20, 100_000
    topic = Topic("news", slow="drop-oldest", max_bytes=2**21)
    async with room(count, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        for ws in here.websockets:
            await fill(here, ws)
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(10):
                await here.server.publish("news", bytes(size))
            await asyncio.sleep(0)
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        waiting = sum(ws.buffered_amount - 2**18 for ws in here.websockets)
        assert waiting > 8 * count * size
        assert held < 25 * size  # of each the payload and the frame, and no more


# Callbacks


@pytest.mark.logs_errors
@pytest.mark.parametrize("name", ["on_subscribe", "on_unsubscribe", "on_slow", "wrap"])
async def test_callbacks_that_raise_disturb_nobody(name: str) -> None:
    def callback(*args: object) -> None:
        calls.append(args)
        raise ZeroDivisionError

    calls: list[Any] = []
    topic: Any = Topic("news", slow="drop-newest", max_bytes=1000, **{name: callback})
    async with room(2, **SMALL, topics=[topic]) as here:
        await here.subscribe("news")
        await here.subscribe("other")
        await fill(here, here.websockets[0])
        here.server.publish("news", "text")
        here.server.publish("other", "next")
        await skip(here.peers[0])
        expected = [b"next"] if name == "wrap" else [b"text", b"next"]
        assert await read_payloads(here.peers[1], len(expected)) == expected
        here.websockets[0].unsubscribe("news")
        assert calls
        assert set(here.server.topics) == {"news", "other"}


async def test_callbacks_are_called_after_it_is_done() -> None:
    seen: list[tuple[str, bool]] = []
    topic = Topic(
        "*",
        on_subscribe=lambda ws, name: seen.append((name, name in ws.topics)),
        on_unsubscribe=lambda ws, name: seen.append((name, name in ws.topics)),
    )
    async with room(1, topics=[topic]) as here:
        ws = here.websockets[0]
        await ws.subscribe("a")
        ws.unsubscribe("a")
        assert seen == [("a", True), ("a", False)]


@pytest.mark.parametrize("does", ["unsubscribe", "abort"])
async def test_whoever_is_told_of_an_end_sees_nothing_of_it_left(does: str) -> None:
    seen: list[tuple[str, list[int]]] = []

    def look(what: str) -> None:
        seen.append((what, [len(here.server.topics.get(name, ())) for name in ("a", "b")]))

    def wrap(publication: Publication) -> None:
        if publication.kind is Kind.LEAVE:
            look(f"{publication.topic} left")

    topic = Topic(
        "*", presence=True, wrap=wrap, on_unsubscribe=lambda ws, name: look(f"{name} unsubscribed")
    )
    async with room(2, topics=[topic]) as here:
        for ws in here.websockets:
            await ws.subscribe("a", member="name")
            await ws.subscribe("b", member="name")
        one, _ = here.websockets
        here.server.publish("a", "text", exclude=one)
        if does == "unsubscribe":
            one.unsubscribe("a")
            assert seen == [("a left", [1, 2]), ("a unsubscribed", [1, 2])]
        else:
            one.abort()
            await one.wait_closed()
            assert [what for what, _ in seen[:2]] == ["a left", "b left"]
            assert seen[2:] == [("a unsubscribed", [1, 1]), ("b unsubscribed", [1, 1])]
            assert here.server._topics._delivery._excluded == {}


async def test_who_is_told_of_a_join_may_end_it() -> None:
    def wrap(publication: Publication) -> None:
        here.websockets[0].unsubscribe("room")

    async with room(1, topics=[Topic("room", presence=True, wrap=wrap)]) as here:
        with pytest.raises(InvalidState, match="meanwhile"):
            here.websockets[0].subscribe("room", member="Ann")
        assert dict(here.server.topics) == {}
        assert await here.server.members("room") == {}


@pytest.mark.parametrize("does", ["unsubscribe", "abort", "close", "publish", "broadcast"])
async def test_who_is_told_of_the_slow_may_do_anything(does: str) -> None:
    tasks = []

    def on_slow(ws: WebSocket, name: str, what: str) -> None:
        if does == "unsubscribe":
            ws.unsubscribe(name)
        elif does == "abort":
            ws.abort()
        elif does == "close":
            tasks.append(asyncio.create_task(ws.close()))
        elif does == "publish" and len(tasks) < 3:
            tasks.append(asyncio.ensure_future(here.server.publish(name, "slow", exclude=ws)))
        elif does == "broadcast":
            broadcast(here.websockets, "slow")

    topic = Topic("news", slow="latest", max_bytes=2**18 + 3000, on_slow=on_slow)
    async with room(3, **SMALL, topics=[topic], close_timeout=0.1) as here:
        await here.subscribe("news")
        await fill(here, here.websockets[1])
        await publish_slowly(here, 5)
        for peer in (here.peers[0], here.peers[2]):
            found = []
            while len(found) < 5:
                (each,) = await read_payloads(peer, 1)
                found += [number(each)] if each != b"slow" else []
            assert found == list(range(5))
        assert here.server.stats().topics.dropped
        here.websockets[1].abort()
        if tasks:
            await asyncio.wait(tasks)


async def test_who_is_told_of_subscribers_may_do_anything() -> None:
    async with room(
        1,
        topics=[
            Topic("twice/*", on_subscribe=lambda ws, name: ws.subscribe("second")),
            Topic("never/*", on_subscribe=lambda ws, name: ws.unsubscribe(name)),
            Topic("hello/*", on_subscribe=lambda ws, name: here.server.publish(name, "hello")),
            Topic("bye/*", on_unsubscribe=lambda ws, name: here.server.publish("second", "bye")),
        ],
    ) as here:
        ws = here.websockets[0]
        await ws.subscribe("twice/1")
        await ws.subscribe("never/1")
        await ws.subscribe("hello/1")
        await ws.subscribe("bye/1")
        assert ws.topics == {"twice/1", "second", "hello/1", "bye/1"}
        assert await read_payloads(here.peers[0], 1) == [b"hello"]
        ws.unsubscribe("bye/1")
        assert await read_payloads(here.peers[0], 1) == [b"bye"]


async def test_wrap_is_called_once_for_all() -> None:
    wrapped: list[Publication] = []

    def wrap(publication: Publication) -> str | bytes | None:
        wrapped.append(publication)
        message = publication.message
        if isinstance(message, bytes):
            return message + b"!"
        return None if message == "nothing" else f"{publication.topic}: {message}"

    async with room(3, topics=[Topic("news", wrap=wrap)]) as here:
        await here.subscribe("news")
        for message in ("text", "nothing", b"binary"):
            here.server.publish("news", message)
        for peer in here.peers:
            assert await read(peer, 2) == [Frame(TEXT, b"news: text"), Frame(BINARY, b"binary!")]
        assert len(wrapped) == 3


async def test_the_first_pattern_that_matches_counts() -> None:
    def wrap(with_text: str) -> Any:
        return lambda publication: with_text

    topics = [Topic("a/b", wrap=wrap("one")), Topic("a/*", wrap=wrap("two")), Topic("*")]
    async with room(1, topics=topics) as here:
        for name in ("a/b", "a/c", "b"):
            here.websockets[0].subscribe(name)
            here.server.publish(name, "text")
        assert await read_payloads(here.peers[0], 3) == [b"one", b"two", b"text"]


# Histories


def positioned(publication: Publication) -> str:
    return f"{publication.position} {publication.payload.decode()}"


NEWS = Topic("news", history=5, wrap=positioned)


async def test_what_was_missed_is_sent_in_order() -> None:
    async with room(2, topics=[NEWS]) as here:
        first = await here.websockets[0].subscribe("news")
        assert first.recovered is None
        assert first.position is not None
        positions = [await here.server.publish("news", str(each)) for each in range(3)]
        assert positions == [Position(first.position.epoch, each) for each in (1, 2, 3)]
        subscription = await here.websockets[1].subscribe("news", since=positions[0])
        assert subscription == ("news", positions[2], True)
        await here.server.publish("news", "3")
        epoch = first.position.epoch
        expected = [f"{epoch}:{each + 1} {each}".encode() for each in range(4)]
        assert await read_payloads(here.peers[0], 4) == expected
        assert await read_payloads(here.peers[1], 3) == expected[1:]


async def test_what_was_missed_and_is_not_kept_is_not_sent_at_all() -> None:
    async with room(4, topics=[NEWS]) as here:
        one, other, third, fourth = here.websockets
        start = (await one.subscribe("news")).position
        assert start is not None
        for each in range(6):
            last = await here.server.publish("news", str(each))
        assert last is not None
        for ws, since in (
            (other, start),
            (third, Position("another", 3)),
            (fourth, Position(start.epoch, 7)),
        ):
            assert await ws.subscribe("news", since=since) == ("news", last, False)
        here.server.publish("news", "next")
        for peer in here.peers[1:]:
            assert await read_payloads(peer, 1) == [b"%s:7 next" % start.epoch.encode()]


async def test_nothing_was_missed() -> None:
    async with room(2, topics=[NEWS]) as here:
        await here.websockets[0].subscribe("news")
        last = await here.server.publish("news", "text")
        assert await here.websockets[1].subscribe("news", since=last) == ("news", last, True)


@pytest.mark.parametrize("size", [5, 20_000])
@pytest.mark.parametrize("slow", ["close", "drop-oldest", "drop-newest", "latest"])
async def test_too_much_to_be_sent_at_once_is_not_sent_at_all(slow: Any, size: int) -> None:
    """Whatever the policy: with 10 KiB of messages as with very many that say nothing."""
    topic = Topic("news", slow=slow, history=2000, max_bytes=100_000)
    async with room(3, **SMALL, topics=[topic]) as here:
        one, other, third = here.websockets
        start = (await one.subscribe("news")).position
        one.unsubscribe("news")
        assert start is not None
        for _ in range(1000):
            last = await here.server.publish("news", bytes(size))
        assert last is not None
        subscription = await other.subscribe("news", since=start)
        assert subscription == ("news", last, False)
        since = Position(start.epoch, 998)
        assert await third.subscribe("news", since=since) == ("news", last, True)
        await here.server.publish("news", "next")
        assert await read_payloads(here.peers[1], 1) == [b"next"]
        assert await read_payloads(here.peers[2], 3) == [bytes(size), bytes(size), b"next"]
        assert here.server.stats().topics[4:6] == (0, 0)


async def test_what_was_missed_comes_in_few_writes() -> None:
    topic = Topic("news", history=1000)
    async with room(1, is_recorded=True, topics=[topic]) as here:
        position = await here.server.publish("news", "0")
        assert position is not None
        for each in range(1, 1000):
            here.server.publish("news", str(each))
        await here.websockets[0].subscribe("news", since=Position(position.epoch, 0))
        assert await read_payloads(here.peers[0], 1000) == [b"%d" % each for each in range(1000)]
        assert len(here.writes[0]) < 10


async def test_who_subscribes_again_at_once_misses_nothing() -> None:
    """Although what it was sent as an earlier subscriber is still on its way."""
    async with room(1, topics=[NEWS]) as here:
        ws = here.websockets[0]
        start = (await ws.subscribe("news")).position
        assert start is not None
        for each in range(3):
            here.server.publish("news", str(each))
        ws.unsubscribe("news")
        subscription = await ws.subscribe("news", since=Position(start.epoch, 3))
        assert subscription.recovered is True
        await here.server.publish("news", "3")
        found = await read_payloads(here.peers[0], 4)
        assert [each.split()[1] for each in found] == [b"0", b"1", b"2", b"3"]


async def test_a_key_publishes_once() -> None:
    async with room(1, topics=[NEWS]) as here:
        await here.subscribe("news")
        first = await here.server.publish("news", "text", idempotency_key="key")
        assert await here.server.publish("news", "again", idempotency_key="key") == first
        await here.server.publish("news", "other", idempotency_key="other key")
        found = await read_payloads(here.peers[0], 2)
        assert [each.split()[1] for each in found] == [b"text", b"other"]


# Members


async def test_members() -> None:
    def wrap(publication: Publication) -> str:
        return f"{publication.kind.name} {publication.message!r}"

    async with room(3, topics=[Topic("room", presence=True, wrap=wrap)]) as here:
        one, other, third = here.websockets
        await one.subscribe("room", member="One")
        await other.subscribe("room", member="Other €")
        await third.subscribe("room")
        assert await here.server.members("room") == {one.id.hex: "One", other.id.hex: "Other €"}
        here.server.publish("room", "hello")
        one.unsubscribe("room")
        here.peers[1].reset()
        assert await read_payloads(here.peers[2], 3) == [
            b"MESSAGE 'hello'",
            b"LEAVE 'One'",
            "LEAVE 'Other €'".encode(),
        ]
        assert await read_payloads(here.peers[0], 3) == [
            b"JOIN 'One'",
            "JOIN 'Other €'".encode(),
            b"MESSAGE 'hello'",
        ]
        assert await here.server.members("room") == {}
        assert await here.server.members("nowhere") == {}


async def test_without_wrap_joins_and_leaves_are_not_sent() -> None:
    assert list(Kind) == [0, 1, 2]
    async with room(2, topics=[Topic("room", presence=True)]) as here:
        await here.subscribe("room", member="name")
        here.websockets[0].unsubscribe("room")
        here.server.publish("room", "text")
        assert await read_payloads(here.peers[1], 1) == [b"text"]


# Numbers, and what is left


async def test_the_numbers() -> None:
    async with room(2, topics=[NEWS]) as here:
        await here.subscribe("news")
        here.websockets[0].subscribe("other")
        for name in ("news", "other", "nobody"):
            await here.server.publish(name, "text")
        stats = here.server.stats().topics
        assert stats._asdict() == {
            "topics": 2,
            "subscriptions": 3,
            "published": 3,
            "received": 2,
            "dropped": 0,
            "closed": 0,
            "duplicates": 0,
            "gaps": 0,
            "refused": 0,
        }


@pytest.mark.parametrize("options", [{}, {"member": "name"}], ids=repr)
async def test_subscribing_and_unsubscribing_leaves_nothing(options: Any) -> None:
    topics = [Topic("*", history=2, presence=True)]
    async with room(2, topics=topics) as here:
        ws, other = here.websockets
        await other.subscribe("kept")

        async def cycle(count: int) -> None:
            for each in range(count):
                name = "kept" if each % 2 else f"topic {each}"
                await ws.subscribe(name, **options)
                here.server.publish("kept", "text", exclude=ws)
                ws.unsubscribe(name)
                if not each % 16:
                    await asyncio.sleep(0)

        reading = asyncio.create_task(here.peers[1].read_eof())
        await cycle(1000)
        gc.collect()
        before = len(gc.get_objects())
        tracemalloc.start()
        try:
            await cycle(3000)
            gc.collect()
            size, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert len(gc.get_objects()) < before + 500
        reading.cancel()
        await asyncio.wait([reading])
        received = len(here.peers[1]._buffer)
        assert size < 100_000 + received


async def test_a_fan_out_to_many_lets_the_loop_go_on() -> None:
    """To as many as a process may have sockets for."""
    async with room(300) as here:
        await here.subscribe("news")
        for _ in range(60):
            here.server.publish("news", bytes(65_000), slow="drop-newest")
        assert await turns([asyncio.ensure_future(here.server.publish("news", "last"))]) > 4


async def test_closing_the_server_with_subscribers() -> None:
    async with room(2, topics=[NEWS]) as here:
        await here.subscribe("news")
        here.server.publish("news", "last")
        here.server.close()
        for peer in here.peers:
            found, close = await read_to_close(peer)
            assert [each.split()[1] for each in found] in ([b"last"], [])
            assert close.close_code == 1001
            await peer.send(frame(CLOSE, close.payload))
            peer.finish()
        await here.server.wait_closed()
        assert len(here.server.topics) == 0
