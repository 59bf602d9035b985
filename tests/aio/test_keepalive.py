"""Pings at intervals, and a fair judgement on the peer that does not answer."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Callable

import pytest
from raw_peer import BINARY, PING, PONG, TEXT, Frame, until, within

from wsproto_async import ConnectionClosedError, State

INTERVAL = 0.05
TIMEOUT = 0.15
QUICK = {"ping_interval": INTERVAL, "ping_timeout": TIMEOUT, "close_timeout": 0.1}
SILENCE = b"\x03\xf3keepalive: peer silent for 0.15 s"


async def test_pings_come_and_pongs_tell_the_latency(link: Callable) -> None:
    async with link(**QUICK) as (ws, peer):
        seen = set()
        latency = ws.latency
        assert latency == 0.0
        for _ in range(2):
            before = time.monotonic()
            ping = await peer.read_frame()
            assert time.monotonic() - before > INTERVAL / 2
            assert ping.opcode == PING
            assert 0 < len(ping.payload) <= 125
            seen.add(ping.payload)
            await peer.send_frame(PONG, ping.payload)
            await until(lambda: ws.latency != latency)  # noqa: B023
            latency = ws.latency
            assert 0 < latency < 5
        assert len(seen) == 2
        await peer.read_frame()
        assert ws.latency == latency  # kept while the next pong is still to come
        assert ws.state is State.OPEN


async def test_a_silent_peer_is_closed_with_1011(
    link: Callable, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wsproto_async")
    async with link(**QUICK) as (ws, peer):
        start = time.monotonic()
        close = await peer.read_close()
        assert close.payload == SILENCE
        assert INTERVAL + TIMEOUT - 0.01 < time.monotonic() - start < 1
        with pytest.raises(ConnectionClosedError) as caught:
            await within(1, ws.recv())
        assert str(caught.value) == (
            "no close frame received; sent 1011 (internal error) keepalive: peer silent for 0.15 s"
        )
        await within(1, ws.wait_closed())
        assert ws.close_code == 1006
        about = [record for record in caplog.records if "keepalive" in record.message]
        name = "{}:{}".format(*ws.remote_address)
        assert [(record.levelname, record.message) for record in about] == [
            ("INFO", f"keepalive: {name} / silent for 0.15 s")
        ]


async def test_a_peer_that_answers_a_while_and_then_dies(server_link: Callable) -> None:
    async with server_link(**QUICK) as (_, peer):
        await peer.send_frame(PONG, (await peer.read_frame()).payload)
        assert (await peer.read_frame()).opcode == PING
        assert (await peer.read_frame()).payload == SILENCE


async def test_any_byte_is_a_sign_of_life(server_link: Callable) -> None:
    """The peer is in the middle of a long frame and cannot answer before its end."""
    async with server_link(**QUICK) as (ws, peer):
        receiving = asyncio.create_task(ws.recv())
        frame = peer.frame(BINARY, bytes(9))
        for at in range(len(frame)):
            await peer.send(frame[at : at + 1])
            await asyncio.sleep(0.03)
        assert await receiving == bytes(9)
        assert ws.state is State.OPEN
        assert ws.latency == 0.0


async def test_a_busy_handler_is_no_proof_of_a_dead_peer(server_link: Callable) -> None:
    """While we do not read, its pongs are stuck behind what we do not read."""

    async def flood(size: int) -> None:
        options = {"read_limit": 1000, "max_size": None, "small_buffers": True, **QUICK}
        async with server_link(**options) as (ws, peer):
            count = 2**19 // size
            sending = asyncio.create_task(peer.send(peer.frame(BINARY, bytes(size)) * count))
            await asyncio.sleep(0.5)
            assert not sending.done()
            assert ws.state is State.OPEN
            for _ in range(count):
                assert await ws.recv() == bytes(size)
            await sending
            # Now that everything was read, silence counts.
            receiving = asyncio.create_task(ws.recv())
            assert (await peer.read_close()).payload == SILENCE
            with pytest.raises(ConnectionClosedError):
                await within(1, receiving)

    # Many messages, and the beginning of a large one.
    await asyncio.gather(flood(100), flood(2**19))


async def test_silence_is_measured_from_when_reading_goes_on(server_link: Callable) -> None:
    async with server_link(read_limit=1000, ping_interval=INTERVAL, ping_timeout=0.6) as (ws, peer):
        await peer.send(peer.frame(TEXT, b"x" * 500) * 10)
        ping = await peer.read_frame()
        assert ping.opcode == PING
        await asyncio.sleep(0.4)
        for _ in range(10):
            await ws.recv()
        await asyncio.sleep(0.4)  # more than 0.6 s after the ping, less after the resumption
        assert ws.state is State.OPEN
        await peer.send_frame(PONG, ping.payload)
        await until(lambda: ws.latency > 0)


async def test_a_loop_that_stood_still_is_no_proof_of_a_dead_peer(server_link: Callable) -> None:
    """The pong is there when the deadline passes, only nobody has looked."""
    loop = asyncio.get_running_loop()
    async with server_link(**QUICK) as (ws, peer):
        ping = await peer.read_frame()
        ours, theirs = socket.socketpair()

        def stand_still() -> None:
            """Between the loop's look at its sockets and its look at its timers."""
            loop.remove_reader(ours)
            peer.sock.send(peer.frame(PONG, ping.payload))
            time.sleep(2 * TIMEOUT)  # what the application did wrong

        with ours, theirs:
            loop.add_reader(ours, stand_still)
            theirs.send(b"x")
            await until(lambda: ws.latency > 0)
        assert ws.state is State.OPEN
        assert (await peer.read_frame()).opcode == PING


async def test_no_interval_no_pings(server_link: Callable) -> None:
    async with server_link(ping_interval=None, ping_timeout=0.05) as (ws, peer):
        reading = asyncio.create_task(peer.read_frame())
        await asyncio.wait([reading], timeout=0.3)
        assert not reading.done()
        await ws.send("first frame")
        assert await reading == Frame(TEXT, b"first frame")


async def test_no_timeout_no_verdict(server_link: Callable) -> None:
    async with server_link(ping_interval=INTERVAL, ping_timeout=None) as (ws, peer):
        payloads = [(await peer.read_frame()).payload for _ in range(3)]
        assert len(set(payloads)) == 3
        assert ws.state is State.OPEN
        await peer.send_frame(PONG, payloads[-1])
        await until(lambda: ws.latency > 0)


async def test_the_applications_pings_do_for_keepalive(server_link: Callable) -> None:
    """As long as they are answered no others are needed."""
    async with server_link(ping_interval=0.3, ping_timeout=0.3) as (ws, peer):
        for number in range(7):
            waiter = await ws.ping(b"%d" % number)
            assert await peer.read_frame() == Frame(PING, b"%d" % number)
            await peer.send_frame(PONG, b"%d" % number)
            await waiter
            await asyncio.sleep(0.05)
        assert (await peer.read_frame()).opcode == PING


async def test_no_pings_after_the_close_frame(server_link: Callable) -> None:
    async with server_link(ping_interval=INTERVAL, ping_timeout=None, close_timeout=0.4) as (
        ws,
        peer,
    ):
        waiter = await ws.ping(b"before")
        assert await peer.read_frame() == Frame(PING, b"before")
        closing = asyncio.create_task(ws.close())
        await peer.read_close()
        await peer.send_frame(PONG, b"before")
        assert await waiter > 0
        await peer.send_frame(TEXT, b"still talking")
        assert await peer.read_frame() is None
        await within(1, closing)


async def test_a_peer_that_never_reads(server_link: Callable) -> None:
    """Neither ping nor Close frame can leave, and it goes all the same."""
    async with server_link(small_buffers=True, **QUICK) as (ws, _):
        await ws.send(bytes(2**20))
        start = time.monotonic()
        await within(5, ws.wait_closed())
        assert time.monotonic() - start < 2
        assert ws.close_code == 1006


async def test_a_peer_that_only_ever_sends(server_link: Callable) -> None:
    """That is a life, too; and if it answers a ping at last, we know the latency."""
    async with server_link(**QUICK) as (ws, peer):

        async def talk() -> None:
            while True:
                await peer.send_frame(PONG, b"unsolicited")
                await asyncio.sleep(0.03)

        talking = asyncio.create_task(talk())
        pings = [await peer.read_frame() for _ in range(3)]
        talking.cancel()
        assert [ping.opcode for ping in pings] == [PING] * 3
        assert ws.latency == 0.0
        # Otherwise the old ones would pile up for days.
        await peer.send_frame(PONG, pings[0].payload)
        await peer.send_frame(TEXT, b"after the pong")
        assert await ws.recv() == "after the pong"
        assert ws.latency == 0.0
        await peer.send_frame(PONG, pings[-1].payload)
        await until(lambda: ws.latency > 0)


@pytest.mark.parametrize("reset", [True, False])
async def test_a_peer_that_goes_while_nothing_is_read_from_it(
    server_link: Callable, reset: bool
) -> None:
    """The handler waits for the end, and not for messages: a ping finds out."""
    async with server_link(read_limit=1000, **QUICK) as (ws, peer):
        await peer.send(peer.frame(TEXT, b"x" * 500) * 10)
        await until(lambda: ws._protocol.is_reading_paused)
        assert (await peer.read_frame()).opcode == PING
        if reset:
            peer.reset()
        peer.sock.close()
        await within(5, ws.wait_closed())
        assert ws.close_code == 1006


async def test_pings_do_not_pile_up_for_a_peer_that_does_not_read(server_link: Callable) -> None:
    """Nothing is read from it either, and so it is not judged."""
    options = {"read_limit": 1000, "send_timeout": None, "small_buffers": True, **QUICK}
    async with server_link(**options) as (ws, peer):
        await peer.send(peer.frame(TEXT, b"x" * 500) * 10)
        await until(lambda: ws._protocol.is_reading_paused)
        await ws.send(bytes(2**20))
        sender = ws._protocol.sender
        assert sender.is_gate_shut
        sent = sender.bytes_sent
        await asyncio.sleep(1)
        assert ws.state is State.OPEN
        assert sender.bytes_sent <= sent + 6  # the one that was due
        ws.abort()
