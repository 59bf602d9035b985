"""One message as many fragments: what the peer sees, and what others who send see of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from raw_peer import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, until, within

from wsproto_async import ConnectionClosed, ConnectionClosedError, State, WebSocket


def generator(*items: Any) -> Iterator[Any]:
    yield from items


async def async_generator(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item


class AsyncIterable:
    """Not an iterator itself."""

    def __init__(self, *items: Any) -> None:
        self.items = items

    def __aiter__(self) -> AsyncIterator[Any]:
        return async_generator(*self.items)


def fragments(opcode: int, *payloads: bytes) -> list[Frame]:
    opcodes = [opcode] + [CONTINUATION] * (len(payloads) - 1)
    frames = [Frame(*each, fin=False) for each in zip(opcodes, payloads, strict=True)]
    frames[-1] = frames[-1]._replace(fin=True)
    return frames


async def seen_of(ws: WebSocket, peer: Any) -> list[Frame]:
    """All frames that the peer has been sent."""
    waiter = await ws.ping(b"end")
    frames = []
    while (frame := await peer.read_frame()) != Frame(PING, b"end"):
        frames.append(frame)
    await peer.send_frame(PONG, b"end")
    await waiter
    return frames


async def test_frames(link: Callable) -> None:
    async with link() as (ws, peer):
        for message, text, frames in (
            (["one", "two", "three"], None, fragments(TEXT, b"one", b"two", b"three")),
            ((b"one", bytearray(b"two")), None, fragments(BINARY, b"one", b"two")),
            (generator("one", "two"), None, fragments(TEXT, b"one", b"two")),
            (iter([memoryview(b"one")]), None, fragments(BINARY, b"one")),
            (["one"], None, [Frame(TEXT, b"one")]),
            (["", ""], None, fragments(TEXT, b"", b"")),
            (["", "x", ""], None, fragments(TEXT, b"", b"x", b"")),
            ({"only": 1}.keys(), None, [Frame(TEXT, b"only")]),
            (["a", "b"], False, fragments(BINARY, b"a", b"b")),
            ([b"a", b"b"], True, fragments(TEXT, b"a", b"b")),
            (["a", b"b"], True, fragments(TEXT, b"a", b"b")),
            # RFC 6455 5.6: only the whole of a text has to be UTF-8.
            ([b"ab\xc3", b"\xa9"], True, fragments(TEXT, b"ab\xc3", b"\xa9")),
            (
                [b"\xe2", b"", b"\x82", b"\xac"],
                True,
                fragments(TEXT, b"\xe2", b"", b"\x82", b"\xac"),
            ),
            (async_generator(b"\xc3", b"\xa9"), True, fragments(TEXT, b"\xc3", b"\xa9", b"")),
            ([b"\xff"], False, [Frame(BINARY, b"\xff")]),
            ([b"a", "b"], False, fragments(BINARY, b"a", b"b")),
            # Nobody knows which item is the last: an empty fragment ends the message.
            (async_generator("one", "two"), None, fragments(TEXT, b"one", b"two", b"")),
            (AsyncIterable(b"one"), None, fragments(BINARY, b"one", b"")),
            (async_generator(b"a"), True, fragments(TEXT, b"a", b"")),
            (async_generator(memoryview(b"a")), None, fragments(BINARY, b"a", b"")),
            # No item, no message.
            ([], None, []),
            (generator(), None, []),
            (async_generator(), None, []),
        ):
            await ws.send(message, text)
            await ws.send("next")
            assert await seen_of(ws, peer) == [*frames, Frame(TEXT, b"next")]


async def test_fragments_go_out_as_they_come(link: Callable) -> None:
    steps: asyncio.Queue[str | None] = asyncio.Queue()

    async def step_by_step() -> AsyncIterator[str]:
        while (step := await steps.get()) is not None:
            yield step

    async with link() as (ws, peer):
        sending = asyncio.create_task(ws.send(step_by_step()))
        opcode = TEXT
        for step in ("one", "two", "three"):
            steps.put_nowait(step)
            assert await peer.read_frame() == Frame(opcode, step.encode(), fin=False)
            opcode = CONTINUATION
        assert not sending.done()
        steps.put_nowait(None)
        assert await peer.read_frame() == Frame(CONTINUATION, b"")
        await sending


class Slow:
    """Fragments that come when they are told to."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[str]:
        yield "first "
        await self.go_on.wait()
        yield "last"


async def test_other_messages_wait_and_control_frames_do_not(link: Callable) -> None:
    async with link() as (ws, peer):
        slow = Slow()
        sending = asyncio.create_task(ws.send(slow))
        assert await peer.read_frame() == Frame(TEXT, b"first ", fin=False)
        others = [
            asyncio.create_task(ws.send(other))
            for other in ("text", b"binary", ["a", "list"], async_generator("async"))
        ]
        await ws.ping(b"ping")
        await ws.pong(b"pong")
        await peer.send_frame(PING, b"theirs")
        assert await peer.read_frame() == Frame(PING, b"ping")
        assert await peer.read_frame() == Frame(PONG, b"pong")
        assert await peer.read_frame() == Frame(PONG, b"theirs")
        assert not any(task.done() for task in (sending, *others))
        slow.go_on.set()
        await within(5, asyncio.gather(sending, *others))
        assert await seen_of(ws, peer) == [
            Frame(CONTINUATION, b"last", fin=False),
            Frame(CONTINUATION, b""),
            Frame(TEXT, b"text"),
            Frame(BINARY, b"binary"),
            *fragments(TEXT, b"a", b"list"),
            *fragments(TEXT, b"async", b""),
        ]


async def test_a_cancelled_one_among_those_who_wait(link: Callable) -> None:
    """It has sent nothing, so the message under way is not its business."""
    async with link() as (ws, peer):
        slow = Slow()
        sending = asyncio.create_task(ws.send(slow))
        assert await peer.read_frame() == Frame(TEXT, b"first ", fin=False)
        waiting = [asyncio.create_task(ws.send(["other"])), asyncio.create_task(ws.send("another"))]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)
        slow.go_on.set()
        await within(5, sending)
        assert await seen_of(ws, peer) == fragments(CONTINUATION, b"last", b"")


async def broken(*items: Any) -> AsyncIterator[Any]:
    for item in items:
        yield item
    raise LookupError("broken")


def broken_sync(*items: Any) -> Iterator[Any]:
    yield from items
    raise LookupError("broken")


@pytest.mark.parametrize(
    ("message", "error", "frames"),
    [
        (lambda: broken("one"), LookupError, [Frame(TEXT, b"one", fin=False)]),
        (lambda: broken_sync("one", "two"), LookupError, [Frame(TEXT, b"one", fin=False)]),
        (lambda: ["one", b"two", "x"], TypeError, [Frame(TEXT, b"one", fin=False)]),
        (lambda: [b"one", "two"], TypeError, [Frame(BINARY, b"one", fin=False)]),
        (lambda: ["one", None], TypeError, [Frame(TEXT, b"one", fin=False)]),
        (lambda: ["one", "\ud800"], UnicodeError, [Frame(TEXT, b"one", fin=False)]),
    ],
)
async def test_an_error_in_the_middle_closes_with_1011(
    link: Callable, message: Callable[[], Any], error: type[Exception], frames: list[Frame]
) -> None:
    async with link() as (ws, peer):
        with pytest.raises(error):
            await ws.send(message())
        assert ws.state is State.CLOSING
        with pytest.raises(ConnectionClosedError, match="message broken off"):
            await ws.send("next")
        assert [await peer.read_frame() for _ in frames] == frames
        assert await peer.read_frame() == Frame(CLOSE, b"\x03\xf3message broken off")


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (lambda: [b"a\xc3", b"b"], b"a\xc3"),
        (lambda: [b"a\xc3", "\xe9"], b"a\xc3"),
        (lambda: [b"a", b"\xff", b"b"], b"a"),
        (lambda: ["\xe9", b"\xa9"], "\xe9".encode()),
        # Texts that end inside a character.
        (lambda: [b"a", b"\xc3"], b"a"),
        (lambda: async_generator(b"a\xc3"), b"a\xc3"),
    ],
)
async def test_what_is_not_utf8_never_leaves(
    link: Callable, message: Callable[[], Any], sent: bytes
) -> None:
    async with link() as (ws, peer):
        with pytest.raises(UnicodeError):
            await ws.send(message(), text=True)
        assert await peer.read_frame() == Frame(TEXT, sent, fin=False)
        assert (await peer.read_frame()).close_code == 1011


@pytest.mark.parametrize("kind", [generator, async_generator])
@pytest.mark.parametrize(("count", "size"), [(1000, 1), (8, 65536)])
async def test_others_get_their_turn_however_fast_it_goes(
    link: Callable, kind: Callable, count: int, size: int
) -> None:
    """No fragment has to wait, so nothing but send() itself lets the loop go on."""
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with link(write_limit=2**22) as (ws, _):
        counting = asyncio.create_task(count_turns())
        await asyncio.sleep(0)
        before = turns
        await ws.send(kind(*[bytes(size)] * count))
        assert turns - before >= 6
        counting.cancel()
        await asyncio.wait([counting])


async def test_the_kinds_of_fragments_must_not_change(link: Callable) -> None:
    async with link() as (ws, _):
        with pytest.raises(
            TypeError, match=r"^fragments of one message must be all str or all bytes-like$"
        ):
            await ws.send(["one", b"two"])


async def test_cancelling_in_the_middle_closes_with_1011(link: Callable) -> None:
    async with link() as (ws, peer):
        sending = asyncio.create_task(ws.send(Slow()))
        assert await peer.read_frame() == Frame(TEXT, b"first ", fin=False)
        waiting = asyncio.create_task(ws.send("other"))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        with pytest.raises(ConnectionClosedError):
            await within(5, waiting)
        assert await peer.read_frame() == Frame(CLOSE, b"\x03\xf3message broken off")


async def test_cancelling_at_the_gate_in_the_middle_closes_with_1011(link: Callable) -> None:
    big = bytes(2**20)
    async with link(small_buffers=True) as (ws, peer):
        sending = asyncio.create_task(ws.send([big, b"never"]))
        await until(lambda: ws.buffered_amount > 0)
        assert not sending.done()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert await peer.read_frame() == Frame(BINARY, big, fin=False)
        assert (await peer.read_frame()).close_code == 1011


async def test_an_error_before_anything_was_sent(link: Callable) -> None:
    async with link() as (ws, peer):
        for message, error in (
            (broken(), LookupError),
            (broken_sync(), LookupError),
            (broken_sync("looked at, not sent"), LookupError),
            ([None], TypeError),
            (async_generator(1, "two"), TypeError),
            (range(3), TypeError),
            (["\ud800"], UnicodeError),
        ):
            with pytest.raises(error):
                await ws.send(message)
        for message in ([b"\xff", b"a"], [b"\xc3"], async_generator(b"\xff")):
            with pytest.raises(UnicodeError):
                await ws.send(message, text=True)
        await ws.send("next")
        assert await seen_of(ws, peer) == [Frame(TEXT, b"next")]


async def test_cancelling_before_anything_was_sent(link: Callable) -> None:
    async def never() -> AsyncIterator[str]:
        await asyncio.Event().wait()
        yield "never"

    async with link() as (ws, peer):
        sending = asyncio.create_task(ws.send(never()))
        await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait([sending])
        await ws.send("next")
        assert await seen_of(ws, peer) == [Frame(TEXT, b"next")]


@pytest.mark.parametrize("end", ["close", "abort", "peer"])
async def test_the_connection_ends_in_the_middle(link: Callable, end: str) -> None:
    async with link() as (ws, peer):
        slow = Slow()
        sending = asyncio.create_task(ws.send(slow))
        waiting = asyncio.create_task(ws.send("other"))
        assert await peer.read_frame() == Frame(TEXT, b"first ", fin=False)
        if end == "close":
            closing = asyncio.create_task(ws.close(4000))
            assert (await peer.answer_close()).close_code == 4000
            await closing
        elif end == "abort":
            ws.abort()
        else:
            await peer.send_close(4000)
            assert (await peer.read_close()).close_code == 4000
        with pytest.raises(ConnectionClosed):
            await within(5, waiting)
        slow.go_on.set()
        with pytest.raises(ConnectionClosed):
            await within(5, sending)


async def test_on_a_closed_connection_no_item_is_asked_for(link: Callable) -> None:
    asked = []

    def items() -> Iterator[str]:
        asked.append(1)
        yield "x"

    async with link() as (ws, _):
        ws.abort()
        with pytest.raises(ConnectionClosed):
            await ws.send(items())
        with pytest.raises(ConnectionClosed):
            await ws.send([])
        assert not asked


async def test_what_is_no_iterable_of_data(link: Callable) -> None:
    async with link() as (ws, peer):
        for message in (None, 1, 1.5, True, {}, {"a": "b"}, object()):
            name = type(message).__name__
            with pytest.raises(
                TypeError,
                match=f"^message must be str, bytes-like or an iterable of such, not {name}$",
            ):
                await ws.send(message)
        await ws.send("next")
        assert await seen_of(ws, peer) == [Frame(TEXT, b"next")]
