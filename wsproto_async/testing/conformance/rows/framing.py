"""Frames, fragments and control frames (RFC 6455 5 and 7), from a client or from a server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..peer import Peer
from ..row import Expectation, Row, Send, alive, any_of, close, cut_off, echo, hang_up, pong
from ..wire import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Wire

__all__ = ["FRAMING"]

BAD_CLOSE_CODES = (
    *(0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999),
    *(2000, 2999, 5000, 9999, 65535),
)
GOOD_CLOSE_CODES = (
    *range(1000, 1004),
    *range(1007, 1015),
    *(3000, 3999, 4000, 4999),
)
ECHO = frozenset({"echo"})
SIZE = frozenset({"max_size"})
FRAGMENTS = frozenset({"max_fragments"})
QUEUE = 2 * (3 * 2**16)  # bytes: twice a read limit, a write limit and 64 KiB
ONE_READ = 2**18  # bytes, which may have to wait for the next turn


def wrong(id: str, title: str, send: Send, code: int = 1002, **more: Any) -> Row:
    """What is answered by a Close frame at the last byte of it."""
    return Row(id, title, close(code), send, opened=True, proves=True, **more)


def right(id: str, title: str, send: Send, expect: Expectation = alive, **more: Any) -> Row:
    return Row(id, title, expect, send, opened=True, **more)


def reserved() -> Iterator[Row]:
    for name, bits in {"RSV1": 0x40, "RSV2": 0x20, "RSV3": 0x10, "all RSV": 0x70}.items():
        for kind, opcode in {"a text": TEXT, "a ping": PING, "a close": CLOSE}.items():
            yield wrong("F01", f"{name} on {kind}", bytes([0x80 | bits | opcode]))
        yield wrong(
            "F01",
            f"{name} on a continuation",
            lambda wire, bits=bits: wire.frame(TEXT, b"a", fin=False) + bytes([0x80 | bits]),
        )
    for opcode in (*range(3, 8), *range(11, 16)):
        yield wrong("F03", f"opcode {opcode:#x}", bytes([0x80 | opcode]))
        yield wrong("F03", f"opcode {opcode:#x}, not the last", bytes([opcode]))


def lengths() -> Iterator[Row]:
    for length in (0, 1, 125):
        yield wrong(
            "F06",
            f"{length} in 16 bits",
            lambda wire, length=length: wire.begin(0x82, 126, length.to_bytes(2, "big")),
        )
    # Six zero bytes are enough to know that 16 bits would have done.
    yield wrong("F06", "up to 65535 in 64 bits", lambda wire: wire.begin(0x82, 127, bytes(6)))
    yield wrong("F07", "2**63 and more", lambda wire: wire.begin(0x82, 127, b"\x80"))
    yield wrong("F07", "2**64 - 1", lambda wire: wire.begin(0x81, 127, b"\xff"))
    for power in (62, 40, 32, 31):
        yield wrong(
            "F08",
            f"2**{power} bytes announced",
            lambda wire, power=power: wire.header(BINARY, 2**power),
            1009,
            memory=lambda wire: 0,
        )
    yield wrong("F08", "2**63 - 1 bytes announced", lambda wire: wire.header(TEXT, 2**63 - 1), 1009)
    yield wrong(
        "F08",
        "one byte over max_size",
        lambda wire: wire.header(BINARY, wire.max_size + 1),
        1009,
        needs=SIZE,
    )
    yield wrong(
        "F08",
        "one byte over max_size, of text",
        lambda wire: wire.header(TEXT, wire.max_size + 1, fin=False),
        1009,
        needs=SIZE,
    )
    for opcode in (CLOSE, PING, PONG):
        yield wrong(
            "F10",
            f"control {opcode:#x} over 125 bytes",
            lambda wire, opcode=opcode: wire.begin(0x80 | opcode, 126),
        )
        yield wrong(
            "F10",
            f"control {opcode:#x} over 65535 bytes",
            lambda wire, opcode=opcode: wire.begin(0x80 | opcode, 127),
        )
        yield wrong("F10", f"control {opcode:#x} fragmented", bytes([opcode]))
    for length in (125, 126, 127, 65535, 65536):
        yield right(
            "F09",
            f"a message of {length} bytes",
            lambda wire, length=length: wire.frame(BINARY, bytes(length)),
            echo(bytes(length), BINARY),
            size=length,
            needs=ECHO,
        )
    yield right(
        "F09",
        "a message of max_size",
        lambda wire: wire.frame(BINARY, bytes(wire.max_size)),
        needs=SIZE,
    )
    yield right(
        "F09",
        "fragments of max_size together",
        lambda wire: (
            wire.frame(BINARY, bytes(wire.max_size - 9), fin=False)
            + wire.frame(CONTINUATION, bytes(9))
        ),
        needs=SIZE,
    )


def many(wire: Wire, count: int) -> bytes:
    """The first ``count`` fragments of a message."""
    return wire.frame(TEXT, fin=False) + wire.frame(CONTINUATION, fin=False) * (count - 1)


def fragments() -> Iterator[Row]:
    yield wrong("F12", "a continuation first", b"\x80")
    yield wrong("F12", "a continuation first, not the last", b"\x00")
    yield wrong(
        "F12", "a continuation after a message", lambda wire: wire.frame(TEXT, b"a") + b"\x80"
    )
    yield wrong("F12", "a continuation after a ping", lambda wire: wire.frame(PING) + b"\x80")
    for opcode in (TEXT, BINARY):
        for first in (TEXT, BINARY):
            yield wrong(
                "F12",
                f"a new {opcode:#x} inside a fragmented {first:#x}",
                lambda wire, opcode=opcode, first=first: (
                    wire.frame(first, b"a", fin=False) + bytes([0x80 | opcode])
                ),
            )
    yield wrong(
        "F12",
        "a new text after a ping inside a fragmented one",
        lambda wire: wire.frame(TEXT, b"a", fin=False) + wire.frame(PING, b"p") + b"\x01",
    )
    yield right(
        "F17",
        "as many fragments as there may be, with pings between",
        lambda wire: (
            wire.frame(TEXT, fin=False)
            + (wire.frame(PING) + wire.frame(CONTINUATION, fin=False)) * (wire.max_fragments - 2)
            + wire.frame(CONTINUATION, b"end")
        ),
        echo(b"end"),
        needs=FRAGMENTS | ECHO,
    )
    yield right(
        "F14",
        "a ping when all fragments are used up",
        lambda wire: many(wire, wire.max_fragments) + wire.frame(PING, b"p"),
        pong(b"p"),
        needs=FRAGMENTS,
    )
    yield right(
        "F14",
        "a Close when all fragments are used up",
        lambda wire: many(wire, wire.max_fragments) + wire.close(1000),
        close(1000, answers=True),
        needs=FRAGMENTS,
    )
    yield right(
        "F14",
        "pings of 125 bytes between fragments of max_size",
        lambda wire: (
            wire.frame(BINARY, bytes(wire.max_size - 1), fin=False)
            + wire.frame(PING, bytes(125)) * 3
            + wire.frame(CONTINUATION, b"x")
        ),
        needs=SIZE,
    )
    yield right(
        "F15",
        "a Close inside a fragmented message",
        lambda wire: wire.frame(TEXT, b"never ended", fin=False) + wire.close(1000),
        close(1000, answers=True),
    )
    yield wrong(
        "F16",
        "fragments over max_size",
        lambda wire: (
            wire.frame(BINARY, bytes(wire.max_size - 400), fin=False)
            + wire.header(CONTINUATION, 401)
        ),
        1009,
        needs=SIZE,
    )
    yield wrong(
        "F16",
        "one more byte than max_size",
        lambda wire: (
            wire.frame(BINARY, bytes(wire.max_size), fin=False) + wire.header(CONTINUATION, 1)
        ),
        1009,
        needs=SIZE,
    )
    yield wrong(
        "F17",
        "one fragment too many",
        lambda wire: many(wire, wire.max_fragments) + wire.header(CONTINUATION, 0),
        1008,
        needs=FRAGMENTS,
    )


async def endless_fragments(peer: Peer, payload: bytes) -> None:
    one = peer.wire.frame(CONTINUATION, payload, fin=False)
    await peer.send(peer.wire.frame(TEXT, payload, fin=False))
    for _ in range(1000):
        if peer.received.is_verdict:
            break
        await peer.send(one * 1000)
        await peer.pause()


async def empty_fragments(peer: Peer) -> None:
    await endless_fragments(peer, b"")


async def one_byte_fragments(peer: Peer) -> None:
    await endless_fragments(peer, b"x")


async def dribble(peer: Peer) -> None:
    """A message of max_size, but for its last byte, in pieces of 97 bytes."""
    data = peer.wire.frame(BINARY, b"x" * peer.wire.max_size)
    await peer.send_pieces(data[:-1], 97)
    peer.unsent = data[-1:]


async def empty_messages(peer: Peer) -> None:
    await peer.send_until_stalled(peer.wire.frame(TEXT) * 1000, 45)


async def pings_unread(peer: Peer) -> None:
    await peer.send_until_stalled(peer.wire.frame(PING, b"p" * 125) * 100, 80)


async def pongs(peer: Peer) -> None:
    await peer.send(peer.wire.frame(PONG, b"p" * 125) * 5000)


async def never_answer(peer: Peer) -> None:
    """Fail, and then neither close nor fall silent."""
    await peer.send(b"\xc1")
    await peer.send_until_cut_off(peer.wire.frame(TEXT, b"hello") * 20 + bytes(2**16))


async def say_close_and_stay(peer: Peer) -> None:
    await peer.send(peer.wire.close(1000))


async def finish_in(peer: Peer, data: bytes) -> None:
    await peer.send(data)
    peer.finish()


async def eof_in_header(peer: Peer) -> None:
    await finish_in(peer, peer.wire.header(BINARY, 1000)[:3])


async def eof_in_payload(peer: Peer) -> None:
    await finish_in(peer, peer.wire.begun(TEXT, b"half", 1000))


async def eof_in_message(peer: Peer) -> None:
    await finish_in(peer, peer.wire.frame(TEXT, b"half", fin=False))


async def eof(peer: Peer) -> None:
    peer.finish()


CLOSE_TIMEOUT: dict[str, Any] = {"lasts": "close_timeout", "needs": frozenset({"close_timeout"})}
# A Close frame may be answered by 1006's absence of one, or by a farewell: the stream must end.
ended = any_of(hang_up, close(1000, 1001, 1002, 1005, 1006, 1011))

FRAMING = [
    *reserved(),
    *(
        wrong(
            "F04",
            f"MASK is wrong on a {kind} frame",
            lambda wire, first=first, second=second: bytes(
                [first, second | (0 if wire.masked else 0x80)]
            ),
        )
        for kind, first, second in (
            ("text", 0x81, 5),
            ("binary", 0x82, 5),
            ("close", 0x88, 2),
            ("ping", 0x89, 0),
            ("pong", 0x8A, 0),
            ("long", 0x82, 126),
            ("very long", 0x82, 127),
        )
    ),
    Row(
        "F05",
        "a server's frame with a mask",
        close(1002),
        b"\x81\x85",
        opened=True,
        proves=True,
        needs=frozenset({"client"}),
    ),
    *lengths(),
    *fragments(),
    Row(
        "F17",
        "a million empty fragments",
        close(1008),
        play=empty_fragments,
        opened=True,
        mirrors=False,
        needs=FRAGMENTS,
        memory=lambda wire: QUEUE,
    ),
    Row(
        "F17",
        "a million fragments of one byte",
        close(1008, 1009),
        play=one_byte_fragments,
        opened=True,
        mirrors=False,
        needs=FRAGMENTS,
        memory=lambda wire: QUEUE + wire.max_size,
    ),
    Row(
        "F18",
        "a message of max_size in pieces of 97 bytes",
        alive,
        play=dribble,
        opened=True,
        mirrors=False,
        needs=SIZE,
        memory=lambda wire: 2 * wire.max_size + 2**16,
    ),
    Row(
        "F19",
        "empty messages without end, while nobody reads the echoes",
        alive,
        play=empty_messages,
        opened=True,
        mirrors=False,
        reads=False,
        needs=ECHO | {"plain"},
        memory=lambda wire: QUEUE,
    ),
    Row(
        "F20",
        "pings without end, while nobody reads the pongs",
        alive,
        play=pings_unread,
        opened=True,
        mirrors=False,
        reads=False,
        needs=frozenset({"plain"}),
        memory=lambda wire: QUEUE + ONE_READ,
    ),
    Row(
        "F21",
        "5,000 pongs that nobody asked for",
        alive,
        play=pongs,
        opened=True,
        mirrors=False,
        memory=lambda wire: ONE_READ,
    ),
    wrong("F23", "a Close of one byte", lambda wire: wire.begin(0x88, 1)),
    *(
        wrong("F24", f"code {code}", lambda wire, code=code: wire.close(code))
        for code in BAD_CLOSE_CODES
    ),
    wrong("F24", "a bad code with a reason", lambda wire: wire.close(1005, b"bye")),
    *(
        right(
            "F24",
            f"code {code}, which is right",
            lambda wire, code=code: wire.close(code, "€".encode()),
            close(code, answers=True),
        )
        for code in GOOD_CLOSE_CODES
    ),
    right(
        "F24",
        "a reason of 123 bytes",
        lambda wire: wire.close(1000, b"x" * 123),
        close(1000, answers=True),
    ),
    right("F24", "no code", lambda wire: wire.frame(CLOSE), close(1005, 1000, answers=True)),
    wrong("F26", "a reason that is not UTF-8", lambda wire: wire.close(1000, b"bye\xff"), 1007),
    wrong("F26", "a reason cut off", lambda wire: wire.close(1000, "€".encode()[:2]), 1007),
    wrong("F26", "a surrogate in the reason", lambda wire: wire.close(1000, b"\xed\xa0\x80"), 1007),
    right(
        "F28",
        "a Close and messages behind it",
        lambda wire: wire.close(1000) + wire.frame(TEXT, b"late") * 3,
        close(1000, answers=True),
    ),
    right(
        "F28",
        "two Close frames",
        lambda wire: wire.close(1000) + wire.close(1001),
        close(1000, answers=True),
    ),
    Row(
        "F29",
        "a Close, and a connection that is not closed",
        close(1000),
        play=say_close_and_stay,
        opened=True,
        mirrors=False,
        **CLOSE_TIMEOUT,
    ),
    *(
        Row("F30", f"the end in {where}", ended, play=play, opened=True, mirrors=False)
        for where, play in {
            "a header": eof_in_header,
            "a payload": eof_in_payload,
            "a fragmented message": eof_in_message,
        }.items()
    ),
    Row("F31", "the end without a Close", ended, play=eof, opened=True, mirrors=False),
    Row(
        "F32",
        "messages and noise for ever after a violation",
        cut_off(close(1002)),
        play=never_answer,
        opened=True,
        mirrors=False,
        memory=lambda wire: 2**12,
        **CLOSE_TIMEOUT,
    ),
    right(
        "F32",
        "a violation many times",
        lambda wire: b"\xc1" * 100 + wire.frame(TEXT, b"two") + b"\xc1",
        close(1002),
    ),
    *(
        right(
            "F33",
            f"masking key {key.hex()}",
            lambda wire, key=key: Wire(wire.masked, key=key).frame(TEXT, b"abcdefg"),
            echo(b"abcdefg"),
            needs=ECHO,
        )
        for key in (bytes(4), b"\xff" * 4, b"\x80\x00\x00\x00", b"\x00\x00\x00\x01")
    ),
    right(
        "X02",
        "pings inside a fragmented message",
        lambda wire: (
            wire.frame(TEXT, b"a", fin=False)
            + wire.frame(PING, bytes(range(125)))
            + wire.frame(CONTINUATION, b"b")
        ),
        pong(bytes(range(125))),
    ),
    right("X02", "an empty ping", lambda wire: wire.frame(PING), pong(b"")),
    right(
        "X02",
        "empty fragments around a message",
        lambda wire: (
            wire.frame(TEXT, fin=False)
            + wire.frame(CONTINUATION, b"x", fin=False)
            + wire.frame(CONTINUATION)
        ),
        echo(b"x"),
        needs=ECHO,
    ),
    right("X02", "an empty message", lambda wire: wire.frame(TEXT), echo(b""), needs=ECHO),
]
