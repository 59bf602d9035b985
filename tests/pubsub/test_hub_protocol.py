"""Frames between a process and its hub: cut anyhow, and spoilt anyhow."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsproto_async.pubsub import Publication
from wsproto_async.pubsub.hub import protocol
from wsproto_async.pubsub.hub.hub import Hub
from wsproto_async.pubsub.hub.protocol import (
    GREETING,
    HELLO,
    MAX_FRAME,
    RETAINED,
    U8,
    U32,
    U64,
    VERSION,
    WELCOMED,
    Fields,
    FrameError,
    FrameReader,
    frame_of,
    message,
    short,
)
from wsproto_async.pubsub.wire import encode

NAME = bytes(range(16))
DATA = encode(Publication("news", b"hello", True))
TOPIC = short(b"news")
ENTER = frame_of(protocol.ENTER, TOPIC, short(b"1"), U8.pack(0), b"Ann")
HELLO_FRAME = frame_of(HELLO, GREETING.pack(VERSION, 1, NAME))

COMMANDS = [
    message(b"news", [DATA]),
    frame_of(protocol.PUBLISH, TOPIC, short(b"key"), RETAINED.pack(10, 300.0), DATA),
    frame_of(protocol.PUBLISH, TOPIC, short(b""), RETAINED.pack(0, 0.0), DATA),
    frame_of(protocol.SUBSCRIBE, TOPIC),
    frame_of(protocol.UNSUBSCRIBE, TOPIC),
    frame_of(protocol.READ, TOPIC, short(b""), U64.pack(0)),
    frame_of(protocol.READ, TOPIC, short(b"abc"), U64.pack(2**64 - 1)),
    ENTER,
    frame_of(protocol.LEAVE, TOPIC, short(b"1")),
    frame_of(protocol.MEMBERS, TOPIC),
    frame_of(protocol.PING),
    frame_of(protocol.GOODBYE),
]


class Connection:
    """A connection of a process, as the hub sees it, that keeps what it is told."""

    def __init__(self) -> None:
        self.name = b""
        self.number = 0
        self.topics: set[bytes] = set()
        self.entered: set[tuple[bytes, str]] = set()
        self.publications: list[bytes] = []
        self.answers: list[bytes | None] = []
        self.is_ended = False

    def write(self, frame: bytes) -> None:
        self.publications.append(frame)

    def answer(self, frame: bytes) -> None:
        self.answers.append(frame)

    def done(self) -> None:
        self.answers.append(None)

    def end(self) -> None:
        self.is_ended = True


def connected(hub: Hub, name: bytes = NAME) -> Connection:
    connection = Connection()
    hub.receive(connection, frame_of(HELLO, GREETING.pack(VERSION, 1, name)))
    (welcome,) = connection.answers
    assert welcome is not None
    assert welcome[4] == protocol.WELCOME
    assert Fields(welcome).take(WELCOMED)[0] == VERSION
    connection.answers.clear()
    return connection


# -- Cutting --------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 200)))
def test_however_it_comes_the_frames_are_the_same(cuts: list[int]) -> None:
    stream = b"".join(COMMANDS)
    reader = FrameReader()
    found = []
    at = 0
    for size in [*cuts, len(stream)]:
        found += reader.feed(stream[at : at + size])
        at += size
    assert found == COMMANDS


def test_byte_by_byte() -> None:
    reader = FrameReader()
    found = [each for byte in b"".join(COMMANDS) for each in reader.feed(bytes((byte,)))]
    assert found == COMMANDS


def test_a_large_frame_and_what_follows() -> None:
    large = frame_of(protocol.MESSAGE, bytes(MAX_FRAME - 1))
    stream = COMMANDS[0] + large + COMMANDS[1] + COMMANDS[2][:3]
    reader = FrameReader()
    step = 65_536
    found = [each for at in range(0, len(stream), step) for each in reader.feed(stream[at:][:step])]
    assert found == [COMMANDS[0], large, COMMANDS[1]]
    assert reader.feed(COMMANDS[2][3:]) == [COMMANDS[2]]


@pytest.mark.parametrize("length", [0, MAX_FRAME + 1, 2**32 - 1])
def test_what_is_no_frame_is_refused_by_its_length(length: int) -> None:
    with pytest.raises(FrameError, match=f"frame of {length} bytes"):
        FrameReader().feed(U32.pack(length))


def test_strings_have_at_most_255_bytes() -> None:
    assert Fields(frame_of(0, short(bytes(255)))).short() == bytes(255)
    with pytest.raises(ValueError, match="more than 255"):
        short(bytes(256))


# -- Spoiling -------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_gets_one_answer(command: bytes) -> None:
    connection = connected(hub := Hub())
    hub.receive(connection, command)
    assert len(connection.answers) == 1


@pytest.mark.parametrize("command", [HELLO_FRAME, *COMMANDS])
def test_what_is_cut_off_is_refused(command: bytes) -> None:
    """Unless what is cut is the field that goes to the end."""
    for length in range(5, len(command)):
        hub = Hub()
        connection = Connection() if command is HELLO_FRAME else connected(hub)
        try:
            hub.receive(connection, command[:length])
        except ValueError:
            assert connection.answers == []
        else:
            assert command[:length].endswith((DATA[: length - len(command)], b"An", b"A", b"\0"))


@given(st.binary(min_size=1, max_size=60))
def test_anything_else_is_refused_or_makes_sense(body: bytes) -> None:
    hub = Hub()
    witness = connected(hub, bytes(16))
    hub.receive(witness, frame_of(protocol.SUBSCRIBE, TOPIC))
    connection = connected(hub)
    try:
        hub.receive(connection, U32.pack(len(body)) + body)
    except ValueError:
        assert witness.publications == []
    hub.forget(connection)
    hub.receive(witness, message(b"news", [DATA]))
    assert witness.publications[-1] == message(b"news", [DATA])


@given(st.sampled_from(COMMANDS), st.integers(0), st.integers(0, 255))
@example(ENTER, ENTER.index(b"1"), 0xFF)
def test_a_byte_that_is_wrong_does_no_harm(command: bytes, at: int, byte: int) -> None:
    hub = Hub()
    connection = connected(hub)
    at = 4 + (at - 4) % (len(command) - 4)
    try:
        hub.receive(connection, command[:at] + bytes((byte,)) + command[at + 1 :])
    except ValueError:
        assert connection.answers == []
    hub.forget(connection)


@pytest.mark.parametrize("age", [0.0, -1.0, float("nan"), float("inf")])
def test_what_has_no_age_is_not_kept(age: float) -> None:
    connection = connected(hub := Hub())
    with pytest.raises(FrameError, match="no age"):
        hub.receive(
            connection,
            frame_of(protocol.PUBLISH, TOPIC, short(b""), RETAINED.pack(1, age), DATA),
        )


def test_who_has_not_said_hello_is_refused() -> None:
    for command in COMMANDS:
        with pytest.raises(FrameError, match="frame of type"):
            Hub().receive(Connection(), command)


def test_hello_is_said_once_and_in_this_version() -> None:
    connection = connected(hub := Hub())
    with pytest.raises(FrameError, match="frame of type"):
        hub.receive(connection, HELLO_FRAME)
    with pytest.raises(FrameError, match="version 9"):
        hub.receive(Connection(), frame_of(HELLO, GREETING.pack(9, 1, NAME)))


# -- Processes come and go ------------------------------------------------------------------------


def test_a_process_that_comes_back_has_one_connection() -> None:
    hub = Hub()
    witness = connected(hub, bytes(16))
    hub.receive(witness, frame_of(protocol.SUBSCRIBE, TOPIC))
    before = connected(hub)
    for command in (
        frame_of(protocol.SUBSCRIBE, TOPIC),
        frame_of(protocol.ENTER, TOPIC, short(b"1"), U8.pack(0), b"Ann"),
    ):
        hub.receive(before, command)
    now = connected(hub)
    assert before.is_ended
    assert not now.is_ended
    assert len(witness.publications) == 2  # it has joined and left
    hub.forget(before)
    hub.receive(now, frame_of(protocol.SUBSCRIBE, TOPIC))
    hub.receive(witness, message(b"news", [DATA]))
    assert now.publications == [message(b"news", [DATA])]


def sizes(hub: Hub) -> dict[str, int]:
    places = vars(hub) | vars(hub._histories)
    return {name: len(value) for name, value in places.items() if isinstance(value, dict)}


def test_nothing_is_left_of_who_has_gone() -> None:
    hub = Hub()
    at_rest = sizes(hub)
    connection = connected(hub)
    for number in range(100):
        topic = short(b"%d" % number)
        hub.receive(connection, frame_of(protocol.SUBSCRIBE, topic))
        hub.receive(connection, frame_of(protocol.READ, topic, short(b""), U64.pack(0)))
        hub.receive(connection, frame_of(protocol.ENTER, topic, short(b"1"), U8.pack(0), b"Ann"))
    hub.forget(connection)
    assert sizes(hub) == at_rest
    assert not (connection.topics or connection.entered)


def test_the_history_of_a_topic_goes_on_while_somebody_listens() -> None:
    hub = Hub()
    one, other = connected(hub), connected(hub, bytes(16))
    hub.receive(other, frame_of(protocol.SUBSCRIBE, TOPIC))
    for text in (b"news", b"other", b"news", b"other"):
        told = frame_of(protocol.PUBLISH, short(text), short(b""), RETAINED.pack(1, 1e-300), DATA)
        hub.receive(one, told)
    offsets = []
    for told in one.answers:
        fields = Fields(told)
        fields.short()
        offsets += fields.take(U64)
    assert offsets == [1, 1, 2, 1]


def test_many_members_come_in_parts() -> None:
    connection = connected(hub := Hub())
    name = bytes(2**16)
    for number in range(40):
        member = short(b"%d" % number)
        hub.receive(connection, frame_of(protocol.ENTER, TOPIC, member, U8.pack(0), name))
    connection.answers.clear()
    hub.receive(connection, frame_of(protocol.MEMBERS, TOPIC))
    flags = [Fields(each).take(U8)[0] for each in connection.answers if each]
    assert flags == [protocol.FIRST, 0, protocol.LAST]
