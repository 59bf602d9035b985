"""Receiving messages; every test runs on a server and on a client."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from raw_peer import BINARY, CONTINUATION, TEXT, within
from receiving import MIXED, iterate, stream

from wsproto_async import (
    ConcurrencyError,
    ConnectionClosedError,
    ConnectionClosedOK,
    State,
    WebSocket,
)


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
