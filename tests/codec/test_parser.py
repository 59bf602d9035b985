"""The parser: any split gives the same frames, and a violation is seen at the byte that proves it.

Frames are built here by hand; the parser is fed whole, byte by byte, and with a tail.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.codec.frames import encode_frame
from wsproto_async.codec.parser import FrameParser
from wsproto_async.exceptions import ProtocolError

Frame = tuple[int, bool, bytes]  # opcode, fin, payload

WHOLE = 2**30
KEY = b"\x37\xfa\x21\x3d"
BOUNDARIES = [0, 1, 125, 126, 127, 128, 65535, 65536, 65537]

every_split = pytest.mark.parametrize("size", [1, 5, WHOLE], ids=["bytes", "fives", "whole"])
both_roles = pytest.mark.parametrize("masked", [True, False], ids=["server", "client"])


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def cut_at(data: bytes, seams: list[int]) -> list[bytes]:
    edges = [0, *sorted(seam % (len(data) + 1) for seam in seams), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def build(opcode: int, payload: bytes, *, masked: bool, fin: bool = True) -> bytes:
    """A frame as the peer of a parser with this ``masked`` sends it, with RFC 6455's own key."""
    length = len(payload)
    if length < 126:
        head = bytes((length,))
    elif length < 65536:
        head = b"\x7e" + length.to_bytes(2, "big")
    else:
        head = b"\x7f" + length.to_bytes(8, "big")
    if masked:
        head = bytes((head[0] | 0x80,)) + head[1:] + KEY
        payload = bytes(byte ^ KEY[i % 4] for i, byte in enumerate(payload))
    return bytes(((0x80 if fin else 0) | opcode,)) + head + payload


def read(parser: FrameParser, frames: list[Frame], pieces: list[bytes]) -> None:
    """Take all frames that are complete; ``pieces`` keeps what has arrived of the next one."""
    while parser.in_frame or parser.read_header():
        piece = parser.read_payload()
        if piece is None:
            return
        pieces.append(piece)
        if not parser.in_frame:
            frames.append((parser.opcode, parser.fin, b"".join(pieces)))
            pieces.clear()


def parse(
    chunks: list[bytes], *, masked: bool, behind: bytes | None = None
) -> tuple[list[Frame], bytes, str | None]:
    """Feed ``chunks``; return the frames, the piece of an unfinished one, and what was wrong.

    With ``behind`` they are lent, with these bytes behind each that are none of it.
    """
    parser = FrameParser(masked)
    frames: list[Frame] = []
    pieces: list[bytes] = []
    try:
        for chunk in chunks:
            if behind is None:
                parser.feed(chunk)
            else:
                parser.borrow(chunk + behind, len(chunk))
            read(parser, frames, pieces)
            parser.keep()
    except ProtocolError as exc:
        return frames, b"".join(pieces), str(exc)
    return frames, b"".join(pieces), None


@pytest.mark.parametrize(
    ("wire", "masked", "frames"),
    [
        ("81 05 48 65 6c 6c 6f", False, [(1, True, b"Hello")]),
        ("81 85 37 fa 21 3d 7f 9f 4d 51 58", True, [(1, True, b"Hello")]),
        ("01 03 48 65 6c 80 02 6c 6f", False, [(1, False, b"Hel"), (0, True, b"lo")]),
        ("89 05 48 65 6c 6c 6f", False, [(9, True, b"Hello")]),
        ("8a 85 37 fa 21 3d 7f 9f 4d 51 58", True, [(10, True, b"Hello")]),
        ("82 7e 01 00" + "2a" * 256, False, [(2, True, b"*" * 256)]),
        ("82 7f 00 00 00 00 00 01 00 00" + "2a" * 65536, False, [(2, True, b"*" * 65536)]),
    ],
    ids=["text", "masked text", "fragments", "ping", "masked pong", "256 bytes", "64 KiB"],
)
@every_split
def test_the_examples_of_rfc_6455_5_7(
    wire: str, masked: bool, frames: list[Frame], size: int
) -> None:
    assert parse(cut(bytes.fromhex(wire), size), masked=masked) == (frames, b"", None)


@pytest.mark.parametrize("length", BOUNDARIES)
@every_split
@both_roles
def test_a_payload_of_every_size(length: int, size: int, masked: bool) -> None:
    payload = bytes(i * 7 % 256 for i in range(length))
    wire = build(2, payload, masked=masked) + b"\x82"
    assert parse(cut(wire, size), masked=masked) == ([(2, True, payload)], b"", None)


@pytest.mark.parametrize("opcode", [8, 9, 10])
@pytest.mark.parametrize("length", [0, 2, 3, 124, 125])
@every_split
@both_roles
def test_a_control_frame_comes_whole(opcode: int, length: int, size: int, masked: bool) -> None:
    parser = FrameParser(masked)
    payload = bytes(range(length))
    wire = build(opcode, payload, masked=masked)
    for chunk in cut(wire[:-1], size):
        parser.feed(chunk)
        assert not (parser.in_frame or parser.read_header()) or parser.read_payload() is None
    parser.feed(wire[-1:])
    assert parser.in_frame or parser.read_header()
    assert parser.read_payload() == payload
    assert not parser.in_frame
    assert parser.buffered() == 0


@every_split
@both_roles
def test_control_frames_stand_between_fragments(size: int, masked: bool) -> None:
    frames = [
        (1, False, b"Hel"),
        (9, True, b"ping"),
        (0, False, b""),
        (10, True, b""),
        (0, False, b"lo"),
        (8, True, b"\x03\xe8"),
        (0, True, b"!"),
        (2, True, b"next"),
    ]
    wire = b"".join(build(op, payload, masked=masked, fin=fin) for op, fin, payload in frames)
    assert parse(cut(wire, size), masked=masked) == (frames, b"", None)


TO_SERVER, TO_CLIENT = True, False
VIOLATIONS = [
    # (what, who reads, valid frames before it, bytes of which the last one proves it, the error)
    ("RSV1", TO_SERVER, [], "c1", "reserved bits are set"),
    ("RSV2", TO_CLIENT, [], "a2", "reserved bits are set"),
    ("RSV3 of a ping", TO_SERVER, [], "99", "reserved bits are set"),
    ("opcode 3", TO_SERVER, [], "83", "opcode 0x3 is reserved"),
    ("opcode 7", TO_CLIENT, [], "87", "opcode 0x7 is reserved"),
    ("opcode B", TO_SERVER, [], "8b", "opcode 0xb is reserved"),
    ("opcode F", TO_CLIENT, [], "8f", "opcode 0xf is reserved"),
    ("fragmented ping", TO_SERVER, [], "09", "control frame is fragmented"),
    ("fragmented close", TO_CLIENT, [], "08", "control frame is fragmented"),
    ("continuation first", TO_SERVER, [], "80", "continuation frame without a message"),
    ("continuation after the end", TO_SERVER, [(1, True)], "00", "continuation frame without"),
    ("... of fragments", TO_CLIENT, [(1, False), (0, True)], "80", "continuation frame without"),
    ("text in a message", TO_SERVER, [(1, False)], "81", "new message before the fragmented one"),
    ("binary in one", TO_CLIENT, [(2, False), (9, True)], "02", "new message before the fragment"),
    ("unmasked from client", TO_SERVER, [], "81 00", "client frame is not masked"),
    ("unmasked, 64-bit length", TO_SERVER, [], "82 7f", "client frame is not masked"),
    ("masked from server", TO_CLIENT, [], "81 80", "server frame is masked"),
    ("masked ping from server", TO_CLIENT, [], "89 85", "server frame is masked"),
    ("long ping", TO_SERVER, [], "89 fe", "control frame is longer than 125 bytes"),
    ("huge close", TO_CLIENT, [], "88 7f", "control frame is longer than 125 bytes"),
    ("half a close code", TO_SERVER, [], "88 81", "close frame holds half a close code"),
    ("half a code to client", TO_CLIENT, [(1, False)], "88 01", "close frame holds half a close"),
    ("length of 2^63", TO_SERVER, [], "82 ff 80", "payload length has its most significant"),
    ("length of 2^64 - 1", TO_CLIENT, [], "82 7f ff", "payload length has its most significant"),
    ("125 in 16 bits", TO_SERVER, [], "82 fe 00 7d", "payload length is not encoded in the fewest"),
    ("0 in 16 bits", TO_CLIENT, [], "81 7e 00 00", "payload length is not encoded in the fewest"),
    ("0 in 64 bits", TO_SERVER, [], "82 ff" + " 00" * 6, "payload length is not encoded in the"),
    ("65535 in 64 bits", TO_CLIENT, [], "82 7f" + " 00" * 6, "payload length is not encoded in"),
]


@pytest.mark.parametrize(
    ("masked", "before", "wire", "error"),
    [case[1:] for case in VIOLATIONS],
    ids=[case[0] for case in VIOLATIONS],
)
@pytest.mark.parametrize("tail", [b"", b"\x00" * 20], ids=["", "tail"])
@every_split
def test_a_violation_is_seen_at_the_first_byte_that_proves_it(
    masked: bool, before: list[tuple[int, bool]], wire: str, error: str, tail: bytes, size: int
) -> None:
    good = b"".join(build(opcode, b"x", masked=masked, fin=fin) for opcode, fin in before)
    data = good + bytes.fromhex(wire)
    frames = [(opcode, fin, b"x") for opcode, fin in before]
    assert parse(cut(data[:-1], size), masked=masked) == (frames, b"", None)
    found, piece, wrong = parse(cut(data + tail, size), masked=masked)
    assert (found, piece) == (frames, b"")
    assert wrong is not None
    assert wrong.startswith(error)


@pytest.mark.parametrize("length", [2**62, 2**63 - 1])
def test_the_length_is_known_before_the_payload(length: int) -> None:
    parser = FrameParser(masked=False)
    parser.feed(b"\x82\x7f" + length.to_bytes(8, "big"))
    assert parser.read_header()
    assert (parser.opcode, parser.fin, parser.remaining) == (2, True, length)
    assert parser.read_payload() is None
    parser.feed(b"x")
    assert parser.read_payload() == b"x"
    assert parser.remaining == length - 1


@both_roles
def test_a_data_frame_comes_in_the_pieces_it_arrives_in(masked: bool) -> None:
    parser = FrameParser(masked)
    wire = build(2, b"abcdefghij", masked=masked)
    head, rest = wire[:-10], wire[-10:]
    parser.feed(head)
    assert parser.read_header()
    assert parser.read_payload() is None
    taken = []
    for chunk in (rest[:1], rest[1:4], rest[4:9]):
        parser.feed(chunk)
        taken.append(parser.read_payload())
        assert parser.in_frame
        assert parser.read_payload() is None, "nothing more has arrived"
    assert taken == [b"a", b"bcd", b"efghi"]
    parser.feed(rest[9:] + wire)
    assert (parser.remaining, parser.read_payload(), parser.in_frame) == (1, b"j", False)
    assert parser.read_header(), "the next frame"
    assert (parser.remaining, parser.read_payload()) == (10, b"abcdefghij")


def test_nothing_is_in_a_new_parser() -> None:
    parser = FrameParser(masked=True)
    assert (parser.in_frame, parser.buffered(), parser.read_header()) == (False, 0, False)
    parser.feed(b"")
    assert (parser.buffered(), parser.read_header()) == (0, False)


@pytest.mark.parametrize("count", [1, 10, 1000], ids=lambda count: f"{count} unread frames")
@every_split
@both_roles
def test_whoever_stops_taking_stops_the_work(count: int, size: int, masked: bool) -> None:
    """What is fed and not taken waits as bytes, counted, in order."""
    frames = [(2, True, b"frame %d" % number) for number in range(count)]
    wires = [build(op, payload, masked=masked) for op, _, payload in frames]
    parser = FrameParser(masked)
    fed = 0
    for chunk in cut(b"".join(wires), size):
        parser.feed(chunk)
        fed += len(chunk)
        assert parser.buffered() == fed
    for wire, (_, _, payload) in zip(wires, frames, strict=True):
        assert parser.read_header()
        assert parser.read_payload() == payload
        fed -= len(wire)
        assert parser.buffered() == fed
    assert not parser.read_header()


def test_taking_and_feeding_by_turns() -> None:
    """One frame is taken for three that come, then the rest is: the backlog keeps its order."""
    wires = [build(2, b"%06d" % number, masked=True) for number in range(3000)]
    parser = FrameParser(masked=True)
    taken = []
    for turn in range(1000):
        parser.feed(b"".join(wires[turn * 3 : turn * 3 + 3]))
        assert parser.read_header()
        taken.append(parser.read_payload())
    while parser.read_header():
        taken.append(parser.read_payload())
    assert taken == [b"%06d" % number for number in range(3000)]
    assert parser.buffered() == 0


@every_split
def test_discard_forgets_the_input(size: int) -> None:
    parser = FrameParser(masked=False)
    for chunk in cut(build(2, b"x" * 300, masked=False) * 5, size):
        parser.feed(chunk)
    assert parser.read_header()
    parser.discard()
    assert parser.buffered() == 0
    assert parser.read_payload() is None


@both_roles
def test_a_big_frame_byte_by_byte_is_linear(masked: bool) -> None:
    payload = bytes(2**15)
    wire = build(2, payload, masked=masked)
    assert parse(cut(wire, 1), masked=masked) == ([(2, True, payload)], b"", None)


def test_a_row_of_unread_bytes_is_linear() -> None:
    """Many thousand reads of one byte, taken at the end; then all in one read."""
    wire = build(9, b"", masked=True) * (2**16 // 6)
    for size in (1, WHOLE):
        parser = FrameParser(masked=True)
        for chunk in cut(wire, size):
            parser.feed(chunk)
        frames: list[Frame] = []
        read(parser, frames, [])
        assert frames == [(9, True, b"")] * (2**16 // 6)


def test_a_long_row_of_frames_read_behind_its_sender_is_linear() -> None:
    """Each byte taken makes one byte arrive while 1 MiB is waiting."""
    wire = build(2, b"", masked=False)
    parser = FrameParser(masked=False)
    parser.feed(wire * 2**19)
    for _ in range(2**17):
        assert parser.read_header()
        assert parser.read_payload() == b""
        parser.feed(wire)
    assert parser.buffered() == 2**20


PAYLOADS = st.binary(max_size=140) | st.sampled_from([b"x" * 126, b"y" * 65535, b"z" * 65536])
MESSAGES = st.builds(
    lambda opcode, parts: [
        (opcode if i == 0 else 0, i == len(parts) - 1, part) for i, part in enumerate(parts)
    ],
    st.sampled_from([1, 2]),
    st.lists(PAYLOADS, min_size=1, max_size=3),
)
CONTROLS = st.tuples(
    st.sampled_from([8, 9, 10]), st.just(True), st.binary(min_size=2, max_size=125)
).map(lambda frame: [frame])
SEAMS = st.lists(st.integers(0, 2**20), max_size=12)


@given(st.lists(MESSAGES | CONTROLS, max_size=5), st.booleans(), SEAMS)
def test_what_is_encoded_is_parsed(
    groups: list[list[Frame]], masked: bool, seams: list[int]
) -> None:
    frames = [frame for group in groups for frame in group]
    wire = b"".join(encode_frame(op, data, fin=fin, masked=masked) for op, fin, data in frames)
    assert parse(cut_at(wire, seams), masked=masked) == (frames, b"", None)


# Bytes that look like frames more often than random ones do.
HEADS = st.sampled_from([0x01, 0x02, 0x80, 0x81, 0x82, 0x88, 0x89, 0x8A, 0x00, 0x83, 0x7E, 0xFE])
NOISE = st.lists(HEADS | st.integers(0, 5) | st.integers(0x80, 0x85) | st.integers(0, 255))


@given(NOISE.map(bytes), st.booleans(), SEAMS)
def test_any_split_of_any_bytes_gives_the_same(data: bytes, masked: bool, seams: list[int]) -> None:
    whole = parse([data], masked=masked)
    assert parse(cut(data, 1), masked=masked) == whole
    assert parse(cut_at(data, seams), masked=masked) == whole


@given(NOISE.map(bytes), st.booleans(), SEAMS, NOISE.map(bytes))
def test_what_is_borrowed_is_parsed_as_if_it_were_fed(
    data: bytes, masked: bool, seams: list[int], behind: bytes
) -> None:
    assert parse(cut_at(data, seams), masked=masked, behind=behind) == parse([data], masked=masked)


@given(st.lists(MESSAGES | CONTROLS, max_size=5), st.booleans(), SEAMS, NOISE.map(bytes))
def test_frames_in_what_is_borrowed(
    groups: list[list[Frame]], masked: bool, seams: list[int], behind: bytes
) -> None:
    frames = [frame for group in groups for frame in group]
    wire = b"".join(encode_frame(op, data, fin=fin, masked=masked) for op, fin, data in frames)
    assert parse(cut_at(wire, seams), masked=masked, behind=behind) == (frames, b"", None)


@both_roles
def test_what_is_borrowed_and_not_taken_is_kept(masked: bool) -> None:
    """In order with what was there before and what comes after it."""
    wires = [build(2, b"%04d" % number * 30, masked=masked) for number in range(9)]
    parser = FrameParser(masked)
    parser.borrow(wires[0] + wires[1] + b"others'", len(wires[0] + wires[1]))
    assert parser.read_header()
    assert parser.read_payload() == b"0000" * 30
    parser.keep()
    parser.borrow(b"".join(wires[2:5]) + b"others'", len(b"".join(wires[2:5])))
    parser.keep()
    parser.feed(b"".join(wires[5:]))
    for number in range(1, 9):
        assert parser.read_header()
        assert parser.read_payload() == b"%04d" % number * 30
    assert parser.buffered() == 0
