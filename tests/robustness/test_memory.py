"""Compression and streaming: what they may hold, whatever the size of what goes through."""

from __future__ import annotations

import gc
import random
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from wsproto_async import WebSocket, connect, serve
from wsproto_async.codec.frames import encode_frame
from wsproto_async.codec.opcodes import OP_BINARY, OP_TEXT
from wsproto_async.extensions import PerMessageDeflate
from wsproto_async.sansio import Close, ServerConnection

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: example.org\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
RSV1 = 0x40
STATELESS = PerMessageDeflate()
TAKING_OVER = PerMessageDeflate(server_no_context_takeover=False, client_no_context_takeover=False)


class Growth:
    kept = 0  # bytes
    peak = 0


@contextmanager
def measuring() -> Iterator[Growth]:
    """Measure what is allocated, by whomever, from here on."""
    growth = Growth()
    gc.collect()
    tracemalloc.start()
    try:
        yield growth
        growth.peak = tracemalloc.get_traced_memory()[1]
        gc.collect()
        growth.kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


def open_server(
    is_compressing: bool, *, is_stateless: bool = True, max_size: int | None = 2**20
) -> ServerConnection:
    extension = STATELESS if is_stateless else TAKING_OVER
    connection = ServerConnection(
        extensions=[extension] if is_compressing else [], max_size=max_size
    )
    connection.receive_data(REQUEST)
    next(connection.events())
    connection.send_response(connection.accept())
    assert (b"permessage-deflate" in connection.data_to_send()) is is_compressing
    return connection


def deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (deflater.compress(data) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


def test_compression_costs_a_connection_at_rest_nothing() -> None:
    """Nothing but the object that knows the agreed parameters."""

    def echo_and_rest(is_compressing: bool) -> ServerConnection:
        connection = open_server(is_compressing)
        text = b"the quick brown fox jumps over the lazy dog " * 100
        payload, rsv = (deflate(text), RSV1) if is_compressing else (text, 0)
        connection.receive_data(encode_frame(OP_TEXT, payload, rsv=rsv, masked=True))
        connection.send_text(next(connection.events()))
        assert (connection.data_to_send()[0] & RSV1 == RSV1) is is_compressing
        return connection

    count = 200
    kept = {}
    for is_compressing in (True, False):
        echo_and_rest(is_compressing)  # what all of a thread's connections share
        with measuring() as growth:
            connections = [echo_and_rest(is_compressing) for _ in range(count)]
        kept[is_compressing] = growth.kept / count
        del connections
    assert kept[True] - kept[False] < 512


@pytest.mark.parametrize("is_stateless", [True, False])
@pytest.mark.parametrize("read_limit", [None, 2**14, 2**18], ids=["whole", "16 KiB", "256 KiB"])
@pytest.mark.parametrize("max_size", [2**17, 10**6, 2**20, 2**22])
@pytest.mark.parametrize("run", [1, 20], ids=["thousandfold", "less"])
def test_a_bomb_stops_at_the_limit_however_it_is_received(
    is_stateless: bool, read_limit: int | None, max_size: int, run: int
) -> None:
    """With the messages before it in the window, and the last piece still in use."""
    noise = random.Random(7692).randbytes(40_000)
    first = encode_frame(OP_BINARY, deflate(noise), rsv=RSV1, masked=True)
    unit = noise[: run * 4] + bytes(run * 1000)
    payload = deflate(bytes(2 * max_size) if run == 1 else unit * (2 * max_size // len(unit)))
    bomb = encode_frame(OP_BINARY, payload, rsv=RSV1, masked=True)
    connection = open_server(True, is_stateless=is_stateless, max_size=max_size)
    with measuring() as growth:
        connection.receive_data(first)
        assert connection.next_event() == noise
        tracemalloc.reset_peak()
        connection.receive_data(bomb)
        connection.partial_limit = read_limit
        while (event := connection.next_event()) is None:
            piece = connection.take_partial()
            assert piece
    assert event == Close(1006)
    assert connection.close_sent is not None
    assert connection.close_sent.code == 1009
    assert growth.peak <= max_size + 65536


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_a_streamed_message_is_never_held_whole(compression: str | None) -> None:
    """16 MiB there and 16 MiB back in a few of the buffers' sizes."""
    block = bytes(range(256)) * 256
    count = 2**24 // len(block)
    limits = {"max_size": None, "max_fragments": None, "compression": compression}

    async def blocks() -> AsyncIterator[bytes]:
        for _ in range(count):
            yield block

    async def count_bytes(ws: WebSocket) -> int:
        total = 0
        async for piece in ws.recv_streaming():
            total += len(piece)
        return total

    async def handler(ws: WebSocket) -> None:
        received.append(await count_bytes(ws))
        await ws.send(blocks())

    received: list[int] = []
    async with (
        serve(handler, 0, **limits) as server,
        connect(f"ws://127.0.0.1:{server.port}", **limits) as ws,
    ):
        with measuring() as growth:
            await ws.send(blocks())
            received.append(await count_bytes(ws))
    assert received == [2**24, 2**24]
    assert growth.peak < 2**22
