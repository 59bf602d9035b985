"""What may happen to a Redis server and to the connections to it, and what its users see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from conformance import KEPT, message, texts, turn, until
from process import Process, Recorder
from relay import Relay
from server import RedisServer

from wsproto_async.exceptions import BrokerError
from wsproto_async.pubsub import Position, Publication, Retention, connection
from wsproto_async.pubsub.redis import RedisBroker, broker, commands
from wsproto_async.pubsub.redis.address import Address
from wsproto_async.pubsub.redis.call import Call
from wsproto_async.pubsub.redis.command import ANSWERED_WRONG, Ask
from wsproto_async.pubsub.redis.scripts import Script
from wsproto_async.pubsub.redis.topology import Topology
from wsproto_async.pubsub.wire import encode

NEWS = b"wsproto_async:{news}"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path) as server:
        yield server


async def start(server: RedisServer) -> Process:
    process = Process(RedisBroker(server.url), Recorder())
    await process.broker.start(process.recorder)
    return process


@pytest.fixture
async def one(server: RedisServer) -> AsyncIterator[Process]:
    process = await start(server)
    yield process
    await process.broker.close()


@pytest.fixture
async def other(server: RedisServer) -> AsyncIterator[Process]:
    process = await start(server)
    yield process
    await process.broker.close()


async def outage(server: RedisServer) -> None:
    server.kill()
    await server.start()


async def lose(server: RedisServer, *processes: Process) -> None:
    """End the server, and let both connections of each process see that."""
    server.kill()
    for process in processes:
        await process.told("lost")
    for _ in range(10):
        await asyncio.sleep(0)


# -- The connection is lost -----------------------------------------------------------------------


async def test_a_late_subscription_is_done_when_all_are_back(
    server: RedisServer, one: Process
) -> None:
    await asyncio.gather(*[one.broker.subscribe(f"topic {number}") for number in range(2500)])
    await lose(server, one)
    late = one.broker.subscribe("late")
    when_done: list[str] = []
    late.add_done_callback(lambda _: when_done.extend(one.recorder.events))
    await server.start()
    await late
    assert when_done == ["lost", "made"]


async def test_a_history_that_was_saved_is_not_gone_on_with(tmp_path: Path) -> None:
    """The last of it may be lacking, and its offsets would be given again."""
    async with RedisServer(tmp_path) as server:
        one = await start(server)
        for text in "123":
            await one.broker.publish(message("news", text), KEPT, "")
        await server.call("SAVE")
        before = await one.broker.publish(message("news", "4"), KEPT, "")
        await outage(server)
        await one.told("lost", "made")
        assert await server.call("EXISTS", NEWS + b":head")
        position = await one.broker.publish(message("news", "another"), KEPT, "")
        assert position.offset == 1
        assert (await one.broker.read("news", before, KEPT)).publications is None
        missed = await one.broker.read("news", Position(position.epoch, 0), KEPT)
        assert texts(missed.publications) == ["another"]
        await one.broker.close()


async def test_a_message_that_takes_long_to_leave_is_no_silence(
    server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_TICK", 0.25)
    async with Relay(f"{tmp_path / 'relay.sock'}", f"{server.path}") as relay:
        one = Process(RedisBroker(f"redis+unix://{relay.path}"), Recorder())
        await one.broker.start(one.recorder)
        relay.pause = 0.03
        await one.broker.publish(message("news", "x" * 2**23), None, "")
        assert one.recorder.events == []
        await one.broker.close()


async def test_a_subscriber_that_is_disconnected_reads_what_it_has_missed(
    server: RedisServer, one: Process, other: Process
) -> None:
    await other.broker.subscribe("news")
    before = await one.broker.publish(message("news", "0"), KEPT, "")
    await other.receive(1)
    await server.kill_clients("pubsub")
    for number in range(1, 10):
        await one.broker.publish(message("news", str(number)), KEPT, "")
    await other.told("lost", "made")
    missed = await other.broker.read("news", before, KEPT)
    assert texts(missed.publications) == [str(number) for number in range(1, 10)]
    await one.broker.publish(message("news", "10"), KEPT, "")
    await other.settle()
    assert texts(other.received("news"))[-1] == "10"


async def test_a_subscriber_that_redis_drops_for_being_slow_comes_back(
    server: RedisServer, one: Process, other: Process
) -> None:
    if b"valkey" in await server.call("INFO", "server"):
        pytest.skip("Valkey does not count what it has not copied: with redis-server it is tested")
    await other.broker.subscribe("news")
    await server.call("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0")
    await one.broker.publish(Publication("news", bytes(2**23), False), None, "")
    await other.told("lost", "made")
    await one.broker.publish(message("news", "after"), None, "")
    assert texts(await other.receive(1, "news")) == ["after"]


async def test_subscribing_while_the_connection_comes_back_misses_nothing(
    server: RedisServer, one: Process
) -> None:
    for number in range(20):
        topics = [f"{number} {name}" for name in "abc"]
        await server.kill_clients("pubsub")
        futures = []
        for topic in topics:
            futures.append(one.broker.subscribe(topic))
            await asyncio.sleep(0)
        one.broker.unsubscribe(topics[1])
        futures.append(one.broker.subscribe(topics[1]))
        await asyncio.gather(*futures)
        for topic in topics:
            one.broker.publish(message(topic, "x"), None, "")
        for topic in topics:
            assert len(await one.receive(1, topic)) == 1


async def test_a_key_that_is_sent_again_is_published_once(
    server: RedisServer, one: Process, other: Process
) -> None:
    await other.broker.subscribe("news")
    for number in range(30):
        futures = [
            one.broker.publish(message("news", f"{number} {n}"), KEPT, f"{number} {n}")
            for n in range(10)
        ]
        await asyncio.sleep(0)
        await server.kill_clients("normal")
        await asyncio.gather(*futures)
    received = texts(await other.receive(300, "news"))
    await other.settle()
    assert received == [f"{number} {n}" for number in range(30) for n in range(10)]
    assert len(other.received("news")) == 300


async def test_a_connection_has_no_limit_for_all_that_comes_on_it(
    one: Process, other: Process
) -> None:
    await other.broker.subscribe("news")
    for number in range(10):
        await one.broker.publish(Publication("news", bytes(2**23), False), None, "")
        assert len((await other.receive(number + 1))[-1].payload) == 2**23
    assert other.recorder.events == []


# -- What is in Redis is lost ---------------------------------------------------------------------


async def test_all_is_flushed(server: RedisServer, one: Process, other: Process) -> None:
    await other.broker.subscribe("room")
    await one.broker.enter("room", "1", "Ann")
    before = await one.broker.publish(message("room", "1"), KEPT, "")
    await server.call("FLUSHALL")
    after = await one.broker.publish(message("room", "2"), KEPT, "")
    assert after.epoch != before.epoch
    assert after.offset == 1
    assert (await one.broker.read("room", before, KEPT)).publications is None
    await other.settle()
    assert texts(other.received("room")) == ["Ann", "1", "2"]


async def test_scripts_are_loaded_again(server: RedisServer, one: Process) -> None:
    await one.broker.subscribe("news")
    futures = []
    for number in range(200):
        futures.append(one.broker.publish(message("news", str(number)), KEPT, ""))
        if not number % 50:
            await server.call("SCRIPT", "FLUSH")
    await asyncio.gather(*futures)
    received = await one.receive(200, "news")
    assert texts(received) == [str(number) for number in range(200)]
    assert [each.position.offset for each in received] == list(range(1, 201))


@pytest.mark.parametrize("later", [KEPT, None])
async def test_what_was_refused_does_not_come_behind_what_came_later(
    server: RedisServer, one: Process, later: Retention | None
) -> None:
    """Where another process has loaded the scripts in between."""
    await one.broker.subscribe("news")
    await server.call("SCRIPT", "FLUSH")
    refused = one.broker.publish(message("news", "1"), KEPT, "")
    others = [
        one.broker.publish(message("other", "1"), KEPT, ""),
        one.broker.read("news", None, KEPT),
    ]
    one.broker._batches.flush()
    for script in Script.all:
        one.broker._cluster.ask(Call(*script.load), bytes)
    await one.broker.publish(message("news", "2"), later, "")
    with pytest.raises(BrokerError, match="NOSCRIPT"):
        await refused
    await asyncio.gather(*others)
    await one.broker.publish(message("news", "3"), KEPT, "")
    await one.settle()
    assert texts(one.received("news")) == ["2", "3"]


async def test_what_has_waited_leaves_before_what_is_published_when_the_server_is_back(
    server: RedisServer, one: Process
) -> None:
    await one.broker.subscribe("news")
    await lose(server, one)
    waiting = one.broker.publish(message("news", "1"), KEPT, "")
    await turn()
    later: asyncio.Future[Position | None] = asyncio.get_running_loop().create_future()

    def connection_made() -> None:
        published = one.broker.publish(message("news", "2"), KEPT, "key")
        published.add_done_callback(lambda done: later.set_result(done.result()))

    one.recorder.connection_made = connection_made  # type: ignore[method-assign]
    await server.start()
    first = await waiting
    assert (await later).offset == first.offset + 1


async def test_commands_do_not_wait_for_ever_for_a_server_that_never_was_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(commands, "MAX_AWAY", 0.05)
    never = commands.Commands(lambda why: None, lambda command, why: None)
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    never.put(Ask(Call("PING"), lambda reply: None, future))
    with pytest.raises(BrokerError, match="no connection to Redis"):
        await future


async def test_closing_while_it_starts(server: RedisServer) -> None:
    server.stop()
    broker = RedisBroker(server.url)
    starting = asyncio.create_task(broker.start(Recorder()))
    await turn()
    await broker.close()
    server.go_on()
    with pytest.raises(BrokerError, match="is closed"):
        await starting


# -- What is kept ---------------------------------------------------------------------------------


async def test_what_is_too_old_is_not_read_though_it_is_there(one: Process) -> None:
    since = (await one.broker.read("news", None, KEPT)).position
    await one.broker.publish(message("news", "1"), KEPT, "")

    async def gone() -> bool:
        return (await one.broker.read("news", since, Retention(100, 0.2))).publications is None

    await until(gone)
    assert len((await one.broker.read("news", since, KEPT)).publications) == 1


async def test_what_is_too_old_does_not_stay(server: RedisServer, one: Process) -> None:
    published = 0

    async def has_shrunk() -> bool:
        nonlocal published
        published += 1
        await one.broker.publish(message("news", "x"), Retention(10**6, 0.2), "")
        return await server.call("ZCARD", NEWS + b":kept") < published

    await until(has_shrunk)

    async def is_gone() -> bool:
        return await server.call("EXISTS", NEWS + b":kept") == 0

    await until(is_gone)
    assert 86_000 < await server.call("TTL", NEWS + b":head") < 87_000


async def test_no_more_than_enough_stays(server: RedisServer, one: Process) -> None:
    for at_once in (1, 7, 1, 30, 3) * 10:
        for _ in range(at_once):
            one.broker.publish(message("news", "x"), Retention(20, 300.0), "")
        position = await one.broker.publish(message("news", "last"), Retention(20, 300.0), "")
        kept = await server.call("ZRANGE", NEWS + b":kept", 0, 0, "WITHSCORES")
        assert position.offset - int(kept[1]) < 20 + 3 + at_once
        for missed in (20, 21):
            since = Position(position.epoch, max(position.offset - missed, 0))
            found = (await one.broker.read("news", since, Retention(20, 300.0))).publications
            if position.offset - since.offset > 20:
                assert found is None
            else:
                assert len(found) == position.offset - since.offset
                assert found[-1].message == "last"


async def test_much_is_read_in_parts(server: RedisServer, one: Process) -> None:
    await server.call("CONFIG", "SET", "client-output-buffer-limit", "normal 1mb 0 0")
    since = (await one.broker.read("news", None, KEPT)).position
    for _ in range(32):
        await one.broker.publish(Publication("news", bytes(2**17), False), KEPT, "")
    missed = await one.broker.read("news", since, KEPT)
    assert len(missed.publications) == 32
    assert one.recorder.events == []


# -- What comes may be anything -------------------------------------------------------------------

GOOD = encode(message("news", "good"))
LENGTH, HEAD, REST = GOOD[:4], GOOD[4:7], GOOD[7:]


def sized(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


BAD = {
    "nothing": b"",
    "no publication": b"hello",
    "no position": GOOD,
    "another position": b"here\n" + GOOD,
    "a negative offset": b"epoch:-1\n" + GOOD,
    "a large offset": b"epoch:" + b"9" * 17 + b"\n" + GOOD,
    "an epoch that is too long": b"e" * 33 + b":1\n" + GOOD,
    "not UTF-8 in front": b"\xff:1\n" + GOOD,
    "an empty publication": b"\n",
    "another version": b"\n" + LENGTH + b"\x02\x00\x01" + REST,
    "another kind": b"\n" + LENGTH + b"\x01\x03\x01" + REST,
    "a publication that is cut off": b"\n" + GOOD[:-1],
    "one of two that is cut off": b"\n" + GOOD + GOOD[:3],
    "one of two that is no publication": b"\n" + GOOD + sized(b"hello"),
    "text that is not UTF-8": b"\n" + sized(HEAD + REST + b"\xff"),
    "a pickle": b"\x80\x04\x95\n" + GOOD,
    "too much": b"\n" + sized(HEAD + REST + bytes(2**24 + 300)),
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD)
async def test_what_is_no_publication_is_refused(
    server: RedisServer, one: Process, data: bytes
) -> None:
    await one.broker.subscribe("news")
    await server.call("PUBLISH", NEWS, data)
    await server.call("PUBLISH", NEWS, b"\n" + GOOD)
    assert texts(await one.receive(1)) == ["good"]
    assert len(one.recorder.refused) == 1
    assert one.recorder.events == []


async def test_a_number_in_place_of_a_publication_is_refused(one: Process) -> None:
    one.broker._arrived("news", 5)
    assert len(one.recorder.refused) == 1
    assert one.recorder.publications == []


@pytest.mark.parametrize("page", [[5], [b"x", None], 5])
def test_a_page_of_something_else_is_no_answer(page: object) -> None:
    with pytest.raises(ANSWERED_WRONG):
        broker._missed([b"abc:1", page])


@pytest.mark.parametrize(
    "said",
    [
        b"*3\r\n$7\r\nmessage\r\n*0\r\n$1\r\nx\r\n",
        b"*3\r\n$7\r\nmessage\r\n%1\r\n+a\r\n:1\r\n$1\r\nx\r\n",
        b"*3\r\n$12\r\nsunsubscribe\r\n*0\r\n:1\r\n",
        b"*1\r\n" * 100_000,
        b"%1\r\n*0\r\n:1\r\n",
        b"-MOVED 1 h:" + b"9" * 5000 + b"\r\n",
        b":1\r\n" * 10_000,
    ],
)
async def test_replies_that_no_redis_gives(one: Process, said: bytes) -> None:
    await one.broker.subscribe("news")
    server = one.broker._cluster._anybody()
    server.subscriptions._connection.data_received(said)
    server.commands._connection.data_received(said)
    await one.broker.publish(message("news", "x"), None, "")
    await one.broker.subscribe("news")
    await one.broker.publish(message("news", "last"), None, "")
    while texts(await one.receive(1))[-1] != "last":
        await one.recorder.changed()


async def test_numbers_that_are_none() -> None:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    Ask(Call("HINCRBY", "x"), int, future).finish(float("inf"))
    with pytest.raises(BrokerError, match="should not"):
        await future


async def test_one_reply_too_many_is_nobodys() -> None:
    info = b"run_id:1\r\nredis_mode:cluster\r\n"
    said = [b"$%d\r\n%b\r\n" % (len(info), info), b"*0\r\n+ok\r\n+one more\r\n"]

    closed = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for each in said:
            await reader.read(65536)
            writer.write(each)
        await reader.read()
        writer.close()
        closed.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(BrokerError, match="which slots"):
            await Topology.ask(Address.parse(f"redis://127.0.0.1:{port}"))
        await closed.wait()


async def test_what_redis_itself_does_not_hold_ends_the_connection(
    server: RedisServer, one: Process
) -> None:
    await one.broker.subscribe("news")
    await server.call("CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0")
    await server.call("PUBLISH", NEWS, bytes(2**27))
    await one.told("lost", "made")
    await server.call("PUBLISH", NEWS, b"\n" + GOOD)
    assert texts(await one.receive(1)) == ["good"]


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("SET", (NEWS + b":head", "x")),
        ("SET", (NEWS + b":kept", "x")),
        ("HSET", (NEWS + b":head", "server", "x", "offset", "many")),
        ("ZADD", (NEWS + b":kept", "1", "junk")),
        ("ZADD", (NEWS + b":kept", "1", "1 9999999999999 junk")),
    ],
)
async def test_a_history_that_somebody_has_spoilt(
    server: RedisServer, one: Process, command: str, arguments: tuple[str | bytes, ...]
) -> None:
    await server.call(command, *arguments)
    for future in (
        one.broker.publish(message("news", "x"), KEPT, ""),
        one.broker.read("news", None, KEPT),
        one.broker.read("news", Position("0", 1), KEPT),
    ):
        await asyncio.wait((future,))
        assert isinstance(future.exception(), BrokerError | None)
    await server.call("FLUSHALL")
    assert (await one.broker.publish(message("news", "x"), KEPT, "")).offset == 1


async def test_entries_that_are_no_publications_are_not_read(
    server: RedisServer, one: Process
) -> None:
    since = (await one.broker.read("news", None, KEPT)).position
    position = await one.broker.publish(message("news", "1"), KEPT, "")
    await server.call("DEL", NEWS + b":kept")
    await server.call("ZADD", NEWS + b":kept", 1, b"1 9999999999999 " + sized(b"junk"))
    assert await one.broker.read("news", since, KEPT) == (position, None)
    assert len(one.recorder.refused) == 1


async def test_members_that_somebody_has_made_up(server: RedisServer, one: Process) -> None:
    key = b"wsproto_async:{room}:members"
    await server.call("HSET", key, b"\xff" * 20, b"\xff", "short", "x")
    await one.broker.enter("room", "1", "Ann")
    members = await one.broker.members("room")
    assert members["1"] == "Ann"
    await server.call("DEL", key)
    await server.call("SET", key, "x")
    with pytest.raises(BrokerError, match="WRONGTYPE"):
        await one.broker.members("room")
