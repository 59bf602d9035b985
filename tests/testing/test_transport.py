"""Both ends of a link by themselves: what asyncio asks of a transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from wsproto_async.testing import Link


class Protocol(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self, keeps_open: bool = False) -> None:
        self.told: list[Any] = []
        self.reads: list[bytes] = []
        self._keeps_open = keeps_open

    @property
    def received(self) -> bytes:
        return b"".join(self.reads)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.reads.append(data)

    def eof_received(self) -> bool:
        self.told.append("eof")
        return self._keeps_open

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(type(exc).__name__ if exc else "lost")


class Buffered(asyncio.BufferedProtocol):
    """Has room for three bytes at a time."""

    def __init__(self) -> None:
        self.received = b""
        self._buffer = bytearray(3)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.received += self._buffer[:nbytes]


async def turns(count: int = 10) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def joined(
    client: Any = None, server: Any = None, *, link: Link | None = None
) -> tuple[Any, Any, Link]:
    client, server = client or Protocol(), server or Protocol()
    link = link or Link()
    link.join(client, server)
    await turns()
    return client, server, link


async def test_it_is_made_and_knows_its_addresses() -> None:
    client, server, link = Protocol(), Protocol(), Link()
    link.join(client, server)
    assert client.told == ["made"]
    assert server.told == []
    await turns(1)
    assert server.told == ["made"]
    for name, other in (("sockname", "peername"), ("peername", "sockname")):
        address = client.transport.get_extra_info(name)
        assert address == server.transport.get_extra_info(other)
        assert address[0] == "127.0.0.1"
    assert client.transport.get_extra_info("socket") is None
    assert client.transport.get_protocol() is client
    with pytest.raises(RuntimeError, match="once"):
        link.join(client, server)


async def test_data_comes_in_a_later_turn_and_joined() -> None:
    client, server, _ = await joined()
    client.transport.write(b"one ")
    client.transport.writelines([b"two ", bytearray(b"three "), memoryview(b"four")])
    assert server.reads == []
    await turns(1)
    assert server.reads == [b"one two three four"]


async def test_what_is_no_data() -> None:
    client, _, _ = await joined()
    with pytest.raises(TypeError):
        client.transport.write("text")


async def test_a_buffer_that_is_smaller() -> None:
    server = Buffered()
    client, _, _ = await joined(server=server)
    client.transport.write(b"0123456789")
    await turns()
    assert server.received == b"0123456789"


async def test_who_does_not_read_makes_the_other_wait() -> None:
    client, server, _ = await joined(link=Link(capacity=10))
    client.transport.set_write_buffer_limits(high=20, low=5)
    assert client.transport.get_write_buffer_limits() == (5, 20)
    server.transport.pause_reading()
    assert not server.transport.is_reading()
    client.transport.write(bytes(30))
    assert client.transport.get_write_buffer_size() == 20
    assert client.told == ["made"]
    client.transport.write(b"x")
    assert client.told == ["made", "pause"]
    await turns()
    assert server.reads == []
    server.transport.resume_reading()
    assert server.transport.is_reading()
    await turns()
    assert server.received == bytes(30) + b"x"
    assert client.told == ["made", "pause", "resume"]
    assert client.transport.get_write_buffer_size() == 0


@pytest.mark.parametrize("limits", [{"high": 1, "low": 2}, {"low": -1}])
async def test_wrong_limits(limits: dict[str, int]) -> None:
    client, _, _ = await joined()
    with pytest.raises(ValueError, match="high"):
        client.transport.set_write_buffer_limits(**limits)


async def test_half_close() -> None:
    client, server, _ = await joined(server=Protocol(keeps_open=True))
    assert client.transport.can_write_eof()
    client.transport.write(b"last")
    client.transport.write_eof()
    client.transport.write_eof()
    with pytest.raises(RuntimeError):
        client.transport.write(b"more")
    await turns()
    assert (server.received, server.told) == (b"last", ["made", "eof"])
    server.transport.write(b"answer")
    await turns()
    assert client.received == b"answer"
    server.transport.close()
    await turns()
    assert client.told == ["made", "eof", "lost"]
    assert server.told == ["made", "eof", "lost"]


async def test_eof_closes_who_does_not_say_otherwise() -> None:
    client, server, _ = await joined()
    client.transport.write_eof()
    await turns()
    assert server.told == ["made", "eof", "lost"]
    assert client.told == ["made", "eof", "lost"]


async def test_close_sends_what_waits() -> None:
    client, server, _ = await joined(link=Link(capacity=0))
    client.transport.write(b"last")
    client.transport.close()
    client.transport.close()
    assert client.transport.is_closing()
    client.transport.write(b"too late")
    assert client.told == ["made"]
    await turns()
    assert (server.received, server.told) == (b"last", ["made", "eof", "lost"])
    assert client.told == ["made", "lost"]


async def test_abort_does_not() -> None:
    client, server, link = await joined(link=Link(capacity=4))
    link.stall()
    client.transport.write(b"01")
    client.transport.write(b"234567")
    client.transport.close()
    client.transport.abort()
    client.transport.abort()
    await turns()
    assert client.told == ["made", "lost"]
    link.resume()
    await turns()
    assert server.received == b"0123"
    assert server.told == ["made", "ConnectionResetError"]
    assert server.transport.is_closing()


async def test_writing_to_who_is_gone() -> None:
    client, server, _ = await joined(client=Protocol(keeps_open=True))
    server.transport.close()
    await turns()
    assert client.told == ["made", "eof"]
    client.transport.write(b"anybody there?")
    await turns()
    assert client.told == ["made", "eof", "ConnectionResetError"]


async def test_what_arrives_after_closing_is_dropped() -> None:
    client, server, link = await joined(link=Link(capacity=0))
    link.to_server.stall()
    client.transport.write(b"so that it cannot end")
    client.transport.close()
    server.transport.write(b"late")
    await turns()
    assert (client.received, client.told) == (b"", ["made"])
    link.resume()
    await turns()
    assert client.told == ["made", "lost"]


@pytest.mark.parametrize("fails", ["data_received", "eof_received"])
async def test_a_protocol_that_fails_is_told_of_and_the_link_goes_on(fails: str) -> None:
    errors = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: errors.append(context))
    client, server, _ = await joined()

    def fail(*args: object) -> None:
        raise RuntimeError("as told")

    original: Callable[..., Any] = getattr(server, fails)
    setattr(server, fails, fail)
    client.transport.write(b"one")
    if fails == "eof_received":
        client.transport.write_eof()
    await turns()
    assert [str(error["exception"]) for error in errors] == ["as told"]
    setattr(server, fails, original)
    server.transport.write(b"two")
    await turns()
    assert client.received == b"two"


async def test_they_say_what_they_are() -> None:
    client, _, link = await joined()
    assert repr(client.transport) == "<MemoryTransport open unsent=0>"
    assert repr(link.to_server) == "<Direction to_server bytes=0>"
    client.transport.abort()
    assert repr(client.transport) == "<MemoryTransport closed unsent=0>"
