"""Frames that break RFC 6455: the verdict falls at the first byte that proves it.

Each case ends with that byte. What the server answers must not need one more.
"""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

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
    close_frame,
    frame,
    frame_header,
    masked,
    raw_peer,
    within,
)

from wsproto_async import ConnectionClosedError, Server, State, WebSocket, serve

CLOSE_TIMEOUT = 0.2
MAX_SIZE = 1000
MAX_FRAGMENTS = 8


def begun(opcode: int, payload: bytes, *, length: int = 900, fin: bool = True) -> bytes:
    """A frame that announces `length` bytes and has only begun to arrive."""
    return frame_header(opcode, length, fin=fin) + masked(payload)


# Each ends at the byte that no valid UTF-8 can have there (Unicode 15, table 3-7).
BAD_UTF8 = (
    b"\x80",
    b"\xbf",
    b"\xc0",
    b"\xc1",
    b"\xf5",
    b"\xff",
    b"\xc3\x28",
    b"\xc3\xc3",
    b"\xe0\x9f",
    b"\xe1\x28",
    b"\xe2\x82\x28",
    b"\xed\xa0",
    b"\xf0\x8f",
    b"\xf0\x90\x28",
    b"\xf0\x9f\x98\x28",
    b"\xf4\x90",
    "κόσμε".encode() + b"\xed\xbf",
)
BAD_CLOSE_CODES = (
    *(0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999),
    *(2000, 2999, 5000, 9999, 65535),
)


def cases() -> Iterator[tuple[str, bytes, int]]:
    """(name, bytes, close code)."""
    for bit in (0x40, 0x20, 0x10, 0x70):
        yield f"reserved bits {bit:#x}", bytes([0x80 | bit | TEXT]), 1002
        yield f"reserved bits {bit:#x} of a ping", bytes([0x80 | bit | PING]), 1002
    for opcode in (*range(3, 8), *range(11, 16)):
        yield f"opcode {opcode}", bytes([0x80 | opcode]), 1002
        yield f"opcode {opcode} without fin", bytes([opcode]), 1002
    for opcode in (TEXT, BINARY, CLOSE, PING, PONG):
        yield f"unmasked {opcode}", frame_header(opcode, 5, masked=False), 1002
    yield "unmasked long", frame_header(BINARY, 500, masked=False)[:2], 1002

    for length in (0, 1, 125):
        yield f"{length} in 16 bits", b"\x82\xfe" + length.to_bytes(2, "big"), 1002
    # Six zero bytes are enough to know that 16 bits would have done.
    yield "length in 64 bits that fits in 16", b"\x82\xff" + bytes(6), 1002
    yield "length with its first bit set", b"\x82\xff\x80", 1002
    yield "length 2**64 - 1", b"\x82\xff\xff", 1002
    yield "ping with its length's first bit set", b"\x89\xff", 1002

    for opcode in (CLOSE, PING, PONG):
        yield f"control {opcode} over 125 bytes", bytes([0x80 | opcode, 0xFE]), 1002
        yield f"control {opcode} over 65535 bytes", bytes([0x80 | opcode, 0xFF]), 1002
        yield f"control {opcode} fragmented", bytes([opcode]), 1002

    yield "continuation first", bytes([0x80 | CONTINUATION]), 1002
    yield "continuation first, unfinished", bytes([CONTINUATION]), 1002
    yield "continuation after a message", frame(TEXT, b"a") + bytes([0x80]), 1002
    yield "continuation after a ping", frame(PING) + bytes([0x80]), 1002
    for opcode in (TEXT, BINARY):
        for first in (TEXT, BINARY):
            inside = frame(first, b"a", fin=False) + bytes([0x80 | opcode])
            yield f"{opcode} inside a fragmented {first}", inside, 1002
    after_ping = frame(TEXT, b"a", fin=False) + frame(PING, b"p") + bytes([TEXT])
    yield "text inside a fragmented message, after a ping", after_ping, 1002

    yield "close with one byte", b"\x88\x81", 1002
    for code in BAD_CLOSE_CODES:
        yield f"close code {code}", close_frame(code), 1002
    yield "bad close code with a reason", close_frame(1005, b"bye"), 1002
    yield "close reason not UTF-8", close_frame(1000, b"bye\xff"), 1007
    yield "close reason cut off", close_frame(1000, "€".encode()[:2]), 1007

    for bad in BAD_UTF8:
        name = bad.hex(" ")
        yield f"text {name}", begun(TEXT, bad), 1007
        yield f"text with {name} later", begun(TEXT, b"plain " * 100 + bad), 1007
        yield f"text {name} in an unfinished fragment", begun(TEXT, bad, fin=False), 1007
        if len(bad) > 1:
            split = frame(TEXT, bad[:-1], fin=False) + begun(CONTINUATION, bad[-1:])
            yield f"text {name} split", split, 1007
            split = (
                frame(TEXT, bad[:-1], fin=False)
                + frame(PING, b"between")
                + frame(CONTINUATION, b"", fin=False)
                + begun(CONTINUATION, bad[-1:])
            )
            yield f"text {name} split around a ping", split, 1007
    for cut in (b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98"):
        yield f"text cut off at {cut.hex(' ')}", frame(TEXT, b"ok" + cut), 1007
        last = frame(TEXT, cut, fin=False) + frame(CONTINUATION)[:2]
        yield f"text cut off at {cut.hex(' ')} by an empty fragment", last + bytes(4), 1007

    yield "2**62 bytes", b"\x82\xff" + (2**62).to_bytes(8, "big"), 1009
    yield "2**62 bytes of text", b"\x81\xff" + (2**62).to_bytes(8, "big"), 1009
    yield "one byte over max_size", frame_header(BINARY, MAX_SIZE + 1), 1009
    yield "one byte over 65535", frame_header(BINARY, 65536), 1009
    fragments = frame(BINARY, bytes(600), fin=False)
    yield "fragments over max_size", fragments + frame_header(CONTINUATION, 401), 1009
    fragments += frame(CONTINUATION, bytes(400), fin=False)
    yield "one more byte than max_size", fragments + frame_header(CONTINUATION, 1), 1009
    fragments = frame(BINARY, fin=False) + frame(CONTINUATION, fin=False) * (MAX_FRAGMENTS - 1)
    yield "one fragment too many", fragments + frame_header(CONTINUATION, 0), 1008


CASES = [pytest.param(data, code, id=name) for name, data, code in cases()]

# One of each kind, for what is the same after every failure.
SOME = [
    pytest.param(b"\xc1", 1002, id="reserved bit"),
    pytest.param(begun(TEXT, b"\xff"), 1007, id="bad UTF-8"),
    pytest.param(frame_header(BINARY, MAX_SIZE + 1), 1009, id="too big"),
    pytest.param(frame_header(CLOSE, 1), 1002, id="half a close code"),
]


class Accepted:
    """A server with one connection, which it echoes, and how that connection ended."""

    def __init__(self) -> None:
        self.ws: WebSocket | None = None
        self.server: Server | None = None
        self.error: BaseException | None = None
        self.done = asyncio.Event()

    async def handler(self, ws: WebSocket) -> None:
        self.ws = ws
        try:
            while True:
                await ws.send(await ws.recv())
        except Exception as exc:
            self.error = exc
        self.done.set()


@asynccontextmanager
async def accepted() -> AsyncIterator[tuple[RawPeer, Accepted]]:
    state = Accepted()
    async with (
        serve(
            state.handler,
            0,
            close_timeout=CLOSE_TIMEOUT,
            max_size=MAX_SIZE,
            max_fragments=MAX_FRAGMENTS,
        ) as server,
        raw_peer(server.port) as peer,
    ):
        state.server = server
        yield peer, state


@pytest.mark.parametrize(("data", "code"), CASES)
async def test_verdict_at_the_first_byte_that_proves_it(data: bytes, code: int) -> None:
    """Whole and byte by byte; until the last byte the connection is open."""
    for split in (False, True):
        async with accepted() as (peer, state):
            if split:
                await peer.send_pieces(data[:-1])
                assert state.ws.state is State.OPEN
                await peer.send(data[-1:])
            else:
                await peer.send(data)
            assert (await peer.read_close()).close_code == code
            peer.finish()
            assert await within(CLOSE_TIMEOUT, peer.read_eof()) == b""
            await within(CLOSE_TIMEOUT, state.done.wait())
            assert type(state.error) is ConnectionClosedError
            assert state.error.sent.code == code


@pytest.mark.parametrize(("data", "code"), SOME)
async def test_a_silent_peer_is_dropped_after_the_verdict(data: bytes, code: int) -> None:
    async with accepted() as (peer, state):
        await peer.send(data)
        start = time.monotonic()
        assert (await peer.read_close()).close_code == code
        assert await within(CLOSE_TIMEOUT, peer.read_eof()) == b""
        await within(CLOSE_TIMEOUT, state.done.wait())
        assert time.monotonic() - start < CLOSE_TIMEOUT + 2
        assert not state.server.connections


@pytest.mark.parametrize(("data", "code"), SOME)
async def test_a_chatty_peer_is_dropped_after_the_verdict(data: bytes, code: int) -> None:
    """What follows is dropped unread: valid frames are not echoed, and memory stays flat."""
    noise = frame(TEXT, b"hello") * 5_000 + bytes(50_000)
    async with accepted() as (peer, state):
        await peer.send(data)
        assert (await peer.read_close()).close_code == code
        tracemalloc.start()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT + 2):
                while True:
                    await peer.send(noise)
                    await asyncio.sleep(0)
        except ConnectionError:
            pass  # the server hung up, as it must
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 2**20
        await within(CLOSE_TIMEOUT, state.done.wait())
        assert state.error.sent.code == code


async def test_the_failure_is_not_repeated() -> None:
    async with accepted() as (peer, _):
        await peer.send(b"\xc1" * 100 + frame(TEXT, b"two") + b"\xc1")
        assert (await peer.read_message()).close_code == 1002
        assert await within(CLOSE_TIMEOUT, peer.read_eof()) == b""


VALID = [
    pytest.param(frame(BINARY, bytes(MAX_SIZE)), Frame(BINARY, bytes(MAX_SIZE)), id="max_size"),
    pytest.param(
        frame(BINARY, bytes(600), fin=False) + frame(CONTINUATION, bytes(400)),
        Frame(BINARY, bytes(MAX_SIZE)),
        id="fragments of max_size",
    ),
    pytest.param(
        frame(TEXT, fin=False)
        + (frame(PING) + frame(CONTINUATION, fin=False)) * (MAX_FRAGMENTS - 2)
        + frame(CONTINUATION, b"end"),
        Frame(TEXT, b"end"),
        id="max_fragments",
    ),
    pytest.param(
        b"".join(
            frame(CONTINUATION if index else TEXT, bytes([byte]), fin=False)
            for index, byte in enumerate("€😀".encode())
        )
        + frame(CONTINUATION),
        Frame(TEXT, "€😀".encode()),
        id="characters split between fragments",
    ),
    pytest.param(
        frame(TEXT, "\U0010ffff\ud7ff\ue000\0".encode()),
        Frame(TEXT, "\U0010ffff\ud7ff\ue000\0".encode()),
        id="the outermost characters",
    ),
    pytest.param(frame(TEXT), Frame(TEXT, b""), id="empty"),
    pytest.param(
        frame_header(BINARY, 126) + masked(bytes(126)), Frame(BINARY, bytes(126)), id="126"
    ),
]


@pytest.mark.parametrize("split", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(("data", "expected"), VALID)
async def test_what_is_just_allowed(data: bytes, expected: Frame, split: bool) -> None:
    async with accepted() as (peer, state):
        await (peer.send_pieces if split else peer.send)(data)
        while (message := await peer.read_message()).opcode == PONG:
            pass
        assert message == expected
        assert state.ws.state is State.OPEN


@pytest.mark.parametrize("split", [False, True], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1011, 1014, 3000, 3999, 4000, 4999])
async def test_close_codes_that_may_be_sent_are_answered(code: int, split: bool) -> None:
    async with accepted() as (peer, state):
        await (peer.send_pieces if split else peer.send)(close_frame(code, "€".encode()))
        assert (await peer.read_message()).close_code == code
        assert await within(CLOSE_TIMEOUT, peer.read_eof()) == b""
        await within(CLOSE_TIMEOUT, state.done.wait())
        assert (state.ws.close_code, state.ws.close_reason) == (code, "€")


async def test_a_close_inside_a_fragmented_message_is_answered() -> None:
    async with accepted() as (peer, state):
        await peer.send(frame(TEXT, b"never ended", fin=False) + close_frame(1000))
        assert (await peer.read_message()).close_code == 1000
        assert await within(CLOSE_TIMEOUT, peer.read_eof()) == b""
        await within(CLOSE_TIMEOUT, state.done.wait())
        assert state.ws.close_code == 1000


async def test_an_empty_close_is_1005() -> None:
    async with accepted() as (peer, state):
        await peer.send(frame(CLOSE))
        assert (await peer.read_message()).opcode == CLOSE
        assert await within(CLOSE_TIMEOUT, peer.read_eof()) == b""
        await within(CLOSE_TIMEOUT, state.done.wait())
        assert state.ws.close_code == 1005


async def test_pings_are_answered_in_the_middle_of_a_fragmented_message() -> None:
    async with accepted() as (peer, _):
        await peer.send(frame(TEXT, b"a", fin=False))
        for payload in (b"", b"p", bytes(range(125))):
            await peer.send(frame(PING, payload))
            assert await peer.read_message() == Frame(PONG, payload)
        await peer.send(frame(CONTINUATION, b"b"))
        assert await peer.read_message() == Frame(TEXT, b"ab")
