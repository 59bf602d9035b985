"""From one publication to all its subscribers: in few writes, in their order, slice by slice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from raw_peer import BINARY, TEXT, Frame, until
from room import read, read_payloads, room, turns

from wsproto_async.aio.fanout import Fanout
from wsproto_async.aio.outbox import Policy
from wsproto_async.aio.prepared import PreparedMessage
from wsproto_async.extensions import Codec, Extension
from wsproto_async.extensions.base import Parameters, Recent


def never(owner: object, policy: Policy, what: str) -> None:
    raise AssertionError(what)


NEVER = Policy("news", "close", None, None, "", never)


def message(payload: bytes) -> PreparedMessage:
    return PreparedMessage(BINARY, payload, None)


async def test_a_burst_is_one_write_for_each() -> None:
    async with room(3, is_recorded=True) as here:
        fanout = Fanout(asyncio.get_running_loop())
        targets = tuple(ws._protocol for ws in here.websockets)
        for number in range(32):
            fanout.add(targets, message(b"%d" % number), NEVER)
        assert here.writes == [[], [], []]
        await fanout.settle()
        assert [len(writes) for writes in here.writes] == [1, 1, 1]
        assert here.writes[0][0] is here.writes[1][0] is here.writes[2][0]
        for peer in here.peers:
            assert await read(peer, 32) == [Frame(BINARY, b"%d" % each) for each in range(32)]


async def test_a_burst_is_one_write_for_who_is_excluded_from_some() -> None:
    async with room(2, is_recorded=True) as here:
        fanout = Fanout(asyncio.get_running_loop())
        one, other = targets = tuple(ws._protocol for ws in here.websockets)
        for number in range(6):
            fanout.add(targets, message(b"%d" % number), NEVER, (one, other, None)[number % 3])
        await fanout.settle()
        assert [len(writes) for writes in here.writes] == [1, 1]
        assert await read_payloads(here.peers[0], 4) == [b"1", b"2", b"4", b"5"]
        assert await read_payloads(here.peers[1], 4) == [b"0", b"2", b"3", b"5"]


async def test_who_is_excluded_from_all_gets_nothing_at_all() -> None:
    async with room(2, is_recorded=True) as here:
        fanout = Fanout(asyncio.get_running_loop())
        one, other = (ws._protocol for ws in here.websockets)
        fanout.add((one, other), message(b"a"), NEVER, one)
        await fanout.settle()
        assert [len(writes) for writes in here.writes] == [0, 1]


async def test_not_more_than_64_kib_are_joined_unless_one_is_larger() -> None:
    async with room(1, is_recorded=True, write_limit=2**20) as here:
        fanout = Fanout(asyncio.get_running_loop())
        targets = (here.websockets[0]._protocol,)
        sizes = [30_000] * 5 + [100_000, 1, 1]
        for size in sizes:
            fanout.add(targets, message(bytes(size)), NEVER)
        await fanout.settle()
        assert [len(write) for write in here.writes[0]] == [60_008, 60_008, 30_004, 100_010, 6]
        found = await read_payloads(here.peers[0], len(sizes))
        assert [len(payload) for payload in found] == sizes


async def test_batches_keep_their_order() -> None:
    async with room(2) as here:
        fanout = Fanout(asyncio.get_running_loop())
        one, other = (ws._protocol for ws in here.websockets)
        both, single = (one, other), (one,)
        for number in range(10):
            fanout.add((both, single)[number % 2], message(b"%d" % number), NEVER)
        await fanout.settle()
        assert await read_payloads(here.peers[0], 10) == [b"%d" % number for number in range(10)]
        assert await read_payloads(here.peers[1], 5) == [
            b"%d" % number for number in range(0, 10, 2)
        ]


async def test_what_still_waits_is_counted_with_what_it_takes_to_remember_it() -> None:
    async with room(1) as here:
        fanout = Fanout(asyncio.get_running_loop())
        targets = (here.websockets[0]._protocol,)
        assert not fanout.is_busy()
        for _ in range(10):
            fanout.add(targets, message(b""), NEVER)
        assert fanout.pending >= 10 * 256
        assert not fanout.is_busy()
        fanout.add(targets, message(bytes(65536)), NEVER)
        assert fanout.is_busy()
        await fanout.settle()
        assert fanout.pending == 0
        assert not fanout.is_busy()


async def test_many_small_ones_make_it_busy() -> None:
    async with room(1) as here:
        fanout = Fanout(asyncio.get_running_loop())
        targets = (here.websockets[0]._protocol,)
        for _ in range(32):
            assert not fanout.is_busy()
            fanout.add(targets, message(b""), NEVER)
        assert fanout.is_busy()


async def test_who_settles_waits_for_what_was_added_before_alone() -> None:
    """Others may go on adding without an end."""
    async with room(1) as here:
        loop = asyncio.get_running_loop()
        fanout = Fanout(loop)
        targets = (here.websockets[0]._protocol,)
        is_over = False

        def go_on() -> None:
            if not is_over:
                fanout.add(targets, message(b"x"), NEVER)
                loop.call_soon(go_on)

        reading = asyncio.create_task(here.peers[0].read_eof())
        go_on()
        go_on()
        for _ in range(5):
            async with asyncio.timeout(5):
                await fanout.settle()
        is_over = True
        here.websockets[0].abort()
        await asyncio.wait([reading])


MANY = 30_000  # more than can be written to in one slice


@pytest.mark.parametrize("kind", ["one batch", "many batches", "many for who is slow"])
async def test_the_loop_goes_on_meanwhile(kind: str) -> None:
    """How long a slice is depends on the machine, so this is about there being several."""
    # One connection many times over: a process has not as many sockets.
    async with room(1, small=kind == "many for who is slow", write_limit=1000) as here:
        fanout = Fanout(asyncio.get_running_loop())
        protocol = here.websockets[0]._protocol
        silent = Policy("news", "drop-newest", None, None, "", lambda *_: None)
        if kind == "one batch":
            fanout.add((protocol,) * MANY, message(b"x"), silent)
        elif kind == "many batches":
            for _ in range(MANY):
                fanout.add((protocol, protocol), message(b"x"), silent)
        else:
            targets = (protocol,) * (MANY // 30)
            for _ in range(200):
                fanout.add(targets, message(b""), silent)
        reading = asyncio.create_task(here.peers[0].read_eof())
        assert await turns([asyncio.create_task(fanout.settle())]) > 4
        here.websockets[0].abort()
        await asyncio.wait([reading])


async def test_each_kind_of_connection_gets_it_in_its_form() -> None:
    text = b"compressed " * 500
    offer = "permessage-deflate"
    async with (
        room(2, is_recorded=True) as plain,
        room(2, is_recorded=True, offer=offer) as deflated,
        room(2, is_recorded=True, offer=offer, compression=None) as refusing,
    ):
        fanout = Fanout(asyncio.get_running_loop())
        rooms = (plain, deflated, refusing)
        everyone = tuple(ws._protocol for here in rooms for ws in here.websockets)
        for compress in (None, False, True):
            fanout.add(everyone, PreparedMessage(TEXT, text, compress), NEVER)
        await fanout.settle()
        for here in rooms:
            assert [len(writes) for writes in here.writes] == [1, 1]
            assert here.writes[0][0] is here.writes[1][0]
        assert plain.writes[0][0] == refusing.writes[0][0]
        assert len(plain.writes[0][0]) == 3 * (len(text) + 4)
        assert len(text) < len(deflated.writes[0][0]) < len(text) + 1000
        for here in (plain, refusing):
            assert await read(here.peers[0], 3) == [Frame(TEXT, text)] * 3


async def test_connections_that_are_not_open_are_passed_over() -> None:
    async with room(3) as here:
        fanout = Fanout(asyncio.get_running_loop())
        targets = tuple(ws._protocol for ws in here.websockets)
        fanout.add(targets, message(b"one"), NEVER)
        here.websockets[0].abort()
        closing = asyncio.create_task(here.websockets[1].close())
        await asyncio.sleep(0)
        await fanout.settle()
        assert (await read(here.peers[2], 1)) == [Frame(BINARY, b"one")]
        closing.cancel()


async def test_what_is_given_at_once_comes_in_few_writes() -> None:
    async with room(1, is_recorded=True, write_limit=2**20) as here:
        fanout = Fanout(asyncio.get_running_loop())
        protocol = here.websockets[0]._protocol
        fanout.give(protocol, [message(b"%d" % number) for number in range(1000)], NEVER)
        assert len(here.writes[0]) < 10
        assert await read_payloads(here.peers[0], 1000) == [
            b"%d" % number for number in range(1000)
        ]
        fanout.give(protocol, [], NEVER)


async def test_whoever_is_told_may_publish() -> None:
    """Also on the topic that is being given to its subscribers: they all get that as well."""
    told: list[str] = []

    def tell(owner: object, policy: Policy, what: str) -> None:
        told.append(what)
        if len(told) == 1:
            fanout.add(targets, message(b"of this"), policy)

    async with room(3, small=True, write_limit=1000) as here:
        fanout = Fanout(asyncio.get_running_loop())
        dropping = Policy("news", "drop-newest", 3000, None, "", tell)
        targets = tuple(ws._protocol for ws in here.websockets)
        slow = here.websockets[1]
        fanout.add((slow._protocol,), message(bytes(200_000)), dropping)
        await fanout.settle()
        assert slow._protocol.sender.is_held_up()
        fanout.add(targets, message(b"dropped"), dropping)
        await fanout.settle()
        await until(lambda: len(told) == 2)
        for peer in (here.peers[0], here.peers[2]):
            assert await read_payloads(peer, 2) == [b"dropped", b"of this"]


class FailingCodec(Codec):
    """Encodes nothing that begins with an exclamation mark."""

    rsv = 0x20
    encoding = "failing"

    def wants(self, payload: bytes) -> bool:
        return payload.startswith(b"!")

    def encode(self, payload: bytes, fin: bool) -> bytes:
        raise ZeroDivisionError

    def decode(self, payload: bytes, fin: bool, recent: Recent) -> Iterator[bytes]:
        yield payload


class Failing(Extension):
    name = "failing"

    def offer(self) -> Parameters:
        return ()

    def accept(self, offered: Parameters) -> tuple[Parameters, Codec]:
        return (), FailingCodec()

    def finalize(self, accepted: Parameters) -> Codec:
        return FailingCodec()


@pytest.mark.logs_errors
async def test_an_extension_that_fails_does_not_stop_what_follows() -> None:
    async with room(2, offer="failing", extensions=[Failing()]) as here:
        fanout = Fanout(asyncio.get_running_loop())
        targets = tuple(ws._protocol for ws in here.websockets)
        fanout.add(targets, message(b"!"), NEVER)
        fanout.add(targets[::-1], message(b"next"), NEVER)
        await fanout.settle()
        assert fanout.pending == 0
        for peer in here.peers:
            assert await read(peer, 1) == [Frame(BINARY, b"next")]
