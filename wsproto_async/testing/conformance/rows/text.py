"""UTF-8 (RFC 6455 8.1) and permessage-deflate (RFC 7692), from a client or from a server."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from ..row import Row, Send, alive, any_of, close, echo
from ..wire import BINARY, CONTINUATION, DEFLATE, PING, RSV1, TEXT, deflate, stored
from .framing import right, wrong

__all__ = ["TEXT_AND_DEFLATE"]

# Each ends at the byte that no valid UTF-8 can have there (Unicode 15, table 3-7).
BAD_UTF8 = (
    *(b"\x80", b"\xbf", b"\xc0", b"\xc1", b"\xf5", b"\xff"),
    *(b"\xc3\x28", b"\xc3\xc3", b"\xe0\x9f", b"\xe1\x28", b"\xe2\x82\x28", b"\xed\xa0"),
    *(b"\xf0\x8f", b"\xf0\x90\x28", b"\xf0\x9f\x98\x28", b"\xf4\x90"),
    "κόσμε".encode() + b"\xed\xbf",
)
NOISE = random.Random(7692).randbytes(20_000)
WITH_DEFLATE: dict[str, Any] = {"lines": (DEFLATE,), "needs": frozenset({"deflate"})}
BOTH: dict[str, Any] = {"lines": (DEFLATE,), "needs": frozenset({"deflate", "echo"})}
SMALL: dict[str, Any] = {"lines": (DEFLATE,), "needs": frozenset({"deflate", "max_size"})}


# RFC 7692 leaves the code open; ours is 1007.
failed = close(1007, 1002)


def text() -> Iterator[Row]:
    for bad in BAD_UTF8:
        name = bad.hex(" ")
        yield wrong("T01", name, lambda wire, bad=bad: wire.begun(TEXT, bad, 900), 1007)
        yield wrong(
            "T01",
            f"{name} later",
            lambda wire, bad=bad: wire.begun(TEXT, b"plain " * 100 + bad, 900),
            1007,
        )
        yield wrong(
            "T03",
            f"{name} in a fragment",
            lambda wire, bad=bad: wire.begun(TEXT, bad, 900, fin=False),
            1007,
        )
        for at in range(1, len(bad)):
            yield wrong(
                "T03",
                f"{name} split at {at}",
                lambda wire, bad=bad, at=at: (
                    wire.frame(TEXT, bad[:at], fin=False) + wire.begun(CONTINUATION, bad[at:], 900)
                ),
                1007,
            )
        if len(bad) > 1:
            yield wrong(
                "T03",
                f"{name} split around a ping",
                lambda wire, bad=bad: (
                    wire.frame(TEXT, bad[:-1], fin=False)
                    + wire.frame(PING, b"between")
                    + wire.frame(CONTINUATION, fin=False)
                    + wire.begun(CONTINUATION, bad[-1:], 900)
                ),
                1007,
            )
    for cut in (b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98"):
        name = cut.hex(" ")
        yield wrong(
            "T04",
            f"the end after {name}",
            lambda wire, cut=cut: wire.frame(TEXT, b"ok" + cut),
            1007,
        )
        yield wrong(
            "T04",
            f"an empty last fragment after {name}",
            lambda wire, cut=cut: wire.frame(TEXT, cut, fin=False) + wire.frame(CONTINUATION),
            1007,
        )
    characters = "€😀é".encode()
    yield right(
        "T02",
        "characters split between fragments",
        lambda wire: (
            b"".join(
                wire.frame(CONTINUATION if i else TEXT, characters[i : i + 1], fin=False)
                for i in range(len(characters))
            )
            + wire.frame(CONTINUATION)
        ),
        echo(characters),
        needs=frozenset({"echo"}),
    )
    outermost = "\U0010ffff\ud7ff\ue000\ufffe\0\x7f\x80".encode()
    yield right(
        "T02",
        "the outermost characters",
        lambda wire: wire.frame(TEXT, outermost),
        echo(outermost),
        needs=frozenset({"echo"}),
    )
    yield right(
        "T02",
        "bytes that are no text, in a binary message",
        lambda wire: wire.frame(BINARY, b"\xff\xc0"),
        echo(b"\xff\xc0", BINARY),
        needs=frozenset({"echo"}),
    )


def garbage() -> Iterator[Row]:
    cases: dict[str, bytes] = {
        "a reserved kind of block": b"\x06",
        "a stored block whose lengths differ": b"\x00\x05\x00\x00\x00hello",
        "too many codes": b"\xfd\xff\xff",
        "ones": b"\xff" * 20,
        "a zlib header": b"\x78\x9c\xcb\x48\xcd\xc9\xc9\x07\x00",
        "a gzip header": b"\x1f\x8b\x08\0\0\0\0\0\0\x03",
        "plain text": b"this is not compressed",
    }
    for title, payload in cases.items():
        yield Row(
            "D06",
            title,
            failed,
            lambda wire, payload=payload: wire.compressed(payload),
            opened=True,
            **WITH_DEFLATE,
        )
    yield Row(
        "D07",
        "a distance before the beginning",
        failed,
        lambda wire: wire.compressed(b"\x03\x02\x00"),
        opened=True,
        **WITH_DEFLATE,
    )
    hello = deflate(b"hello, hello, hello, hello")
    for size in range(1, len(hello) - 1):
        yield Row(
            "D10",
            f"{size} of {len(hello)} bytes",
            failed,
            lambda wire, size=size: wire.compressed(hello[:size], TEXT),
            opened=True,
            **WITH_DEFLATE,
        )


def deflated(id: str, title: str, send: Send, result: bytes, opcode: int = BINARY) -> Row:
    return Row(id, title, echo(result, opcode), send, opened=True, **BOTH)


TEXT_AND_DEFLATE = [
    *text(),
    Row(
        "D01",
        "a bomb: a thousand times what it is",
        close(1009),
        lambda wire: wire.compressed(deflate(bytes(32 * wire.max_size))[: wire.max_size]),
        opened=True,
        cuts=False,
        memory=lambda wire: 2 * wire.max_size + 2**16,
        **SMALL,
    ),
    Row(
        "D01",
        "a bomb of text in fragments",
        close(1009),
        lambda wire: (
            wire.frame(TEXT, deflate(b"a" * 32 * wire.max_size)[:200], fin=False, rsv=RSV1)
            + wire.frame(
                CONTINUATION, deflate(b"a" * 32 * wire.max_size)[200:][: wire.max_size - 200]
            )
        ),
        opened=True,
        cuts=False,
        memory=lambda wire: 2 * wire.max_size + 2**16,
        **SMALL,
    ),
    *(
        Row(
            "D02",
            f"{over} over max_size",
            close(1009),
            lambda wire, over=over: wire.compressed(deflate(bytes(wire.max_size + over))),
            opened=True,
            **SMALL,
        )
        for over in (1, 2)
    ),
    Row(
        "D02",
        "max_size",
        alive,
        lambda wire: wire.compressed(deflate(bytes(wire.max_size))),
        opened=True,
        **SMALL,
    ),
    Row(
        "D04",
        "stored blocks that are too long, of a text that is not",
        any_of(close(1009), alive),
        lambda wire: wire.compressed((stored(b"") * (wire.max_size // 5 + 1))[: wire.max_size + 1]),
        opened=True,
        **SMALL,
    ),
    *garbage(),
    deflated(
        "D08",
        "a final block, then another message",
        lambda wire: (
            wire.compressed(b"\x4b\x4c\x02\x00\x00"[:0] + stored(b"ab", final=True))
            + wire.compressed(deflate(b"next"))
        ),
        b"next",
    ),
    deflated(
        "D08",
        "a final block in the middle of a message",
        lambda wire: wire.compressed(stored(b"ab", final=True) + deflate(b"cd")),
        b"abcd",
    ),
    deflated(
        "D08",
        "a final block of fixed codes",
        lambda wire: wire.compressed(b"\xf3\x48\xcd\xc9\xc9\x07\x00" + b"\x00"),
        b"Hello",
    ),
    deflated("X03", "an empty message as one zero byte", lambda wire: wire.compressed(b"\0"), b""),
    deflated(
        "X03",
        "the tail that should have been taken away",
        lambda wire: wire.compressed(deflate(b"ab") + b"\0\0\xff\xff" + b"\0"),
        b"ab",
    ),
    deflated(
        "X03",
        "stored blocks",
        lambda wire: wire.compressed(stored(b"a") + stored(b"b") + b"\0"),
        b"ab",
    ),
    Row(
        "X03",
        "20,000 bytes that do not shrink",
        echo(NOISE, BINARY),
        lambda wire: wire.compressed(deflate(NOISE)),
        opened=True,
        size=len(NOISE),
        **BOTH,
    ),
    deflated(
        "X03",
        "a message that is not compressed",
        lambda wire: wire.frame(BINARY, b"plain"),
        b"plain",
    ),
    deflated(
        "X03",
        "fragments, with a ping between",
        lambda wire: (
            wire.frame(TEXT, deflate(b"hello")[:3], fin=False, rsv=RSV1)
            + wire.frame(PING)
            + wire.frame(CONTINUATION, deflate(b"hello")[3:])
        ),
        b"hello",
        TEXT,
    ),
    Row(
        "X04",
        "RSV1 on a continuation",
        close(1002),
        lambda wire: wire.frame(TEXT, deflate(b"hello")[:3], fin=False, rsv=RSV1) + b"\xc0",
        opened=True,
        proves=True,
        **WITH_DEFLATE,
    ),
    *(
        Row(
            "X04",
            f"RSV1 on control {opcode:#x}",
            close(1002),
            bytes([0xC0 | opcode]),
            opened=True,
            proves=True,
            **WITH_DEFLATE,
        )
        for opcode in (8, 9, 10)
    ),
    *(
        Row(
            "X04",
            f"RSV1 and others: {first:#x}",
            close(1002),
            bytes([first]),
            opened=True,
            proves=True,
            **WITH_DEFLATE,
        )
        for first in (0xA1, 0x91, 0xE1, 0xF1, 0xD2)
    ),
    Row(
        "X05",
        "a compressed text that is not UTF-8",
        close(1007),
        lambda wire: wire.compressed(deflate(b"ok\xff"), TEXT),
        opened=True,
        **WITH_DEFLATE,
    ),
    Row(
        "X05",
        "a compressed text cut off in a character",
        close(1007),
        lambda wire: wire.compressed(deflate("€".encode()[:2]), TEXT),
        opened=True,
        **WITH_DEFLATE,
    ),
    Row(
        "X05",
        "an empty compressed payload",
        any_of(close(1007), alive),
        lambda wire: wire.compressed(b""),
        opened=True,
        **WITH_DEFLATE,
    ),
]
