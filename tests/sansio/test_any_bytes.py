"""Any bytes at all, in any pieces, on both sides."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from either_side import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    TEXT,
    Frame,
    close_payload,
    cut,
    opened,
    pongs,
    receive,
    sent,
    wire,
)
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.sansio import Close, Event, State

Outcome = tuple[list[Event], list[Frame], State, bool, str, Close | None, Close | None]


def outcome(side: str, chunks: list[bytes], *, ends: bool) -> Outcome:
    """All that can be seen of a connection that received ``chunks``."""
    connection = opened(side, max_size=200, max_fragments=3)
    events = receive(connection, *chunks)
    if ends:
        connection.receive_eof()
        events += connection.events()
    return (
        events,
        sent(connection),
        connection.state,
        connection.eof_due,
        str(connection.error),
        connection.close_sent,
        connection.close_received,
    )


def cut_at(data: bytes, seams: list[int]) -> list[bytes]:
    edges = [0, *sorted(seam % (len(data) + 1) for seam in seams), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


SIDES = st.sampled_from(["server", "client"])
SEAMS = st.lists(st.integers(0, 2**12), max_size=8)
PAYLOADS = st.one_of(
    st.text(max_size=5).map(str.encode),
    st.binary(max_size=5),
    st.sampled_from([b"", bytes(125), bytes(126), bytes(199), bytes(201)]),
    st.sampled_from([1000, 1001, 1005, 999, 4000]).map(close_payload),
)
FRAMES = st.tuples(
    st.sampled_from([CONT, TEXT, TEXT, BINARY, PING, PONG, CLOSE]), st.booleans(), PAYLOADS
)
PIECES = st.one_of(
    FRAMES.map(lambda frame: lambda side: wire(side, frame)),
    st.binary(max_size=4).map(lambda data: lambda side: data),
)
STREAMS = st.lists(PIECES, max_size=8)


@given(SIDES, STREAMS, SEAMS, st.booleans())
def test_any_split_gives_the_same_events_and_the_same_output(
    side: str, stream: list[Callable[[str], bytes]], seams: list[int], ends: bool
) -> None:
    data = b"".join(piece(side) for piece in stream)
    whole = outcome(side, [data], ends=ends)
    assert outcome(side, cut(data, 1), ends=ends) == whole
    assert outcome(side, cut_at(data, seams), ends=ends) == whole


@given(SIDES, STREAMS, SEAMS)
def test_receiving_never_raises_and_ends_once(
    side: str, stream: list[Callable[[str], bytes]], seams: list[int]
) -> None:
    data = b"".join(piece(side) for piece in stream)
    connection = opened(side, max_size=200, max_fragments=3)
    events: list[Event] = []
    for chunk in cut_at(data, seams):
        connection.receive_data(chunk)
        for event in connection.events():
            assert Close not in map(type, events), "Close is the last event"
            events.append(event)
        assert connection.buffered <= 200 + 125 + 14, "a message, a control frame, a header"
    connection.receive_eof()
    events += connection.events()
    assert [type(event) for event in events].count(Close) == 1
    frames = sent(connection)
    assert frames[: len(pongs(events))] == pongs(events)
    assert [frame[0] for frame in frames[len(pongs(events)) :]] in ([], [CLOSE])


MESSAGES = st.text(max_size=200) | st.binary(max_size=200)


@given(st.lists(st.tuples(MESSAGES, st.lists(st.integers(0, 200), max_size=3))), SIDES, SEAMS)
def test_what_one_end_sends_the_other_receives(
    messages: list[tuple[str | bytes, list[int]]], side: str, seams: list[int]
) -> None:
    """Whole or in fragments, cut anywhere."""
    sender = opened("client" if side == "server" else "server")
    for message, fragments in messages:
        data = message.encode() if isinstance(message, str) else message
        first, *rest = cut_at(data, fragments)
        begin = sender.send_text if isinstance(message, str) else sender.send_binary
        begin(first, fin=not rest)
        for index, fragment in enumerate(rest):
            sender.send_continuation(fragment, fin=index == len(rest) - 1)
    receiver = opened(side)
    assert receive(receiver, *cut_at(sender.data_to_send(), seams)) == [m for m, _ in messages]
