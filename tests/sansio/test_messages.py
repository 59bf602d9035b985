"""Fragments become whole, valid messages, within their limits."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.exceptions import ProtocolError
from wsproto_async.sansio.messages import MessageAssembler

CONTINUATION, TEXT, BINARY = 0, 1, 2
Message = str | bytes


def assemble(
    assembler: MessageAssembler, opcode: int, fragments: Iterable[Iterable[bytes]]
) -> Message:
    """Add a message: fragments of pieces; return what its last piece brings."""
    message: Message | None = None
    frames = [list(pieces) or [b""] for pieces in fragments]
    for number, pieces in enumerate(frames):
        assembler.begin_frame(opcode if number == 0 else CONTINUATION, sum(map(len, pieces)))
        for index, piece in enumerate(pieces):
            assert message is None, "a message came before its end"
            message = assembler.add(piece, number == len(frames) - 1 and index == len(pieces) - 1)
    assert message is not None
    return message


def code_of(call: Callable[..., object], *args: object) -> int:
    with pytest.raises(ProtocolError) as caught:
        call(*args)
    return caught.value.code


@pytest.mark.parametrize(
    ("opcode", "fragments", "message"),
    [
        (TEXT, [[b"hello"]], "hello"),
        (TEXT, [[b""]], ""),
        (TEXT, [[b"h", b"el", b"lo"]], "hello"),
        (TEXT, [[b"hel"], [b"lo"]], "hello"),
        (TEXT, [[b"\xe2"], [b""], [b"\x82"], [b"\xac"]], "€"),
        (TEXT, [[b"a\xf0\x9f", b"\x91"], [b"\x8b"]], "a\U0001f44b"),
        (TEXT, [[b""], [b""], [b""]], ""),
        (TEXT, [[b"hello"], [b""]], "hello"),
        (BINARY, [[b"hello"]], b"hello"),
        (BINARY, [[b""]], b""),
        (BINARY, [[b"\xff", b"\x00"], [b"\x80"]], b"\xff\x00\x80"),
        (BINARY, [[b""], [b"x"], [b""]], b"x"),
    ],
)
def test_a_message_is_its_fragments_joined(
    opcode: int, fragments: list[list[bytes]], message: Message
) -> None:
    assembler = MessageAssembler(None, None)
    for _ in range(2):
        assert assemble(assembler, opcode, fragments) == message
        assert assembler.buffered() == 0


def test_text_and_binary_by_turns() -> None:
    assembler = MessageAssembler(None, None)
    for opcode, message in [(TEXT, "a\xe9"), (BINARY, b"\xff"), (TEXT, ""), (BINARY, b"")]:
        wire = message.encode() if isinstance(message, str) else message
        assert assemble(assembler, opcode, [[wire[:1]], [wire[1:]]]) == message
        assert assemble(assembler, opcode, [[wire]]) == message


# Pieces of a text message, of which the last is the first wrong one; is it the message's end?
NOT_UTF8 = [
    ([b"\xff"], True),
    ([b"\xff"], False),
    ([b"ok", b"\x80"], False),
    ([b"\xe2\x82", b"x"], False),
    ([b"\xe2", b"\x28"], True),
    ([b"\xed\xa0"], False),
    ([b"\xf4\x90"], False),
    ([b"\xe2\x82"], True),
    ([b"\xe2", b"\x82", b""], True),
    ([b"ok", b"\xc3"], True),
]


@pytest.mark.parametrize(("pieces", "final"), NOT_UTF8)
def test_text_is_judged_at_the_first_wrong_byte(pieces: list[bytes], final: bool) -> None:
    assembler = MessageAssembler(None, None)
    assembler.begin_frame(TEXT, 100)
    for piece in pieces[:-1]:
        assert assembler.add(piece, False) is None
    assert code_of(assembler.add, pieces[-1], final) == 1007


@pytest.mark.parametrize(("pieces", "final"), NOT_UTF8)
def test_binary_is_not_judged(pieces: list[bytes], final: bool) -> None:
    assembler = MessageAssembler(None, None)
    assembler.begin_frame(BINARY, 100)
    for piece in pieces[:-1]:
        assembler.add(piece, False)
    assert assembler.add(pieces[-1], final) == (b"".join(pieces) if final else None)


# Lengths of the frames of a message, for max_size=10; at which of them is it too big?
SIZES = [
    ([10], None),
    ([11], 0),
    ([2**63 - 1], 0),
    ([4, 6], None),
    ([4, 7], 1),
    ([0] * 10 + [10], None),
    ([1] * 10, None),
    ([1] * 11, 10),
    ([10, 0, 0], None),
    ([10, 1], 1),
]


@pytest.mark.parametrize(("lengths", "too_big"), SIZES)
def test_max_size_is_exact_and_judged_before_the_payload(
    lengths: list[int], too_big: int | None
) -> None:
    assembler = MessageAssembler(10, None)
    for turn in range(2):
        for index, length in enumerate(lengths):
            opcode = BINARY if index == 0 else CONTINUATION
            if index == too_big:
                assert code_of(assembler.begin_frame, opcode, length) == 1009
                return
            assembler.begin_frame(opcode, length)
            assembler.add(bytes(length), index == len(lengths) - 1)
        assert turn == 0 or too_big is None, "the next message starts from zero"


def test_max_fragments_is_exact() -> None:
    assembler = MessageAssembler(None, 3)
    assert assemble(assembler, TEXT, [[b"a"], [b"b"], [b"c"]]) == "abc"
    assert assemble(assembler, TEXT, [[b"a", b"b", b"c", b"d"]]) == "abcd", "pieces do not count"
    for opcode in (TEXT, CONTINUATION, CONTINUATION):
        assembler.begin_frame(opcode, 0)
        assembler.add(b"", False)
    assert code_of(assembler.begin_frame, CONTINUATION, 0) == 1008


def test_one_fragment_is_a_message_that_is_not_fragmented() -> None:
    assembler = MessageAssembler(None, 1)
    assert assemble(assembler, TEXT, [[b"a"]]) == "a"
    assembler.begin_frame(TEXT, 1)
    assembler.add(b"a", False)
    assert code_of(assembler.begin_frame, CONTINUATION, 1) == 1008


@pytest.mark.parametrize(
    ("max_size", "max_fragments", "error"),
    [(1, None, "message over 1 bytes"), (None, 1, "message in over 1 fragments")],
)
def test_what_is_over_a_limit_is_explained(
    max_size: int | None, max_fragments: int | None, error: str
) -> None:
    assembler = MessageAssembler(max_size, max_fragments)
    assembler.begin_frame(BINARY, 1)
    with pytest.raises(ProtocolError, match=f"^{error}$"):
        assembler.begin_frame(CONTINUATION, 1)


def test_limits_of_zero() -> None:
    assert assemble(MessageAssembler(0, None), BINARY, [[b""], [b""]]) == b""
    assert code_of(MessageAssembler(0, None).begin_frame, BINARY, 1) == 1009
    assert code_of(MessageAssembler(None, 0).begin_frame, BINARY, 0) == 1008


def test_none_lifts_the_limits() -> None:
    assembler = MessageAssembler(None, None)
    fragments = [[b"x"]] * 2**16
    assert assemble(assembler, BINARY, fragments) == b"x" * 2**16
    assembler.begin_frame(BINARY, 2**63 - 1)


def test_buffered_counts_what_is_held() -> None:
    assembler = MessageAssembler(None, None)
    assembler.begin_frame(TEXT, 6)
    for piece, held in [(b"", 0), (b"ab", 2), (b"\xe2\x82", 4)]:
        assert assembler.add(piece, False) is None
        assert assembler.buffered() == held
    assert assembler.add(b"\xac", True) == "ab€"
    assert assembler.buffered() == 0


def test_discard_forgets_the_unfinished_message() -> None:
    assembler = MessageAssembler(None, None)
    assembler.begin_frame(TEXT, 5)
    assembler.add(b"a\xe2", False)
    assembler.discard()
    assert (assembler.buffered(), assembler.take()) == (0, b"")
    assert assemble(assembler, TEXT, [[b"new"], [b"!"]]) == "new!"


def test_taking_binary() -> None:
    assembler = MessageAssembler(None, None)
    assert assembler.take() == b""
    assembler.begin_frame(BINARY, 4)
    assembler.add(b"a", False)
    assembler.add(b"b", False)
    assert (assembler.take(), assembler.buffered(), assembler.take()) == (b"ab", 0, b"")
    assembler.add(b"c", False)
    assert assembler.add(b"d", True) == b"cd"
    assert assembler.take() == b""


def test_taking_text_takes_whole_characters() -> None:
    assembler = MessageAssembler(None, None)
    assembler.begin_frame(TEXT, 9)
    assembler.add("aé".encode() + b"\xe2\x82", False)
    assert (assembler.take(), assembler.buffered(), assembler.take()) == ("aé", 2, "")
    assembler.add(b"\xac\xf0", False)
    assert (assembler.take(), assembler.buffered()) == ("€", 1)
    assert assembler.add(b"\x9f\x91\x8b", True) == "\U0001f44b"


def test_what_was_taken_counts_in_the_limits() -> None:
    assembler = MessageAssembler(3, None)
    assembler.begin_frame(BINARY, 3)
    assembler.add(b"abc", False)
    assembler.take()
    assert code_of(assembler.begin_frame, CONTINUATION, 1) == 1009


def test_the_rest_of_a_message_may_be_empty() -> None:
    for opcode, empty in [(TEXT, ""), (BINARY, b"")]:
        assembler = MessageAssembler(None, None)
        assembler.begin_frame(opcode, 3)
        assembler.add(b"abc", False)
        assembler.take()
        assembler.begin_frame(CONTINUATION, 0)
        assert assembler.add(b"", True) == empty


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_big_message_in_tiny_pieces_is_linear(opcode: int) -> None:
    fragments = [[b"x"] * 2**10] * 2**8
    message = assemble(MessageAssembler(None, None), opcode, fragments)
    assert message == ("x" if opcode == TEXT else b"x") * 2**18


FRAGMENTS = st.lists(st.lists(st.binary(max_size=4), max_size=3), min_size=1, max_size=4)


@given(st.sampled_from([TEXT, BINARY]), FRAGMENTS, st.lists(st.integers(0, 12)))
def test_taking_and_cutting_change_nothing(
    opcode: int, fragments: list[list[bytes]], takes: list[int]
) -> None:
    """Whatever the fragments and pieces, and whenever something is taken: the whole is the same."""
    whole = b"".join(piece for pieces in fragments for piece in pieces)
    try:
        expected: Message | None = whole.decode() if opcode == TEXT else whole
    except UnicodeDecodeError:
        expected = None
    assembler = MessageAssembler(None, None)
    pieces = [piece for pieces in fragments for piece in (pieces or [b""])]
    parts: list[Message] = []
    assembler.begin_frame(opcode, len(whole))
    try:
        for index, piece in enumerate(pieces):
            if index in takes:
                parts.append(assembler.take())
            message = assembler.add(piece, index == len(pieces) - 1)
            if message is not None:
                parts.append(message)
    except ProtocolError as exc:
        assert (expected, exc.code) == (None, 1007)
    else:
        # Nothing taken is always b"".
        wire = [part.encode() if isinstance(part, str) else part for part in parts]
        assert (type(message), b"".join(wire)) == (type(expected), whole)
