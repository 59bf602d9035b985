"""What arrives becomes messages, reading stops in time, and the end always comes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from raw_peer import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    UPGRADE,
    Frame,
    frame,
    head,
    raw_peer,
    small_listener,
    tcp_peer,
    within,
)

from wsproto_async import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidStatus,
    Request,
    Response,
    State,
    WebSocket,
    connect,
    serve,
)

QUICK = 1.0  # seconds: less than any timeout that these tests do not mean


async def messages_of(ws: WebSocket) -> list[str | bytes]:
    messages = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            messages.append(await ws.recv())
    return messages


# Reading


async def stalled(peer: Any, data: bytes) -> int:
    """Send until the other end has not read for a while; how many bytes went out."""
    return await within(10, peer.send_until_stalled(data, 0.1))


async def test_reading_stops_when_the_queue_is_full(link: Callable) -> None:
    """However small or large the messages, and goes on as soon as somebody takes them."""

    async def flood(size: int) -> None:
        async with link(small_buffers=True, read_limit=2**14) as (ws, peer):
            one = peer.frame(BINARY, bytes(size))
            count = 2**19 // len(one)
            data = one * count
            sent = await stalled(peer, data)
            assert sent < 2**18  # the buffers of two kernels
            sending = asyncio.create_task(peer.send(data[sent:] + peer.close_frame(1000)))
            taken = await within(10, messages_of(ws))
            assert len(taken) == count
            assert set(taken) == {bytes(size)}
            await sending

    await asyncio.gather(flood(100), flood(5000))


async def test_an_unfinished_message_is_not_read_before_somebody_asks(link: Callable) -> None:
    size = 2**22
    async with link(small_buffers=True, read_limit=2**14, max_size=None) as (ws, peer):
        data = peer.frame(BINARY, bytes(size))
        sent = await stalled(peer, data)
        assert 2**14 <= sent < 2**20
        sending = asyncio.create_task(peer.send(data[sent:]))
        receiving = asyncio.create_task(ws.recv())
        await sending
        assert len(await receiving) == size


async def test_who_stops_asking_stops_the_reading(link: Callable) -> None:
    """A recv() that is cancelled does not leave the door open for the whole message."""
    async with link(small_buffers=True, read_limit=2**14, max_size=None) as (ws, peer):
        data = peer.frame(BINARY, bytes(2**23))
        receiving = asyncio.create_task(ws.recv())
        await asyncio.sleep(0)
        await peer.send(data[: 2**19])
        receiving.cancel()
        sent = await stalled(peer, data[2**19 :])
        assert sent < 2**20


async def test_fragments_are_read_like_one_frame(link: Callable) -> None:
    async with link(read_limit=1000, max_size=None) as (ws, peer):
        fragments = [peer.frame(BINARY, bytes(100), fin=False)]
        fragments += [peer.frame(CONTINUATION, bytes(100), fin=False)] * 998
        fragments += [peer.frame(CONTINUATION, bytes(100))]
        sending = asyncio.create_task(peer.send(b"".join(fragments)))
        assert await ws.recv() == bytes(100_000)
        await sending


async def test_the_smallest_read_limit_holds_any_character(link: Callable) -> None:
    text = "aé€😀" * 50
    async with link(read_limit=4) as (ws, peer):
        sending = asyncio.create_task(peer.send_pieces(peer.frame(TEXT, text.encode())))
        async with asyncio.timeout(10):
            assert "".join([piece async for piece in ws.recv_streaming()]) == text
        await sending


async def test_control_frames_between_unread_messages_wait_their_turn(link: Callable) -> None:
    async with link() as (ws, peer):
        await peer.send(peer.frame(TEXT, b"x") * 60 + peer.frame(PING, b"behind"))
        messages = [await ws.recv() for _ in range(60)]
        assert messages == ["x"] * 60
        assert await peer.read_frame() == Frame(PONG, b"behind")


async def test_the_slowest_peer(link: Callable) -> None:
    """One byte at a time gives the same messages."""
    async with link() as (ws, peer):
        receiving = asyncio.create_task(messages_of(ws))
        data = peer.frame(TEXT, "é€😀".encode()) + peer.frame(BINARY, b"a", fin=False)
        data += peer.frame(PING, b"p") + peer.frame(CONTINUATION, b"b") + peer.close_frame(1000)
        await peer.send_pieces(data)
        assert await within(5, receiving) == ["é€😀", b"ab"]
        assert [frame.opcode for frame in (await peer.read_frame(), await peer.read_frame())] == [
            PONG,
            CLOSE,
        ]


async def test_small_frames_do_not_wait_for_acknowledgements(link: Callable) -> None:
    """Not even over a socket of the caller's own."""
    async with link() as (ws, _):
        sock = ws.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# Frames that come with the handshake


async def test_frames_right_behind_the_request(server_link: Callable) -> None:
    received: list[str | bytes] = []

    async def handler(ws: WebSocket) -> None:
        received.extend([message async for message in ws])

    async with serve(handler, 0) as server, tcp_peer(server.port) as peer:
        data = frame(TEXT, b"early") + frame(TEXT, b"bird") + frame(CLOSE, b"\x03\xe8")
        await peer.send(head(*UPGRADE) + data)
        await peer.read_head()
        assert (await peer.read_frame()).close_code == 1000
        assert await peer.read_eof() == b""
    assert received == ["early", "bird"]


async def test_frames_right_behind_the_response(raw_server: Callable) -> None:
    async def talk(peer: Any) -> None:
        data = peer.frame(TEXT, b"early") + peer.frame(TEXT, b"bird") + peer.close_frame(1000)
        await peer.accept(then=data)
        assert (await peer.read_frame()).close_code == 1000
        peer.sock.close()

    async with raw_server(talk) as server, connect(server.uri) as ws:
        assert [message async for message in ws] == ["early", "bird"]
        await server.done()


@pytest.fixture
def slow_hook() -> Any:
    """process_request that waits for a go-ahead; ``answer`` is what it returns."""

    class Hook:
        def __init__(self) -> None:
            self.answer: Response | None = None
            self.go_on = asyncio.Event()

        async def __call__(self, ws: WebSocket, request: Request) -> Response | None:
            await self.go_on.wait()
            return self.answer

    return Hook()


async def test_who_talks_before_the_answer_is_read_up_to_a_limit(slow_hook: Any) -> None:
    received: list[str | bytes] = []

    async def handler(ws: WebSocket) -> None:
        received.extend(await messages_of(ws))

    async with (
        serve(handler, 0, process_request=slow_hook, sock=small_listener()) as server,
        tcp_peer(server.port, small=True) as peer,
    ):
        await peer.send(head(*UPGRADE))
        data = frame(BINARY, bytes(1000)) * 4000
        sent = await stalled(peer, data)
        assert 65536 <= sent < 2**20
        slow_hook.go_on.set()
        await peer.send(data[sent:] + frame(CLOSE))
        await peer.read_head()
        assert (await peer.read_frame()).opcode == CLOSE
    assert received == [bytes(1000)] * 4000


@pytest.mark.parametrize("framing", ["length", "chunks", "end"])
@pytest.mark.parametrize("size", [2**17, 3 * 2**20])
async def test_a_refusal_whose_body_is_large(raw_server: Callable, framing: str, size: int) -> None:
    """Its first MiB comes with the error; more than may follow a request is no reason to wait."""
    body = bytes(range(256)) * (size // 256)
    if framing == "length":
        answer = [b"Content-Length: %d\r\n\r\n" % size, body]
    elif framing == "chunks":
        chunk = b"10000\r\n%b\r\n" % body[:65536]
        answer = [b"Transfer-Encoding: chunked\r\n\r\n", chunk * (size // 65536), b"0\r\n\r\n"]
    else:
        answer = [b"\r\n", body]

    async def refuse(peer: Any) -> None:
        await peer.read_head()
        with contextlib.suppress(ConnectionError):
            await peer.send(b"HTTP/1.1 503 Busy\r\n" + b"".join(answer))
        peer.sock.close()

    async with raw_server(refuse) as server:
        with pytest.raises(InvalidStatus) as caught:
            await connect(server.uri, open_timeout=3)
        assert caught.value.response.body == body[: 2**20]


async def test_who_is_refused_while_talking_can_read_why(slow_hook: Any) -> None:
    """What it still sends is dropped, so it gets to the answer, and its end is noticed."""
    slow_hook.answer = Response(403, body="no")
    async with (
        serve(lambda ws: None, process_request=slow_hook, sock=small_listener()) as server,
        tcp_peer(server.port, small=True) as peer,
    ):
        await peer.send(head(*UPGRADE))
        data = bytes(2**22)
        sent = await stalled(peer, data)
        slow_hook.go_on.set()
        start = time.monotonic()
        await within(QUICK, peer.send(data[sent:]))
        assert (await peer.read_head()).startswith(b"HTTP/1.1 403 ")
        assert await peer.read_eof() == b"no"
        peer.sock.close()
        server.close()
        await server.wait_closed()
        assert time.monotonic() - start < 3  # not close_timeout


# Violations


async def test_what_came_before_a_violation_is_answered(server_link: Callable) -> None:
    async def handler(ws: WebSocket) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                await ws.send("reply to " + await ws.recv())

    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        start = time.monotonic()
        await peer.send(frame(TEXT, b"1") + frame(TEXT, b"2") + b"\xf1\x80 and no more")
        assert await peer.read_frame() == Frame(TEXT, b"reply to 1")
        assert await peer.read_frame() == Frame(TEXT, b"reply to 2")
        close = await peer.read_frame()
        assert close.close_code == 1002
        assert close.payload[2:] == b"reserved bits are set"
        assert time.monotonic() - start < 0.5  # as soon as that is done
        assert await peer.read_eof() == b""


async def test_a_violation_does_not_wait_long_for_a_handler_that_does_not_ask(
    server_link: Callable,
) -> None:
    async with server_link() as (ws, peer):
        await peer.send(peer.frame(TEXT, b"unread") + b"\xf1\x00")
        start = time.monotonic()
        assert (await peer.read_close()).close_code == 1002
        assert time.monotonic() - start < 3
        assert await ws.recv() == "unread"
        with pytest.raises(ConnectionClosedError, match="1002"):
            await ws.recv()


async def test_a_violation_with_nothing_unread_is_answered_at_once(link: Callable) -> None:
    async with link() as (ws, peer):
        await peer.send(b"\xf1\x00")
        start = time.monotonic()
        assert (await peer.read_close()).close_code == 1002
        assert time.monotonic() - start < 0.5
        with pytest.raises(ConnectionClosedError, match="1002"):
            await ws.recv()


async def test_closing_while_a_violation_waits(link: Callable) -> None:
    """The violation was there first: it gives the code."""
    async with link() as (ws, peer):
        await peer.send(peer.frame(TEXT, b"unread") + b"\xf1\x00")
        await peer.send(b"dropped" * 1000)
        await asyncio.sleep(0.05)
        closing = asyncio.create_task(ws.close(4000))
        assert (await peer.read_close()).close_code == 1002
        peer.sock.close()
        await within(5, closing)
        assert await ws.recv() == "unread"


async def test_a_violation_does_not_extend_the_closing(link: Callable) -> None:
    """Once the end has begun nothing moves its deadline, whether or not messages came before."""

    async def violate(messages: int) -> None:
        async with link(close_timeout=0.15) as (ws, peer):
            for _ in range(messages):
                await peer.send_frame(TEXT, b"x")
                await ws.recv()
            start = time.monotonic()
            closing = asyncio.create_task(ws.close())
            await peer.read_close()
            await peer.send(b"\xf1\x00")
            await within(5, closing)
            assert time.monotonic() - start < 0.15 + 0.5

    await asyncio.gather(violate(0), violate(1))


@pytest.mark.parametrize("end", ["eof", "reset"])
async def test_a_violation_and_then_the_end(link: Callable, reset: Callable, end: str) -> None:
    async with link() as (ws, peer):
        await peer.send(peer.frame(TEXT, b"unread") + b"\xf1\x00")
        assert await ws.recv() == "unread"
        if end == "eof":
            peer.sock.close()
        else:
            reset(peer.sock)
        with pytest.raises(ConnectionClosedError):
            await within(QUICK, ws.recv())
        await within(QUICK, ws.wait_closed())


async def test_input_after_the_end_is_dropped(link: Callable) -> None:
    """Megabytes of it are read and forgotten, so that the peer gets to our last words."""
    async with link(small_buffers=True) as (ws, peer):
        await peer.send(b"\xf1\x00")
        sending = asyncio.create_task(peer.send(bytes(2**22)))
        await within(QUICK, sending)
        assert (await peer.read_close()).close_code == 1002
        assert await peer.read_eof() == b""
        peer.sock.close()
        await within(QUICK, ws.wait_closed())


async def test_after_our_close_frame_what_finds_no_room_is_dropped(link: Callable) -> None:
    """And everything after it, so that what was received has no holes."""
    async with link(read_limit=4000) as (ws, peer):
        await peer.send(b"".join(peer.frame(TEXT, b"%500d" % number) for number in range(100)))
        received = [int(await ws.recv())]
        closing = asyncio.create_task(ws.close())
        await peer.read_close()
        await peer.send_frame(TEXT, b"100")
        for _ in range(5):  # there is room again
            received.append(int(await ws.recv()))
            await asyncio.sleep(0.01)
        await peer.send(b"".join(peer.frame(TEXT, b"%d" % number) for number in range(101, 200)))
        await peer.send_close()
        if peer.is_client:
            await peer.read_eof()
        peer.sock.close()
        await within(QUICK, closing)
        received += [int(message) async for message in ws]
        assert received == list(range(len(received)))
        assert 6 < len(received) < 20


# The end


async def test_the_end_of_the_stream_without_a_close_frame(link: Callable) -> None:
    async with link() as (ws, peer):
        receiving = asyncio.create_task(ws.recv())
        await peer.send_frame(TEXT, b"unfinished", fin=False)
        peer.finish()
        with pytest.raises(ConnectionClosedError, match="no close frame received or sent"):
            await within(QUICK, receiving)
        await within(QUICK, ws.wait_closed())
        assert ws.close_code == 1006


async def test_a_half_closed_peer_that_never_reads(link: Callable) -> None:
    """We have much to say, it does not listen and never hangs up: the deadline ends it."""
    async with link(small_buffers=True, close_timeout=0.1) as (ws, peer):
        await ws.send(bytes(2**20))
        peer.finish()
        await within(QUICK, ws.wait_closed())
        assert ws.close_code == 1006


async def test_a_server_that_has_closed_waits_for_the_client_to_hang_up(
    server_link: Callable,
) -> None:
    async with server_link(close_timeout=0.15) as (ws, peer):
        start = time.monotonic()
        await peer.send_close()
        await peer.read_close()
        assert await peer.read_eof() == b""
        await within(QUICK, ws.wait_closed())
        assert 0.1 < time.monotonic() - start < 1
        assert (ws.state, ws.close_code) == (State.CLOSED, 1000)
        with pytest.raises(ConnectionClosedOK):
            await ws.recv()


async def test_an_answer_to_the_close_does_not_extend_the_closing(server_link: Callable) -> None:
    """Neither does anything else on the way to the end of TCP."""
    async with server_link(close_timeout=0.5) as (ws, peer):
        start = time.monotonic()
        closing = asyncio.create_task(ws.close())
        await peer.read_close()
        await asyncio.sleep(0.4)
        await peer.send_close()
        assert await peer.read_eof() == b""
        await within(QUICK, closing)
        assert time.monotonic() - start < 0.8
        assert ws.close_code == 1000


async def test_a_client_that_has_closed_waits_for_the_server_to_hang_up(
    client_link: Callable,
) -> None:
    async with client_link(close_timeout=0.15) as (ws, peer):
        start = time.monotonic()
        await peer.send_close()
        await peer.read_close()
        assert ws.state is State.CLOSING
        await within(QUICK, ws.wait_closed())
        assert 0.1 < time.monotonic() - start < 1
        assert (ws.state, ws.close_code) == (State.CLOSED, 1000)


async def test_a_deadline_leaves_one_line_at_debug(
    link: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "wsproto_async")
    async with link(close_timeout=0.05) as (ws, _):
        caplog.clear()
        name = "{}:{}".format(*ws.remote_address)
        await ws.close()
        records = [record for record in caplog.records if record.name.startswith("wsproto_async")]
        assert [
            (record.levelname, record.message)
            for record in records
            if not record.message.startswith("closed: ")
        ] == [("DEBUG", f"close timeout: {name} /")]


async def test_a_client_that_answers_the_close_with_a_reset(
    server_link: Callable, reset: Callable
) -> None:
    """Half-closing is not possible any more then."""
    for _ in range(5):
        async with server_link() as (ws, peer):
            closing = asyncio.create_task(ws.close())
            await peer.read_close()
            peer.sock.send(peer.close_frame(1000))
            reset(peer.sock)
            await within(QUICK, closing)
            assert ws.state is State.CLOSED


async def test_the_peer_dies_while_its_messages_are_unread(link: Callable, reset: Callable) -> None:
    """Reading is paused, so only a write tells; what was read is received nevertheless."""
    async with link(read_limit=1000) as (ws, peer):
        await peer.send(peer.frame(TEXT, b"x" * 100) * 100)
        assert await ws.recv() == "x" * 100
        reset(peer.sock)
        with contextlib.suppress(ConnectionClosed):
            while True:
                await ws.send("x")
                await asyncio.sleep(0)
        await within(QUICK, ws.wait_closed())
        messages = await within(QUICK, messages_of(ws))
        assert messages
        assert set(messages) == {"x" * 100}


# TLS, whose transports cannot half-close


@asynccontextmanager
async def tls_link(tls: Any, **options: Any) -> AsyncIterator[tuple[WebSocket, WebSocket]]:
    opened: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()

    async def handler(ws: WebSocket) -> None:
        opened.set_result(ws)
        await ws.wait_closed()

    async with (
        serve(handler, 0, ssl=tls.server, **options) as server,
        connect(f"wss://127.0.0.1:{server.port}/", ssl=tls.client, **options) as client,
    ):
        yield await opened, client


async def test_tls(tls: Any) -> None:
    async with tls_link(tls) as (at_server, client):
        for ws in (at_server, client):
            assert isinstance(
                ws.transport.get_extra_info("ssl_object"), (ssl.SSLObject, ssl.SSLSocket)
            )
        await client.send(bytes(2**20))
        assert await at_server.recv() == bytes(2**20)
        await at_server.send("text")
        assert await client.recv() == "text"
        assert await (await client.ping()) > 0


@pytest.mark.parametrize("closer", [0, 1], ids=["server", "client"])
async def test_closing_over_tls(tls: Any, closer: int) -> None:
    async with tls_link(tls) as ends:
        start = time.monotonic()
        await ends[1 - closer].send("last words")
        await ends[closer].close(1001, "bye")
        await within(QUICK, ends[1 - closer].wait_closed())
        assert time.monotonic() - start < QUICK
        assert await ends[closer].recv() == "last words"
        for ws in ends:
            assert (ws.state, ws.close_code, ws.close_reason) == (State.CLOSED, 1001, "bye")
            with pytest.raises(ConnectionClosedOK):
                await ws.recv()


async def test_backpressure_over_tls(tls: Any) -> None:
    """More than the kernel's buffers take, sent by the end that need not mask it."""
    size = 2**24
    async with tls_link(tls, max_size=None, read_limit=2**14) as (at_server, client):
        sending = asyncio.create_task(
            at_server.send([bytes(2**20)] * (size // 2**20), compress=False)
        )
        await asyncio.wait([sending], timeout=0.1)
        stalled = not sending.done()
        assert len(await client.recv()) == size
        await sending
        assert stalled


async def test_aborting_over_tls(tls: Any) -> None:
    async with tls_link(tls, close_timeout=0.2) as (at_server, client):
        client.abort()
        await within(QUICK, client.wait_closed())
        await within(QUICK, at_server.wait_closed())
        assert client.close_code == at_server.close_code == 1006


async def test_a_peer_that_does_not_react_over_tls(tls: Any) -> None:
    async with tls_link(tls, close_timeout=0.15) as (at_server, client):
        client.transport.pause_reading()
        start = time.monotonic()
        await within(QUICK, at_server.close())
        assert 0.1 < time.monotonic() - start < QUICK
        assert at_server.close_code == 1006
