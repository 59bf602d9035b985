"""What may happen to a hub and to the connections to it, and what its users see."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from conformance import KEPT, message, texts, until
from hub import HubProcess, run
from process import PATIENCE, Process, Recorder
from relay import Relay

from wsproto_async.exceptions import BrokerError
from wsproto_async.pubsub import Kind, Position, Publication
from wsproto_async.pubsub.hub import HubBroker, commands, protocol
from wsproto_async.pubsub.hub.protocol import frame_of, short
from wsproto_async.pubsub.hub.protocol import message as message_of
from wsproto_async.pubsub.hub.publish import publish_frame
from wsproto_async.pubsub.wire import encode

HELLO = frame_of(protocol.HELLO, protocol.GREETING.pack(protocol.VERSION, 7, bytes(16)))


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("h")) as process:
        yield process


async def start(path: str) -> Process:
    process = Process(HubBroker(path), Recorder())
    await process.broker.start(process.recorder)
    return process


@pytest.fixture
async def one(hub: HubProcess) -> AsyncIterator[Process]:
    process = await start(hub.path)
    yield process
    await process.broker.close()


@pytest.fixture
async def other(hub: HubProcess) -> AsyncIterator[Process]:
    process = await start(hub.path)
    yield process
    await process.broker.close()


@pytest.fixture
async def relay(hub: HubProcess) -> AsyncIterator[Relay]:
    async with Relay(f"{hub.path}-relay", hub.path) as relay:
        yield relay


@pytest.fixture
async def far(relay: Relay) -> AsyncIterator[Process]:
    """A process whose connection may break."""
    process = await start(relay.path)
    yield process
    await process.broker.close()


async def lose(hub: HubProcess, *processes: Process) -> None:
    """End the hub, and let each process see that."""
    hub.kill()
    for process in processes:
        await process.told("lost")
    await asyncio.sleep(0)


@pytest.mark.parametrize("turns", range(12))
async def test_who_gives_up_connecting_leaves_nothing(hub: HubProcess, turns: int) -> None:
    recorder = Recorder()
    starting = asyncio.create_task(HubBroker(hub.path).start(recorder))
    for _ in range(turns):
        await asyncio.sleep(0)
    starting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await starting
    for _ in range(5):  # what would be logged is logged by then
        await asyncio.sleep(0)
    assert recorder.events == []


# -- The connection ends --------------------------------------------------------------------------


async def test_a_subscriber_whose_connection_broke_reads_what_it_has_missed(
    one: Process, far: Process, relay: Relay
) -> None:
    await far.broker.subscribe("news")
    before = await one.broker.publish(message("news", "0"), KEPT, "")
    await far.receive(1)
    relay.be_deaf()
    for number in range(1, 10):
        await one.broker.publish(message("news", str(number)), KEPT, "")
    relay.cut()
    await far.told("lost", "made")
    missed = await far.broker.read("news", before, KEPT)
    assert texts(missed.publications) == [str(number) for number in range(1, 10)]
    await one.broker.publish(message("news", "10"), KEPT, "")
    await far.settle()
    assert texts(far.received("news")) == ["0", "10"]


async def test_what_has_a_key_is_sent_again_and_published_once(
    other: Process, far: Process, relay: Relay
) -> None:
    await other.broker.subscribe("news")
    relay.be_deaf()
    futures = [far.broker.publish(message("news", str(n)), KEPT, f"key {n}") for n in range(10)]
    plain = far.broker.publish(message("news", "plain"), None, "")
    assert len(await other.receive(11)) == 11
    relay.cut()
    positions = await asyncio.gather(*futures)
    assert [each.offset for each in positions] == list(range(1, 11))
    with pytest.raises(BrokerError, match="may have been published"):
        await plain
    await other.settle()
    assert texts(other.received("news")) == [*map(str, range(10)), "plain"]


async def test_what_was_asked_is_asked_again(far: Process, other: Process, relay: Relay) -> None:
    await other.broker.enter("room", "1", "Ann")
    position = await other.broker.publish(message("news", "0"), KEPT, "")
    relay.be_deaf()
    subscribed = far.broker.subscribe("news")
    entered = far.broker.enter("room", "2", "Bob")
    members = far.broker.members("room")
    missed = far.broker.read("news", Position(position.epoch, 0), KEPT)
    await other.settle()
    relay.cut()
    await asyncio.wait_for(asyncio.gather(subscribed, entered), PATIENCE)
    assert await members == {"1": "Ann", "2": "Bob"}
    assert texts((await missed).publications) == ["0"]


@pytest.mark.one_loop
async def test_subscribing_while_the_connection_comes_back_misses_nothing(
    far: Process, relay: Relay
) -> None:
    for number in range(20):
        topics = [f"{number} {name}" for name in "abc"]
        relay.cut()
        futures = []
        for topic in topics:
            futures.append(far.broker.subscribe(topic))
            await asyncio.sleep(0)
        far.broker.unsubscribe(topics[1])
        futures.append(far.broker.subscribe(topics[1]))
        await asyncio.wait_for(asyncio.gather(*futures), PATIENCE)
        for topic in topics:
            await far.broker.publish(message(topic, "x"), None, "")
            assert len(await far.receive(1, topic)) == 1


# -- Bounds ---------------------------------------------------------------------------------------


async def test_a_process_that_does_not_read_is_cut_off_and_comes_back(
    hub: HubProcess, one: Process
) -> None:
    with run("slow.py", hub.path) as slow:
        assert await asyncio.to_thread(slow.stdout.readline) == "standing still\n"
        large = Publication("news", bytes(2**20), False)
        for _ in range(80):
            await one.broker.publish(large, KEPT, "")
        assert "is cut off" in hub.log
        slow.stdin.write("go on\n")
        slow.stdin.flush()
        assert await asyncio.to_thread(slow.stdout.readline) == "lost made 80\n"
    assert hub.log.count("\n") == 1
    await one.broker.publish(message("news", "x"), None, "")


async def test_who_asks_for_much_and_does_not_read_is_not_heard(
    hub: HubProcess, one: Process
) -> None:
    """So its answers take no memory of the hub; it gets them when it reads."""
    position = await one.broker.publish(Publication("big", bytes(2**20), False), KEPT, "")
    read = frame_of(
        protocol.READ, short(b"big"), short(position.epoch.encode()), protocol.U64.pack(0)
    )
    reader, writer = await asyncio.open_unix_connection(hub.path)
    writer.write(HELLO + read * 200)
    for _ in range(10):
        await one.broker.publish(message("news", "x"), None, "")
    assert hub.peak_memory < 100 * 2**20
    frames = protocol.FrameReader()
    kinds: list[int] = []
    async with asyncio.timeout(PATIENCE):
        while len(kinds) < 201:
            data = await reader.read(2**20)
            assert data, hub.log
            kinds += [each[4] for each in frames.feed(data)]
    assert kinds == [protocol.WELCOME] + [protocol.PAGE] * 200
    writer.close()
    assert hub.log == ""


# -- Presence -------------------------------------------------------------------------------------


async def test_the_members_of_a_process_leave_with_it(hub: HubProcess, one: Process) -> None:
    await one.broker.subscribe("room")
    with run("member_of_hub.py", hub.path) as member:
        assert await asyncio.to_thread(member.stdout.readline) == "entered\n"
        assert await one.broker.members("room") == {"1": "Ann"}
        member.kill()
    joined, left = await one.receive(2, "room")
    assert (joined.kind, joined.message) == (Kind.JOIN, "Ann")
    assert (left.kind, left.message) == (Kind.LEAVE, "Ann")
    assert await one.broker.members("room") == {}


async def test_members_outlast_the_hub_and_nobody_joins_twice(
    hub: HubProcess, one: Process, other: Process
) -> None:
    await other.broker.subscribe("room")
    await one.broker.enter("room", "1", "Ann")
    await one.broker.enter("room", "2", "Bob")
    await other.receive(2, "room")
    await lose(hub, one, other)
    left = one.broker.leave("room", "2")
    entered = one.broker.enter("room", "3", "Cid")
    gone = [one.broker.enter("room", "4", "Dan"), one.broker.leave("room", "4")]
    hub.start()
    await asyncio.gather(left, entered, *gone)
    await other.told("lost", "made")
    await other.settle()
    told = [(each.kind, each.message) for each in other.received("room")]
    # Those that the other one has not missed while it was not connected.
    assert told[:2] == [(Kind.JOIN, "Ann"), (Kind.JOIN, "Bob")]
    assert (Kind.JOIN, "Ann") not in told[2:]
    assert (Kind.JOIN, "Bob") not in told[2:]
    assert await other.broker.members("room") == {"1": "Ann", "3": "Cid"}
    await one.broker.leave("room", "1")
    await other.settle()
    assert other.received("room")[-1].message == "Ann"


async def test_who_comes_and_goes_when_told_of_a_long_outage(
    hub: HubProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When all commands fail at once, still."""
    monkeypatch.setattr(commands, "MAX_AWAY", 0.1)
    broker = HubBroker(hub.path)

    class Told(Recorder):
        def subscription_restored(self, topic: str) -> None:
            super().subscription_restored(topic)
            broker.leave("room", "1")
            broker.leave("room", "2")
            broker.enter("room", "2", "Bob")
            broker.enter("room", "3", "Cid")
            broker.enter("room", "4", "Dan")
            broker.leave("room", "4")

    one = Process(broker, Told())
    await broker.start(one.recorder)
    await broker.subscribe("room")
    await broker.enter("room", "1", "Ann")
    await broker.enter("room", "2", "Bob")
    await lose(hub, one)
    with pytest.raises(BrokerError, match="no connection"):
        await broker.publish(message("news", "x"), None, "")
    hub.start()
    await one.told("lost", "made")
    assert one.recorder.restored == ["room"]
    assert await broker.members("room") == {"2": "Bob", "3": "Cid"}
    await broker.close()


async def test_who_comes_back_to_the_same_hub_has_left_and_joins(
    one: Process, far: Process, relay: Relay
) -> None:
    await one.broker.subscribe("room")
    await far.broker.enter("room", "1", "Ann")
    relay.cut()
    await far.told("lost", "made")
    await one.receive(3, "room")
    told = [(each.kind, each.message) for each in one.received("room")]
    assert told == [(Kind.JOIN, "Ann"), (Kind.LEAVE, "Ann"), (Kind.JOIN, "Ann")]
    assert await one.broker.members("room") == {"1": "Ann"}


# -- The hub does not do what it should -----------------------------------------------------------


async def test_without_a_hub_it_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wsproto_async.pubsub.hub import broker as module

    monkeypatch.setattr(module, "_START_TIMEOUT", 0.2)
    broker = HubBroker(str(tmp_path / "none"))
    with pytest.raises(BrokerError, match=r"cannot connect to the hub at .*none: .*No such file"):
        await broker.start(Recorder())
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "mute"))
        sock.listen()
        broker = HubBroker(str(tmp_path / "mute"))
        with pytest.raises(BrokerError, match="silent"):
            await broker.start(Recorder())


# -- Somebody does not speak the protocol ---------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "frame of 1195725856 bytes"),
        (frame_of(protocol.PING), "frame of type 10"),
        (frame_of(protocol.HELLO, b"\x09" * 21), "version 9"),
        (HELLO + HELLO, "frame of type 1"),
        (HELLO + frame_of(99), "frame of type 99"),
        (HELLO + frame_of(protocol.SUBSCRIBE, b"\x05news"), "frame is cut off"),
    ],
)
async def test_a_process_that_sends_what_it_may_not_is_dropped(
    hub: HubProcess, one: Process, other: Process, sent: bytes, why: str
) -> None:
    await other.broker.subscribe("news")
    reader, writer = await asyncio.open_unix_connection(hub.path)
    writer.write(sent)
    with suppress(ConnectionResetError):
        await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    await one.broker.publish(message("news", "hello"), None, "")
    assert texts(await other.receive(1)) == ["hello"]
    assert hub.log.endswith(f"has sent the hub what it cannot take: {why}\n")
    assert hub.log.count("\n") == 1


@pytest.mark.parametrize(
    "sent",
    [
        frame_of(protocol.ENTER, short(b"news"), short(b"1"), b"\0", bytes(2**25 - 20)),
        publish_frame("news", KEPT, "", [bytes(2**25 - 60)]),
    ],
)
async def test_a_process_that_sends_what_others_could_not_take_is_dropped(
    hub: HubProcess, other: Process, sent: bytes
) -> None:
    await other.broker.subscribe("news")
    reader, writer = await asyncio.open_unix_connection(hub.path)
    writer.write(HELLO + sent)
    with suppress(ConnectionError):
        await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    await other.broker.members("news")
    assert other.recorder.events == []
    assert "cannot take: frame of 3355" in hub.log


class WrongHub:
    """Welcomes everybody, says yes to all that it is asked, and then what a test wants it to."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.connections = 0
        self.say = b""
        self.say_first = b""  # before it says yes to a subscription
        self.is_mute = False  # after its welcome
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> WrongHub:
        self._server = await asyncio.start_unix_server(self._connected, self.path)
        return self

    async def __aexit__(self, *args: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()

    def tell(self, said: bytes) -> None:
        self._writers[-1].write(said)

    def cut(self) -> None:
        self._writers[-1].close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        frames = protocol.FrameReader()
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                for each in frames.feed(data):
                    writer.write(self._answer(each[4]))

    def _answer(self, kind: int) -> bytes:
        if kind == protocol.HELLO:
            run = protocol.WELCOMED.pack(protocol.VERSION, bytes(8))
            return frame_of(protocol.WELCOME, run)
        if self.is_mute:
            return b""
        done = frame_of(protocol.DONE, protocol.U32.pack(1))
        if kind == protocol.SUBSCRIBE:
            return self.say_first + done
        if kind in (protocol.PING, protocol.GOODBYE):
            return done
        said, self.say = self.say, b""
        return said


@pytest.fixture
async def wrong(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WrongHub]:
    async with WrongHub(str(tmp_path_factory.mktemp("h") / "hub")) as hub:
        yield hub


GOOD = encode(Publication("news", b"good", True))
TOPIC = short(b"news")
WHERE = short(b"abc") + protocol.U64.pack(1)


@pytest.mark.parametrize(
    "told",
    [
        frame_of(protocol.MESSAGE),
        frame_of(protocol.MESSAGE, b"\x05news"),
        message_of(b"news", [b""]),
        message_of(b"news", [GOOD[:4] + b"\x09" + GOOD[5:]]),
        message_of(b"news", [GOOD + b"\xff"]),
        frame_of(protocol.KEPT, TOPIC),
        frame_of(protocol.KEPT, TOPIC, WHERE[:-1]),
        frame_of(protocol.KEPT, TOPIC, short(b"ABC"), protocol.U64.pack(1), GOOD),
        frame_of(protocol.KEPT, TOPIC, short(b"\xff"), protocol.U64.pack(1), GOOD),
        frame_of(protocol.KEPT, TOPIC, short(b"a" * 33), protocol.U64.pack(1), GOOD),
        frame_of(protocol.KEPT, TOPIC, short(b"abc"), protocol.U64.pack(2**53), GOOD),
    ],
)
async def test_what_is_no_publication_is_counted_and_dropped(wrong: WrongHub, told: bytes) -> None:
    one = await start(wrong.path)
    await one.broker.subscribe("news")
    wrong.tell(told + frame_of(protocol.KEPT, TOPIC, WHERE, GOOD))
    (good,) = await one.receive(1)
    assert (good.message, good.position) == ("good", Position("abc", 1))
    assert len(one.recorder.refused) == 1
    assert one.recorder.events == []
    await one.broker.close()


async def test_a_topic_that_is_not_subscribed_to_is_nobodys(wrong: WrongHub) -> None:
    one = await start(wrong.path)
    await one.broker.subscribe("news")
    wrong.tell(b"".join(message_of(name, [GOOD]) for name in (b"other", b"\xff", b"news")))
    assert len(await one.receive(1)) == 1
    assert one.recorder.refused == []
    await one.broker.close()


async def test_what_comes_before_a_subscription_is_restored_is_part_of_the_gap(
    wrong: WrongHub,
) -> None:
    """Something may be missing before it."""
    one = await start(wrong.path)
    wrong.say_first = message_of(b"news", [GOOD])
    await one.broker.subscribe("news")
    assert len(one.received("news")) == 1
    assert one.recorder.restored == []
    wrong.cut()
    await one.told("lost", "made")
    assert len(one.received("news")) == 1
    assert one.recorder.restored == ["news"]
    wrong.tell(message_of(b"news", [GOOD]))
    await one.receive(2)
    await one.broker.close()


async def test_a_hub_that_says_nothing_after_its_welcome(
    wrong: WrongHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "MAX_AWAY", 0.3)
    one = await start(wrong.path)
    await one.broker.subscribe("news")
    wrong.is_mute = True
    wrong.cut()

    async def is_connected_again() -> bool:
        return wrong.connections == 2

    await until(is_connected_again)
    with pytest.raises(BrokerError, match="no connection to the hub"):
        await asyncio.wait_for(one.broker.publish(message("news", "x"), None, ""), PATIENCE)
    assert (wrong.connections, one.recorder.events) == (2, ["lost"])
    wrong.is_mute = False
    wrong.cut()
    await one.told("lost", "made")
    assert one.recorder.restored == ["news"]
    await one.broker.close()


PAGE = frame_of(protocol.PAGE, WHERE, b"\x01")


@pytest.mark.parametrize(
    "said",
    [
        protocol.U32.pack(0),
        protocol.U32.pack(2**32 - 1),
        frame_of(0),
        frame_of(99, b"something"),
        frame_of(protocol.WELCOME, protocol.WELCOMED.pack(protocol.VERSION, bytes(8))),
        frame_of(protocol.DONE),
        frame_of(protocol.DONE, protocol.U32.pack(1)),
        frame_of(protocol.DONE, protocol.U32.pack(2**32 - 1)),
        frame_of(protocol.POSITION, WHERE),
        frame_of(protocol.PAGE),
        frame_of(protocol.PAGE, short(b""), protocol.U64.pack(0), b"\x01"),
        frame_of(protocol.PAGE, WHERE, b"\x01", protocol.U32.pack(2**32 - 1), b"x"),
        PAGE + frame_of(protocol.DONE, protocol.U32.pack(1)),
        PAGE + PAGE,
    ],
)
async def test_an_answer_to_something_else_ends_the_connection(
    wrong: WrongHub, said: bytes
) -> None:
    one = await start(wrong.path)
    wrong.say = said
    read = one.broker.read("news", None, KEPT)
    await one.told("lost", "made")
    assert wrong.connections == 2
    wrong.tell(PAGE)  # it may have been asked again
    try:
        assert (await asyncio.wait_for(read, PATIENCE)).position == Position("abc", 1)
    except BrokerError as exc:
        assert "what it should not" in str(exc) or "something else" in str(exc)
    await one.broker.close()


async def test_what_is_more_than_a_history_keeps_is_not_read(wrong: WrongHub) -> None:
    one = await start(wrong.path)
    far = short(b"abc") + protocol.U64.pack(KEPT.size + 1)
    wrong.say = frame_of(protocol.PAGE, far, b"\x01", GOOD)
    read = one.broker.read("news", Position("abc", 0), KEPT)
    assert await asyncio.wait_for(read, PATIENCE) == (Position("abc", KEPT.size + 1), None)
    await one.broker.close()


async def test_what_was_kept_and_is_no_publication_is_not_read(wrong: WrongHub) -> None:
    one = await start(wrong.path)
    wrong.say = frame_of(protocol.PAGE, WHERE, b"\x01", protocol.U32.pack(3), b"bad")
    missed = await one.broker.read("news", Position("abc", 0), KEPT)
    assert missed == (Position("abc", 1), None)
    assert len(one.recorder.refused) == 1
    await one.broker.close()
