"""Faults on the link: what our connections make of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from wsproto_async import ConnectionClosedError, State, WebSocket
from wsproto_async.testing import Link, Pair, connected_pair


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def reads_of(protocol: Any) -> list[int]:
    """The sizes of all that it is given from now on."""
    sizes: list[int] = []
    transport = protocol.transport
    receive = transport.receive

    def note(data: memoryview) -> None:
        sizes.append(len(data))
        receive(data)

    transport.receive = note
    return sizes


@pytest.mark.parametrize("sizes", [(1,), (2, 3), (70_000,)])
async def test_split(sizes: tuple[int, ...]) -> None:
    link = Link()
    link.split(*sizes)  # the opening handshake as well
    async with connected_pair(echo, link=link, client_options={"compression": None}) as pair:
        reads = reads_of(pair.server)
        await pair.client.send("€" * 100)
        assert await pair.client.recv() == "€" * 100
        assert sum(reads) == 2 + 2 + 4 + 300
        if sizes == (1,):
            assert set(reads) == {1}
        elif sizes == (2, 3):
            assert reads[1:-1] in ([2, 3] * 61, [3, 2] * 60 + [3], [3, 2] * 61, [2, 3] * 60 + [2])
        else:
            assert reads == [308]
        link.split()
        reads.clear()
        await pair.client.send("a" * 300)
        await pair.client.recv()
        assert reads == [308]


async def test_what_cannot_be() -> None:
    with pytest.raises(TypeError):
        Link().split(1.5)  # type: ignore[arg-type]
    link = Link()
    with pytest.raises(ValueError, match="at least 1"):
        link.split(1, 0)
    with pytest.raises(ValueError, match="not be negative"):
        link.delay(-1)
    with pytest.raises(ValueError, match="not be negative"):
        Link(capacity=-1)


async def test_delay() -> None:
    loop = asyncio.get_running_loop()
    async with connected_pair(echo) as pair:
        pair.link.delay(0.05)
        before = loop.time()
        for number in range(10):
            await pair.client.send(str(number))
        pair.link.delay(0)  # for what is sent from now on: it does not overtake
        await pair.client.send("last")
        received = [await pair.client.recv() for _ in range(11)]
        assert received == [*map(str, range(10)), "last"]
        assert loop.time() - before >= 0.045


async def test_stall_and_resume() -> None:
    async with connected_pair() as pair:
        pair.link.to_server.stall()
        await pair.client.send("late")
        await pair.server.send("not late")
        assert await pair.client.recv() == "not late"
        receiving = asyncio.create_task(pair.server.recv())
        await turns()
        assert not receiving.done()
        assert not pair.link.is_whole
        pair.link.to_server.resume()
        assert await receiving == "late"
        assert pair.link.is_whole
    assert pair.client.close_code == 1000


async def test_a_stalled_link_makes_the_sender_wait() -> None:
    async with connected_pair(
        link=Link(capacity=0), client_options={"write_limit": 100, "compression": None}
    ) as pair:
        pair.link.stall()
        await pair.client.send(bytes(200))
        sending = asyncio.create_task(pair.client.send(b"next"))
        await turns()
        assert not sending.done()
        pair.link.resume()
        await sending
        assert [await pair.server.recv(), await pair.server.recv()] == [bytes(200), b"next"]


async def test_what_is_dropped_holds_nobody_up() -> None:
    async with connected_pair(
        link=Link(capacity=0), client_options={"write_limit": 100, "compression": None}
    ) as pair:
        pair.link.stall()
        await pair.client.send(bytes(200))
        sending = asyncio.create_task(pair.client.send(b"next"))
        await turns()
        assert not sending.done()
        pair.link.drop()
        await sending


async def test_one_end_is_cut_off_and_the_other_is_not_told() -> None:
    async with connected_pair() as pair:
        pair.link.to_server.cut()
        await pair.server.wait_closed()
        await turns()
        assert pair.server.close_code == 1006
        assert pair.client.state is State.OPEN
        await pair.client.send("anybody there?")
        await pair.client.wait_closed()
        assert pair.client.close_code == 1006


async def test_nothing_to_cut() -> None:
    link = Link()
    link.cut()
    async with connected_pair(echo, link=link) as (client, _):
        await client.send("hello")
        assert await client.recv() == "hello"


async def test_drop_is_a_half_open_connection() -> None:
    """One direction is dead: the server goes on believing, the client hears it and is not heard."""
    async with connected_pair() as pair:
        pair.link.to_server.drop()
        await pair.client.send("never heard")
        await pair.server.send("heard")
        assert await pair.client.recv() == "heard"
        pair.client.abort()
        await pair.client.wait_closed()
        await turns()
        assert pair.server.state is State.OPEN


async def test_what_was_dropped_is_a_gap() -> None:
    async with connected_pair() as pair:
        pair.link.stall()
        await pair.client.send("on its way")
        pair.link.drop()
        await pair.client.send("after it")
        pair.link.resume()
        await pair.client.send("behind the gap")
        assert await pair.server.recv() == "behind the gap"
        assert not pair.link.is_whole


@pytest.mark.parametrize("by", ["cut", "close_timeout"])
async def test_cut(by: str) -> None:
    options = {"close_timeout": 0.05}
    async with connected_pair(client_options=options, server_options=options) as pair:
        if by == "cut":
            pair.link.stall()
            await pair.client.send("on its way")
            pair.link.cut()
        else:
            pair.link.drop()
            await pair.client.close()
            await pair.server.close()
        for end in pair:
            with pytest.raises(ConnectionClosedError):
                await end.recv()
            await end.wait_closed()
            assert end.close_code == 1006
        pair.link.cut()


async def test_an_abort_arrives_behind_what_was_sent() -> None:
    async with connected_pair() as pair:
        await pair.client.send("last words")
        pair.client.abort()
        assert await pair.server.recv() == "last words"
        with pytest.raises(ConnectionClosedError):
            await pair.server.recv()


async def test_faults_leave_nothing_behind_at_the_end() -> None:
    found: list[Pair] = []
    for fault in ("drop", "stall"):
        async with connected_pair(echo) as pair:
            getattr(pair.link, fault)()
            await pair.client.send("x")
            found.append(pair)
    assert {end.state for pair in found for end in pair} == {State.CLOSED}
