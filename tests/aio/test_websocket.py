"""What a handler, or a client, holds in its hands; every test runs on a server and on a client."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import time
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import UUID

import pytest
from raw_peer import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, until, within

from wsproto_async import (
    Close,
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidState,
    State,
    WebSocket,
    connect,
    serve,
)

MIXED = "aé€😀"


async def closed_by(ws: WebSocket) -> ConnectionClosed:
    """The exception that recv() raises at the end."""
    async with asyncio.timeout(10):
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                await ws.recv()
    return caught.value


# Receiving


async def test_recv(link: Callable) -> None:
    async with link() as (ws, peer):
        for opcode, payload, decode, message in (
            (TEXT, MIXED.encode(), None, MIXED),
            (TEXT, MIXED.encode(), True, MIXED),
            (TEXT, MIXED.encode(), False, MIXED.encode()),
            (BINARY, MIXED.encode(), None, MIXED.encode()),
            (BINARY, MIXED.encode(), True, MIXED),
            (BINARY, b"\xff", False, b"\xff"),
            (TEXT, b"", None, ""),
            (BINARY, b"", None, b""),
        ):
            receiving = asyncio.create_task(ws.recv(decode))
            await asyncio.sleep(0)
            await peer.send_frame(opcode, payload)
            assert await receiving == message
            await peer.send_frame(opcode, payload)
            assert await ws.recv(decode=decode) == message


async def test_messages_come_in_order_and_whole(link: Callable) -> None:
    async with link() as (ws, peer):
        frames = [peer.frame(TEXT, b"%d" % number) for number in range(1000)]
        frames.append(peer.frame(BINARY, b"frag", fin=False))
        frames.append(peer.frame(CONTINUATION, b"", fin=False))
        frames.append(peer.frame(CONTINUATION, b"ments"))
        sending = asyncio.create_task(peer.send(b"".join(frames)))
        assert [await ws.recv() for _ in range(1000)] == [str(number) for number in range(1000)]
        assert await ws.recv() == b"fragments"
        await sending


async def test_a_message_that_cannot_be_decoded_can_be_received_otherwise(link: Callable) -> None:
    async with link() as (ws, peer):
        await peer.send(peer.frame(BINARY, b"\xff") + peer.frame(TEXT, b"next"))
        for _ in range(2):
            with pytest.raises(UnicodeDecodeError):
                await ws.recv(decode=True)
        assert await ws.recv() == b"\xff"
        assert await ws.recv(decode=True) == "next"


async def iterate(ws: WebSocket) -> None:
    async for _ in ws:
        pass


async def stream(ws: WebSocket) -> list[str | bytes]:
    return [piece async for piece in ws.recv_streaming()]


@pytest.mark.parametrize("first", [WebSocket.recv, stream])
async def test_one_task_at_a_time_may_receive(link: Callable, first: Callable) -> None:
    async with link() as (ws, peer):
        receiving = asyncio.create_task(first(ws))
        await asyncio.sleep(0)
        for second in (WebSocket.recv, iterate, stream, WebSocket.recv):
            with pytest.raises(
                ConcurrencyError,
                match=r"^another task is receiving from this connection already$",
            ):
                await second(ws)
        await peer.send_frame(TEXT, b"for the first")
        assert await receiving in ("for the first", ["for the first"])
        await peer.send_frame(TEXT, b"next")
        assert await ws.recv() == "next"


async def test_cancelling_recv_loses_nothing(link: Callable) -> None:
    async with link() as (ws, peer):
        for number in range(20):
            receiving = asyncio.create_task(ws.recv())
            for _ in range(number % 4):
                await asyncio.sleep(0)
            receiving.cancel()
            await asyncio.wait([receiving])
            assert receiving.cancelled()
        await peer.send(peer.frame(TEXT, b"one") + peer.frame(TEXT, b"two"))
        assert [await ws.recv(), await ws.recv()] == ["one", "two"]


@contextmanager
def when_readable(callback: Callable[[], object]) -> Iterator[Callable[[], object]]:
    """Give a function that makes the loop call back as soon as it looks at its sockets.

    Sockets that become readable between two looks are served in one turn, in that order.
    """
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        loop.add_reader(ours, callback)
        try:
            yield lambda: theirs.send(b"x")
        finally:
            loop.remove_reader(ours)


@pytest.mark.parametrize("message_first", [True, False])
@pytest.mark.parametrize("receive", [WebSocket.recv, stream])
async def test_cancelling_recv_in_the_turn_in_which_a_message_arrives(
    link: Callable, receive: Callable, message_first: bool
) -> None:
    async with link() as (ws, peer):
        receiving = asyncio.create_task(receive(ws))
        await asyncio.sleep(0)
        with when_readable(receiving.cancel) as cancel:
            if not message_first:
                cancel()
            peer.sock.send(peer.frame(TEXT, b"kept"))
            if message_first:
                cancel()
            await asyncio.wait([receiving])
        received = receive(ws) if receiving.cancelled() else receiving
        assert await within(5, received) in ("kept", ["kept"])


async def test_async_for_ends_with_the_connection(link: Callable) -> None:
    async with link() as (ws, peer):
        await peer.send(peer.frame(TEXT, b"one") + peer.frame(BINARY, b"two"))
        await peer.send_close(1001)
        assert [message async for message in ws] == ["one", b"two"]
        assert [message async for message in ws] == []


async def test_async_for_tells_of_errors(link: Callable) -> None:
    async with link() as (ws, peer):
        await peer.send(peer.frame(TEXT, b"one") + peer.close_frame(4000, b"why"))
        messages = []
        with pytest.raises(ConnectionClosedError, match="4000"):
            async for message in ws:
                messages.append(message)
        assert messages == ["one"]


async def test_what_arrived_before_the_close_is_received_after_it(link: Callable) -> None:
    async with link() as (ws, peer):
        for number in range(10):
            await peer.send_frame(TEXT, b"%d" % number)
        await peer.send_close()
        await peer.read_close()
        peer.sock.close()
        await within(5, ws.wait_closed())
        assert ws.state is State.CLOSED
        assert [await ws.recv() for _ in range(10)] == [str(number) for number in range(10)]
        for _ in range(2):
            with pytest.raises(ConnectionClosedOK):
                await ws.recv()


async def test_what_arrived_before_a_reset_is_received_after_it(
    link: Callable, reset: Callable
) -> None:
    async with link() as (ws, peer):
        await peer.send(peer.frame(TEXT, b"x" * 100) * 10)
        # All of them are in: what is still in the kernel may be lost with the connection.
        assert await ws.recv() == "x" * 100
        reset(peer.sock)
        await within(5, ws.wait_closed())
        assert [await ws.recv() for _ in range(9)] == ["x" * 100] * 9
        with pytest.raises(ConnectionClosedError, match=r"^no close frame received or sent$"):
            await ws.recv()


async def test_more_than_the_queue_holds_arrives_before_the_close(link: Callable) -> None:
    """The Close frame is seen in its turn, and answered then."""
    async with link() as (ws, peer):
        await peer.send(peer.frame(TEXT, b"x") * 500 + peer.close_frame(1000, b"bye"))
        closing = asyncio.create_task(peer.answer_close())
        assert [message async for message in ws] == ["x"] * 500
        await closing
        await within(5, ws.wait_closed())
        assert (ws.close_code, ws.close_reason) == (1000, "bye")


# The end, as exceptions tell it


async def peer_closes(ws: WebSocket, peer: Any, code: int | None, reason: bytes = b"") -> None:
    await peer.send(peer.frame(CLOSE) if code is None else peer.close_frame(code, reason))
    await peer.read_close()
    peer.sock.close()


async def we_close(ws: WebSocket, peer: Any, code: int, answer: int) -> None:
    closing = asyncio.create_task(ws.close(code, "ours"))
    await peer.read_close()
    await peer.send_close(answer, b"theirs")
    if peer.is_client:
        await peer.read_eof()
    peer.sock.close()
    await closing


async def cut_off(ws: WebSocket, peer: Any) -> None:
    peer.sock.close()


async def cut_off_while_closing(ws: WebSocket, peer: Any) -> None:
    closing = asyncio.create_task(ws.close(1000, "ours"))
    await peer.read_close()
    peer.sock.close()
    await closing


async def break_the_rules(ws: WebSocket, peer: Any) -> None:
    await peer.send(b"\xf1\x00")
    await peer.read_close()
    peer.sock.close()


@pytest.mark.parametrize(
    ("end", "kind", "received", "sent", "text"),
    [
        (
            lambda *link: peer_closes(*link, 1000, b"bye"),
            ConnectionClosedOK,
            Close(1000, "bye"),
            Close(1000, "bye"),
            "received 1000 (OK) bye; then sent 1000 (OK) bye",
        ),
        (
            lambda *link: peer_closes(*link, 1001),
            ConnectionClosedOK,
            Close(1001),
            Close(1001),
            "received 1001 (going away); then sent 1001 (going away)",
        ),
        (
            lambda *link: peer_closes(*link, None),
            ConnectionClosedOK,
            Close(1005),
            Close(1005),
            "received 1005 (no status received); then sent 1005 (no status received)",
        ),
        (
            lambda *link: peer_closes(*link, 4000, b"why"),
            ConnectionClosedError,
            Close(4000, "why"),
            Close(4000, "why"),
            "received 4000 (private use) why; then sent 4000 (private use) why",
        ),
        (
            lambda *link: we_close(*link, 1001, 1000),
            ConnectionClosedOK,
            Close(1000, "theirs"),
            Close(1001, "ours"),
            "sent 1001 (going away) ours; then received 1000 (OK) theirs",
        ),
        (
            lambda *link: we_close(*link, 1000, 3000),
            ConnectionClosedError,
            Close(3000, "theirs"),
            Close(1000, "ours"),
            "sent 1000 (OK) ours; then received 3000 (registered) theirs",
        ),
        (
            lambda *link: we_close(*link, 1011, 1000),
            ConnectionClosedError,
            Close(1000, "theirs"),
            Close(1011, "ours"),
            "sent 1011 (internal error) ours; then received 1000 (OK) theirs",
        ),
        (cut_off, ConnectionClosedError, None, None, "no close frame received or sent"),
        (
            cut_off_while_closing,
            ConnectionClosedError,
            None,
            Close(1000, "ours"),
            "no close frame received; sent 1000 (OK) ours",
        ),
        (
            break_the_rules,
            ConnectionClosedError,
            None,
            Close(1002, "reserved bits are set"),
            "no close frame received; sent 1002 (protocol error) reserved bits are set",
        ),
    ],
    ids=[
        "peer 1000",
        "peer 1001",
        "peer without a code",
        "peer 4000",
        "we 1001",
        "we, answered 3000",
        "we 1011",
        "cut off",
        "cut off while closing",
        "protocol error",
    ],
)
async def test_the_exception_tells_the_end(
    link: Callable,
    end: Callable,
    kind: type[ConnectionClosed],
    received: Close | None,
    sent: Close | None,
    text: str,
) -> None:
    async with link() as (ws, peer):
        await end(ws, peer)
        exc = await closed_by(ws)
        assert type(exc) is kind
        assert (exc.received, exc.sent) == (received, sent)
        code, reason = (received.code, received.reason) if received else (1006, "")
        assert (exc.code, exc.reason) == (code, reason)
        assert str(exc) == text
        await within(5, ws.wait_closed())
        assert ws.state is State.CLOSED
        assert (ws.close_code, ws.close_reason) == (code, reason)
        calls = [ws.send("x"), ws.send(["x", "y"]), ws.ping(), ws.pong(), ws.recv()]
        for call in (*calls, stream(ws)):
            with pytest.raises(kind) as caught:
                await call
            assert str(caught.value) == text


# Receiving piece by piece


@asynccontextmanager
async def pieces_of(ws: WebSocket) -> AsyncIterator[Callable]:
    """Give a function that awaits the next piece, None at the end."""
    async with contextlib.aclosing(ws.recv_streaming()) as pieces:

        async def following() -> str | bytes | None:
            async with asyncio.timeout(10):
                return await anext(pieces, None)

        yield following


@pytest.mark.parametrize(("opcode", "empty"), [(TEXT, ""), (BINARY, b"")])
async def test_streaming_a_whole_message(link: Callable, opcode: int, empty: str | bytes) -> None:
    message = "whole" if opcode == TEXT else b"whole"
    async with link() as (ws, peer):
        await peer.send(
            peer.frame(opcode, b"whole") + peer.frame(opcode) + peer.frame(opcode, b"x")
        )
        assert await stream(ws) == [message]
        assert await stream(ws) == [empty]
        assert await ws.recv() in ("x", b"x")


async def test_pieces_may_be_smaller_than_frames(link: Callable) -> None:
    async with link() as (ws, peer), pieces_of(ws) as following:
        frame = peer.frame(BINARY, b"0123456789")
        await peer.send(frame[:-6])
        assert await following() == b"0123"
        await peer.send(frame[-6:-1])
        assert await following() == b"45678"
        await peer.send(frame[-1:])
        assert await following() == b"9"
        assert await following() is None


async def test_pieces_may_be_larger_than_frames(link: Callable) -> None:
    async with link() as (ws, peer):
        await peer.send_frame(TEXT, b"one ", fin=False)
        await peer.send_frame(CONTINUATION, b"two ", fin=False)
        await peer.send_frame(PING, b"seen both")
        assert await peer.read_frame() == Frame(PONG, b"seen both")
        async with pieces_of(ws) as following:
            assert await following() == "one two "
            await peer.send(peer.frame(CONTINUATION, b"three") + peer.frame(TEXT, b"next"))
            assert await following() == "three"
            assert await following() is None
        assert await ws.recv() == "next"


@pytest.mark.parametrize("fragmented", [True, False])
async def test_a_character_is_not_split(link: Callable, fragmented: bool) -> None:
    payload = MIXED.encode()
    async with link() as (ws, peer), pieces_of(ws) as following:
        if fragmented:
            steps = [peer.frame(TEXT, payload[:1], fin=False)]
            steps += [
                peer.frame(CONTINUATION, payload[at : at + 1], fin=at == len(payload) - 1)
                for at in range(1, len(payload))
            ]
        else:
            frame = peer.frame(TEXT, payload)
            first = len(frame) - len(payload) + 1
            steps = [frame[:first], *(frame[at : at + 1] for at in range(first, len(frame)))]
        pieces = []
        for step, _ in enumerate(steps):
            await peer.send(steps[step])
            if len(payload[: step + 1].decode(errors="ignore")) > len("".join(pieces)):
                pieces.append(await following())
        assert pieces == list(MIXED)
        assert await following() is None


async def test_the_last_piece_is_left_out_if_it_is_empty(link: Callable) -> None:
    async with link() as (ws, peer), pieces_of(ws) as following:
        await peer.send_frame(TEXT, b"all", fin=False)
        assert await following() == "all"
        await peer.send_frame(CONTINUATION)
        assert await following() is None


async def test_a_message_left_in_the_middle_is_resumed(link: Callable) -> None:
    async with link() as (ws, peer):
        await peer.send_frame(TEXT, b"one ", fin=False)
        async for piece in ws.recv_streaming():
            assert piece == "one "
            break
        for receive in (WebSocket.recv, iterate):
            with pytest.raises(
                InvalidState,
                match=r"^recv_streaming\(\) has begun a message: it has to end it$",
            ):
                await receive(ws)
        await peer.send(peer.frame(CONTINUATION, b"two") + peer.frame(TEXT, b"next"))
        assert await stream(ws) == ["two"]
        assert await ws.recv() == "next"


async def test_a_message_cancelled_in_the_middle_is_resumed(link: Callable) -> None:
    pieces = []

    async def collect(ws: WebSocket) -> None:
        async for piece in ws.recv_streaming():
            pieces.append(piece)

    async with link() as (ws, peer):
        await peer.send_frame(BINARY, b"one ", fin=False)
        collecting = asyncio.create_task(collect(ws))
        await until(lambda: pieces)
        collecting.cancel()
        await asyncio.wait([collecting])
        await peer.send_frame(CONTINUATION, b"two ", fin=False)
        await peer.send_frame(CONTINUATION, b"three")
        await within(5, collect(ws))
        assert b"".join(pieces) == b"one two three"


async def test_streaming_left_before_the_first_piece_changes_nothing(link: Callable) -> None:
    async with link() as (ws, peer):
        collecting = asyncio.create_task(stream(ws))
        await asyncio.sleep(0)
        collecting.cancel()
        await asyncio.wait([collecting])
        await peer.send_frame(TEXT, b"whole")
        assert await ws.recv() == "whole"


async def close_in_the_middle(peer: Any) -> None:
    await peer.send_close(1000)
    await peer.read_close()
    peer.sock.close()


async def end_in_the_middle(peer: Any) -> None:
    peer.sock.close()


@pytest.mark.parametrize("end", [close_in_the_middle, end_in_the_middle])
async def test_a_message_that_is_cut_off(link: Callable, end: Callable) -> None:
    """A part of it was received: even a clean close is an error then."""
    async with link() as (ws, peer):
        await peer.send_frame(TEXT, b"half of ", fin=False)
        async with pieces_of(ws) as following:
            assert await following() == "half of "
            await end(peer)
            with pytest.raises(ConnectionClosedError):
                await following()


@pytest.mark.parametrize("end", [close_in_the_middle, end_in_the_middle])
async def test_after_a_message_that_is_cut_off_the_connection_is_closed(
    link: Callable, end: Callable
) -> None:
    """There is nothing left to resume, so there is nothing else to say."""
    async with link() as (ws, peer):
        await peer.send_frame(TEXT, b"half of ", fin=False)
        async with pieces_of(ws) as following:
            assert await following() == "half of "
            await end(peer)
            with pytest.raises(ConnectionClosed):
                await following()
        for receive in (WebSocket.recv, stream):
            with pytest.raises(ConnectionClosed):
                await receive(ws)


async def test_a_message_of_any_size_passes_in_bounded_memory() -> None:
    """64 MiB, in fragments and then in one frame; the sender waits for the slow reader."""
    size = 2**26
    chunk = bytes(2**16)
    taken = 0

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(size // len(chunk)):
            yield chunk

    async def handler(ws: WebSocket) -> None:
        await ws.send(chunks())

    async with (
        serve(handler, 0) as server,
        connect(
            f"ws://127.0.0.1:{server.port}", max_size=None, max_fragments=None, read_limit=2**17
        ) as ws,
    ):
        gc.collect()
        tracemalloc.start()
        try:
            turn = 0
            async for piece in ws.recv_streaming():
                taken += len(piece)
                turn += 1
                if turn % 16 == 0:  # others' turn: they fill whatever is allowed to be full
                    for _ in range(16):
                        await asyncio.sleep(0)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert taken == size
    assert peak < 2**21


async def test_one_frame_of_any_size_passes_in_bounded_memory(client_link: Callable) -> None:
    size = 2**26
    chunk = bytes(2**16)

    async def send_all(peer: Any) -> None:
        await peer.send(b"\x82\x7f" + size.to_bytes(8, "big"))
        for _ in range(size // len(chunk)):
            await peer.send(chunk)

    async with client_link(max_size=None) as (ws, peer):
        tracemalloc.start()
        try:
            sending = asyncio.create_task(send_all(peer))
            taken = 0
            async for piece in ws.recv_streaming():
                taken += len(piece)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        await sending
    assert taken == size
    assert peak < 2**21


async def test_nobody_asks_for_the_next_piece_so_the_peer_waits(server_link: Callable) -> None:
    read_limit = 2**14
    async with server_link(max_size=None, read_limit=read_limit, small_buffers=True) as (ws, peer):
        frame = peer.frame(BINARY, bytes(2**23))
        sending = asyncio.create_task(peer.send(frame))
        async with pieces_of(ws) as following:
            taken = len(await following())
            await asyncio.wait([sending], timeout=0.1)
            assert not sending.done()  # 8 MiB do not fit anywhere on the way
            largest = 0
            while (piece := await following()) is not None:
                largest = max(largest, len(piece))
                taken += len(piece)
        await sending
        assert taken == 2**23
        assert largest < read_limit + 2**18 + 1  # and one read of the transport


# Sending


async def test_send(link: Callable) -> None:
    async with link() as (ws, peer):
        for message, text, frame in (
            (MIXED, None, Frame(TEXT, MIXED.encode())),
            (MIXED, True, Frame(TEXT, MIXED.encode())),
            (MIXED, False, Frame(BINARY, MIXED.encode())),
            (b"\xff", None, Frame(BINARY, b"\xff")),
            (b"\xff", False, Frame(BINARY, b"\xff")),
            (MIXED.encode(), True, Frame(TEXT, MIXED.encode())),
            (bytearray(b"array"), None, Frame(BINARY, b"array")),
            (memoryview(b"a view")[2:], None, Frame(BINARY, b"view")),
            (memoryview(b"a view"), True, Frame(TEXT, b"a view")),
            ("", None, Frame(TEXT, b"")),
            (b"", None, Frame(BINARY, b"")),
            (bytes(70_000), None, Frame(BINARY, bytes(70_000))),
        ):
            await ws.send(message, text)
            assert await peer.read_frame() == frame
            await ws.send(message, text=text)
            assert await peer.read_frame() == frame


async def test_what_cannot_be_sent(link: Callable) -> None:
    """An iterable of data is told from data, and from what is neither."""
    async with link() as (ws, peer):
        for message, error in (
            (None, "message must be str, bytes-like or an iterable of such, not NoneType"),
            (1, "message must be str, bytes-like or an iterable of such, not int"),
            ({"a": "b"}, "message must be str, bytes-like or an iterable of such, not dict"),
            (object(), "message must be str, bytes-like or an iterable of such, not object"),
            ([1], "data must be str or bytes-like, not int"),
            ([None, "x"], "data must be str or bytes-like, not NoneType"),
            ([["x"]], "data must be str or bytes-like, not list"),
        ):
            with pytest.raises(TypeError, match=f"^{error}$"):
                await ws.send(message)
            assert ws.buffered_amount == 0
        for message, text in (("\ud800", None), (b"\xff", True), (["\ud800", "x"], None)):
            with pytest.raises(UnicodeError):
                await ws.send(message, text)
        await ws.send("next")
        assert await peer.read_frame() == Frame(TEXT, b"next")


# Pings


async def test_ping(link: Callable) -> None:
    async with link() as (ws, peer):
        assert ws.latency == 0.0
        for data in (b"payload", "text €", bytearray(b"array"), b"", b"x" * 125):
            payload = data.encode() if isinstance(data, str) else bytes(data)
            waiter = await ws.ping(data)
            assert await peer.read_frame() == Frame(PING, payload)
            await peer.send_frame(PONG, payload)
            latency = await waiter
            assert 0 < latency < 5
            assert ws.latency == latency


async def test_pings_differ(link: Callable) -> None:
    async with link() as (ws, peer):
        waiters = [await ws.ping() for _ in range(10)]
        payloads = [(await peer.read_frame()).payload for _ in waiters]
        assert len(set(payloads)) == 10
        await peer.send_frame(PONG, payloads[8])
        await asyncio.gather(*waiters[:9])  # a pong answers the earlier pings as well
        assert not waiters[9].done()
        await peer.send_frame(PONG, payloads[9])
        await waiters[9]


async def test_the_same_ping_twice(link: Callable) -> None:
    async with link() as (ws, peer):
        for _ in range(2):
            waiter = await ws.ping("same")
            with pytest.raises(
                ConcurrencyError, match=r"^a ping with the same payload is waiting for its pong$"
            ):
                await ws.ping(b"same")
            assert await peer.read_frame() == Frame(PING, b"same")
            await peer.send_frame(PONG, b"same")
            await waiter


@pytest.mark.parametrize("call", [WebSocket.ping, WebSocket.pong])
async def test_wrong_pings(link: Callable, call: Callable) -> None:
    async with link() as (ws, peer):
        for data, error in (
            (b"x" * 126, ValueError),
            ("€" * 42, ValueError),
            (1, TypeError),
            ("\ud800", UnicodeError),
        ):
            with pytest.raises(error):
                await call(ws, data)
        waiter = await ws.ping(b"right")
        assert await peer.read_frame() == Frame(PING, b"right")
        await peer.send_frame(PONG, b"right")
        await waiter


async def test_cancelling_the_wait_for_a_pong(link: Callable) -> None:
    async with link() as (ws, peer):
        first, second = await ws.ping(b"1"), await ws.ping(b"2")
        waiting = asyncio.ensure_future(first)
        waiting.cancel()
        await asyncio.wait([waiting])
        await peer.send_frame(PONG, b"2")
        assert await second > 0
        assert ws.latency > 0


@pytest.mark.parametrize("end", ["close", "abort", "peer"])
async def test_a_ping_that_is_not_answered_any_more(link: Callable, end: str) -> None:
    async with link() as (ws, peer):
        waiter = await ws.ping()
        ignored = await ws.ping()
        if end == "peer":
            peer.sock.close()
        elif end == "abort":
            ws.abort()
        else:
            closing = asyncio.create_task(ws.close())
            await peer.answer_close()
            await closing
        with pytest.raises(ConnectionClosed):
            await within(5, waiter)
        await within(5, ws.wait_closed())
        del ignored, waiter
        gc.collect()  # nobody asked for the second one's exception: that is no reason to log it
        with pytest.raises(ConnectionClosed):
            await ws.ping()


async def test_pong(link: Callable) -> None:
    async with link() as (ws, peer):
        for data in (b"", "text €", b"x" * 125):
            payload = data.encode() if isinstance(data, str) else data
            await ws.pong(data)
            assert await peer.read_frame() == Frame(PONG, payload)
        await peer.send_frame(PONG, b"unsolicited")
        await peer.send_frame(TEXT, b"alive")
        assert await ws.recv() == "alive"
        assert ws.latency == 0.0


async def test_pings_are_answered_while_nobody_receives(link: Callable) -> None:
    async with link() as (_, peer):
        for payload in (b"", b"one", b"x" * 125):
            await peer.send_frame(PING, payload)
            assert await peer.read_frame() == Frame(PONG, payload)


# Closing


async def test_close(link: Callable) -> None:
    async with link() as (ws, peer):
        closing = asyncio.create_task(ws.close())
        assert await peer.read_frame() == Frame(CLOSE, b"\x03\xe8")
        assert ws.state is State.CLOSING
        assert not closing.done()
        assert ws.close_code is None
        assert ws.close_reason is None
        await peer.send_close(1000)
        if peer.is_client:
            assert await peer.read_eof() == b""
            assert not closing.done()  # the connection is gone when both ends have hung up
        peer.sock.close()
        await within(5, closing)
        assert ws.state is State.CLOSED
        assert (ws.close_code, ws.close_reason) == (1000, "")


async def test_close_with_a_code_and_a_reason(link: Callable) -> None:
    async with link() as (ws, peer):
        closing = asyncio.create_task(ws.close(4999, reason="€" * 41))
        assert await peer.answer_close() == Frame(CLOSE, b"\x13\x87" + ("€" * 41).encode())
        await closing
        assert (ws.close_code, ws.close_reason) == (4999, "€" * 41)


async def test_close_validates_first(link: Callable) -> None:
    async with link() as (ws, peer):
        for code, reason in (
            *((code, "") for code in (-1, 0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65536)),
            (1000, "x" * 124),
            (1000, "€" * 42),
            (1000, "\ud800"),
        ):
            with pytest.raises(ValueError):
                await ws.close(code, reason)
        assert ws.state is State.OPEN
        await ws.send("still open")
        assert await peer.read_frame() == Frame(TEXT, b"still open")


async def test_close_is_idempotent(link: Callable) -> None:
    async with link() as (ws, peer):
        closings = [asyncio.create_task(ws.close(1000 + 8 * n)) for n in range(2)]
        closings.append(asyncio.create_task(ws.wait_closed()))
        assert (await peer.answer_close()).close_code == 1000
        await within(5, asyncio.gather(*closings))
        await within(1, ws.close(4000, "again"))
        with pytest.raises(ValueError):
            await ws.close(1005)
        await within(1, ws.wait_closed())
        ws.abort()
        assert (ws.state, ws.close_code) == (State.CLOSED, 1000)


async def test_close_while_recv_waits(link: Callable) -> None:
    async with link() as (ws, peer):
        receiving = asyncio.create_task(ws.recv())
        await asyncio.sleep(0)
        closing = asyncio.create_task(ws.close())
        await peer.read_close()
        await peer.send(peer.frame(TEXT, b"last words") + peer.close_frame(1000))
        assert await within(5, receiving) == "last words"
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()
        peer.sock.close()
        await within(5, closing)


async def test_nothing_is_sent_after_the_close_frame(link: Callable) -> None:
    async with link() as (ws, peer):
        closing = asyncio.create_task(ws.close())
        await peer.read_close()
        for call in (ws.send("x"), ws.send(["x"]), ws.ping(), ws.pong()):
            with pytest.raises(ConnectionClosedError):  # the peer has not agreed yet
                await call
        await peer.send(peer.frame(PING, b"no answer") + peer.close_frame(1000))
        if peer.is_client:
            assert await peer.read_eof() == b""
        peer.sock.close()
        await within(5, closing)


async def test_close_with_a_full_receive_queue(link: Callable) -> None:
    """The peer's answer stands behind more messages than anybody will take."""
    async with link(read_limit=1000, close_timeout=30) as (ws, peer):
        await peer.send(peer.frame(TEXT, b"x" * 500) * 200)
        assert await ws.recv() == "x" * 500
        start = time.monotonic()
        closing = asyncio.create_task(ws.close())
        await peer.read_close()
        await peer.send_close()
        if peer.is_client:
            await peer.read_eof()
        peer.sock.close()
        await within(5, closing)
        assert time.monotonic() - start < 10
        assert ws.close_code == 1000
        assert {message async for message in ws} == {"x" * 500}


async def test_close_when_the_peer_never_answers(link: Callable) -> None:
    async with link(close_timeout=0.15) as (ws, peer):
        receiving = asyncio.create_task(ws.recv())
        start = time.monotonic()
        await within(5, ws.close())
        assert 0.1 < time.monotonic() - start < 2
        assert (ws.state, ws.close_code, ws.close_reason) == (State.CLOSED, 1006, "")
        with pytest.raises(ConnectionClosedError) as caught:
            await receiving
        assert str(caught.value) == "no close frame received; sent 1000 (OK)"
        assert (await peer.read_close()).close_code == 1000


async def test_close_when_the_peer_talks_on_and_on(link: Callable) -> None:
    """Neither bytes nor pongs move the deadline."""

    async def talk(peer: Any) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                await peer.send(peer.frame(TEXT, b"x" * 100) + peer.frame(PONG, b"ping"))
                await asyncio.sleep(0.01)

    async with link(close_timeout=0.15, ping_interval=0.05) as (ws, peer):
        await ws.ping(b"ping")
        talking = asyncio.create_task(talk(peer))
        start = time.monotonic()
        await within(5, ws.close())
        assert time.monotonic() - start < 2
        assert ws.close_code == 1006
        await talking


async def test_close_without_a_timeout_waits_for_ever(link: Callable) -> None:
    async with link(close_timeout=None) as (ws, peer):
        closing = asyncio.create_task(ws.close())
        await asyncio.wait([closing], timeout=0.2)
        assert not closing.done()
        await peer.answer_close()
        await within(5, closing)
        assert ws.close_code == 1000


async def test_both_close_at_once() -> None:
    """Two of our own ends: neither has seen the other's Close frame when it sends its own."""
    opened = asyncio.get_running_loop().create_future()

    async def handler(ws: WebSocket) -> None:
        opened.set_result(ws)
        await ws.wait_closed()

    async with serve(handler, 0) as server:
        client = await connect(f"ws://127.0.0.1:{server.port}")
        at_server = await opened
        start = time.monotonic()
        await asyncio.gather(client.close(1001, "client"), at_server.close(1000, "server"))
        assert time.monotonic() - start < 2
        assert (client.close_code, client.close_reason) == (1000, "server")
        assert (at_server.close_code, at_server.close_reason) == (1001, "client")
        for ws, text in (
            (client, "sent 1001 (going away) client; then received 1000 (OK) server"),
            (at_server, "sent 1000 (OK) server; then received 1001 (going away) client"),
        ):
            exc = await closed_by(ws)
            assert type(exc) is ConnectionClosedOK
            assert str(exc) == text


async def test_cancelling_close_stops_the_wait_and_not_the_closing(link: Callable) -> None:
    async with link() as (ws, peer):
        closing = asyncio.create_task(ws.close(4000))
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled()
        assert (await peer.answer_close()).close_code == 4000
        await within(5, ws.wait_closed())
        assert ws.close_code == 4000


async def test_cancelling_wait_closed_has_no_effect(link: Callable) -> None:
    async with link() as (ws, peer):
        waiting = [asyncio.create_task(ws.wait_closed()) for _ in range(2)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.wait(waiting[:1])
        assert ws.state is State.OPEN
        await ws.send("alive")
        assert await peer.read_frame() == Frame(TEXT, b"alive")
        assert not waiting[1].done()
        peer.sock.close()
        await within(5, waiting[1])


async def test_abort(link: Callable) -> None:
    async with link() as (ws, peer):
        receiving = asyncio.create_task(ws.recv())
        await asyncio.sleep(0)
        ws.abort()
        assert ws.state is State.CLOSED
        with pytest.raises(ConnectionClosedError):
            await ws.send("x")
        ws.abort()
        await within(1, ws.wait_closed())
        with pytest.raises(ConnectionClosedError, match=r"^no close frame received or sent$"):
            await receiving
        assert (ws.close_code, ws.close_reason) == (1006, "")
        assert ws.buffered_amount == 0
        with contextlib.suppress(ConnectionResetError):
            assert await peer.read_eof() == b""


async def test_abort_drops_what_was_not_sent(link: Callable) -> None:
    async with link(small_buffers=True) as (ws, peer):
        await ws.send(bytes(2**22))
        assert ws.buffered_amount > 0
        ws.abort()
        await within(1, ws.wait_closed())
        assert ws.buffered_amount == 0
        received = 0
        with contextlib.suppress(ConnectionResetError):
            received = len(await peer.read_eof())
        assert received < 2**22


async def test_the_context_manager_closes(link: Callable) -> None:
    async with link() as (ws, peer):
        closing = asyncio.create_task(peer.answer_close())
        async with ws as entered:
            assert entered is ws
            assert ws.state is State.OPEN
        assert (await closing).close_code == 1000
        assert ws.state is State.CLOSED


@pytest.mark.parametrize(
    ("error", "code"),
    [(LookupError, 1011), (asyncio.CancelledError, 1001), (KeyboardInterrupt, 1001)],
)
async def test_the_context_manager_tells_of_an_exception(
    link: Callable, error: type[BaseException], code: int
) -> None:
    async with link() as (ws, peer):
        closing = asyncio.create_task(peer.answer_close())
        with pytest.raises(error):
            async with ws:
                raise error
        assert (await closing).close_code == code


# What it is


async def test_attributes_of_both_ends() -> None:
    opened = asyncio.get_running_loop().create_future()

    async def handler(ws: WebSocket) -> None:
        opened.set_result(ws)
        await ws.wait_closed()

    async with (
        serve(handler, 0, subprotocols=["chat"]) as server,
        connect(
            f"ws://127.0.0.1:{server.port}/room?a=b%20c",
            subprotocols=["other", "chat"],
            additional_headers={"X-Extra": "yes"},
        ) as client,
    ):
        at_server = await opened
        for ws in (at_server, client):
            assert ws.state is State.OPEN
            assert ws.path == "/room?a=b%20c"
            assert ws.request.method == "GET"
            assert ws.headers is ws.request.headers
            assert ws.headers["x-extra"] == "yes"
            assert ws.response.status == 101
            assert ws.subprotocol == ws.response.headers["Sec-WebSocket-Protocol"] == "chat"
            assert ws.close_code is None
            assert ws.close_reason is None
            assert isinstance(ws.id, UUID)
            assert ws.id == ws.id
            assert ws.latency == 0.0
            assert ws.buffered_amount == 0
            assert ws.transport.get_extra_info("socket").fileno() >= 0
            ws.user = "me"  # one may set attributes of one's own
            assert ws.user == "me"
            assert weakref.ref(ws)() is ws
        assert at_server.id != client.id
        assert at_server.server is server
        assert client.server is None
        assert at_server.local_address == client.remote_address == ("127.0.0.1", server.port)
        assert at_server.remote_address == client.local_address
        assert repr(client) == (f"<WebSocket /room?... OPEN peer=('127.0.0.1', {server.port})>")
        await client.close()
        assert repr(client) == (f"<WebSocket /room?... CLOSED peer=('127.0.0.1', {server.port})>")


async def test_buffered_amount_counts_what_has_not_left(link: Callable) -> None:
    async with link(small_buffers=True) as (ws, peer):
        await ws.send(bytes(2**20))
        before = ws.buffered_amount
        assert 0 < before <= 2**20 + 14
        reading = asyncio.create_task(peer.read_frame())
        await until(lambda: ws.buffered_amount == 0)
        assert (await reading).payload == bytes(2**20)


async def test_states_are_those_of_browsers(link: Callable) -> None:
    async with link() as (ws, peer):
        states = [ws.state]
        closing = asyncio.create_task(ws.close())
        await asyncio.sleep(0)
        states.append(ws.state)
        await peer.answer_close()
        await closing
        states.append(ws.state)
        assert states == [State.OPEN, State.CLOSING, State.CLOSED] == [1, 2, 3]
