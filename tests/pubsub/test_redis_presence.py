"""Members of processes that crash, stand still, or lose what Redis knew of them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from conformance import told_of_presence, until
from process import PATIENCE, Process, Recorder
from server import RedisServer

from wsproto_async.exceptions import BrokerError
from wsproto_async.pubsub import Kind
from wsproto_async.pubsub.redis import RedisBroker, commands, presence

pytestmark = pytest.mark.one_loop

HERE = Path(__file__).parent
TTL = 1.2  # seconds, instead of 30


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    async with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture
async def one(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Process]:
    monkeypatch.setattr(presence, "PRESENCE_TTL", TTL)
    process = Process(RedisBroker(server.url), Recorder())
    await process.broker.start(process.recorder)
    await process.broker.subscribe("room")
    yield process
    await process.broker.close()


@pytest.fixture
def bob(server: RedisServer, one: Process) -> Iterator[subprocess.Popen[bytes]]:
    """Another process, of which Bob is a member."""
    arguments = [sys.executable, HERE / "member.py", server.url, str(TTL), "room", "2", "Bob"]
    path = os.pathsep.join((os.environ.get("PYTHONPATH", ""), str(HERE)))
    with subprocess.Popen(
        arguments, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": path}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"entered\n"
        yield process
        process.kill()


async def members_are(process: Process, **expected: str) -> None:
    async def are_they() -> bool:
        return await process.broker.members("room") == expected

    await until(are_they)


JOINED = [(Kind.JOIN, "Bob")]
LEFT = [(Kind.LEAVE, "Bob")]


async def test_members_of_a_process_that_crashes_leave(
    server: RedisServer, one: Process, bob: subprocess.Popen[bytes]
) -> None:
    await one.receive(1, "room")
    bob.kill()
    await one.receive(2, "room")
    assert await one.broker.members("room") == {}
    await one.settle()
    assert told_of_presence(one, "room") == JOINED + LEFT
    assert await server.call("KEYS", "*{room}*") == []
    assert await server.call("KEYS", "*topics*") == []


async def test_a_process_that_has_crashed_is_forgotten(
    server: RedisServer,
    one: Process,
    bob: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(presence, "_TICKS_TO_OBLIVION", 6)
    bob.kill()

    async def is_alone() -> bool:
        return await server.call("HLEN", "wsproto_async:processes") == 1

    await until(is_alone)
    assert await one.broker.members("room") == {}


async def test_members_of_a_process_that_only_stood_still_come_back(
    one: Process, bob: subprocess.Popen[bytes]
) -> None:
    bob.send_signal(signal.SIGSTOP)
    await one.receive(2, "room")
    bob.send_signal(signal.SIGCONT)
    await one.receive(3, "room")
    await members_are(one, **{"2": "Bob"})
    assert told_of_presence(one, "room") == JOINED + LEFT + JOINED


async def test_members_of_a_process_that_lives_stay(
    server: RedisServer, one: Process, bob: subprocess.Popen[bytes]
) -> None:
    """Longer than it would take to be taken for dead."""
    for _ in range(3):
        key = "wsproto_async:processes"
        await server.call("HSET", key, "junk", "1", b"\xff", "x", "0123456789abcdef", "x")
        await goes_on(server)
    assert await one.broker.members("room") == {"2": "Bob"}
    assert told_of_presence(one, "room") == JOINED


async def goes_on(server: RedisServer) -> None:
    """Wait until the processes have looked so often that one that had crashed were dead."""
    before = await counts(server)

    async def has_gone_on() -> bool:
        return await counts(server) > before + 16

    await until(has_gone_on)


async def counts(server: RedisServer) -> int:
    """How often the two processes have told that they live."""
    found = await server.call("HVALS", "wsproto_async:processes")
    return sum(int(count) for count in found if count.isdigit() and int(count) > 0)


async def test_members_come_back_by_themselves_when_all_is_flushed(
    server: RedisServer, one: Process, bob: subprocess.Popen[bytes]
) -> None:
    await one.broker.enter("room", "1", "Ann")
    await server.call("FLUSHALL")
    await members_are(one, **{"1": "Ann", "2": "Bob"})
    await one.settle()
    assert told_of_presence(one, "room") == [*JOINED, (Kind.JOIN, "Ann")]
    assert one.recorder.refused == []
    await one.broker.leave("room", "1")
    await one.receive(3, "room")


async def test_who_leaves_when_all_was_flushed_is_missed_and_that_is_told(
    server: RedisServer, one: Process, bob: subprocess.Popen[bytes]
) -> None:
    await one.receive(1, "room")
    bob.kill()  # before it can look once more
    bob.wait()
    await server.call("FLUSHALL")
    async with asyncio.timeout(PATIENCE):
        while not one.recorder.members_were_lost:
            await one.recorder.changed()
    assert one.recorder.restored == []
    assert await one.broker.members("room") == {}
    assert told_of_presence(one, "room") == JOINED
    await goes_on(server)
    assert one.recorder.members_were_lost == 1


async def test_what_is_lost_while_a_server_is_away_again_is_told_as_an_outage(
    server: RedisServer, one: Process
) -> None:
    await one.broker.enter("room", "1", "Ann")
    presence = one.broker._presence
    presence.cut_off()
    presence.look()
    presence.cut_off()  # before it has looked
    await goes_on(server)
    await server.call("FLUSHALL")
    await members_are(one, **{"1": "Ann"})
    await goes_on(server)
    assert one.recorder.members_were_lost == 0


async def test_what_redis_was_not_told_it_is_told_later(
    server: RedisServer, one: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "MAX_AWAY", 0.1)
    await one.broker.enter("room", "1", "Ann")
    server.stop()
    await one.told("lost")
    for future in (one.broker.enter("room", "2", "Bob"), one.broker.leave("room", "1")):
        with pytest.raises(BrokerError):
            await future
    server.go_on()
    await one.told("lost", "made")
    await members_are(one, **{"2": "Bob"})
    await one.settle()
    told = told_of_presence(one, "room")
    assert told[:1] == [(Kind.JOIN, "Ann")]
    assert sorted(told[1:]) == [(Kind.JOIN, "Bob"), (Kind.LEAVE, "Ann")]


async def test_members_come_back_when_the_server_does(
    server: RedisServer, one: Process, bob: subprocess.Popen[bytes]
) -> None:
    await one.broker.enter("room", "1", "Ann")
    server.kill()
    await server.start()
    await members_are(one, **{"1": "Ann", "2": "Bob"})
    await goes_on(server)
    assert one.recorder.restored == ["room"]
    assert one.recorder.members_were_lost == 0, "told twice"


async def test_members_of_all_topics_leave_together(server: RedisServer, one: Process) -> None:
    other = Process(RedisBroker(server.url), Recorder())
    await other.broker.start(other.recorder)
    topics = [f"room {number}" for number in range(250)]
    await asyncio.gather(*(other.broker.enter(topic, "1", "Ann") for topic in topics))
    await asyncio.gather(*map(one.broker.subscribe, topics))
    await other.broker.close()
    left = await one.receive(250)
    assert {each.topic for each in left} == set(topics)
    assert await server.call("KEYS", "*{*") == []
