"""Work in parts: a connection does as much at a time as its budget allows, and loses nothing."""

from __future__ import annotations

import zlib

import pytest

from wsproto_async.codec.frames import encode_frame
from wsproto_async.extensions import PerMessageDeflate
from wsproto_async.sansio import ClientConnection, Close, Connection, Event, Ping, ServerConnection

CONT, TEXT, BINARY, CLOSE, PING = 0x0, 0x1, 0x2, 0x8, 0x9
RSV1 = 0x40
Frame = tuple[int, bool, bytes]  # opcode, fin, payload

both_sides = pytest.mark.parametrize("side", ["server", "client"])
every_split = pytest.mark.parametrize("size", [1, 3, 2**30], ids=["bytes", "threes", "whole"])


def pair(side: str, **options: int | None) -> tuple[Connection, Connection]:
    """The end to try, and its peer; they agree on compression."""
    extensions = [PerMessageDeflate(threshold=0)]
    server = ServerConnection(extensions=extensions, **options)
    client = ClientConnection("ws://h", extensions=extensions, **options)
    client.send_request()
    server.receive_data(client.data_to_send())
    server.next_event()
    server.send_response(server.accept())
    client.receive_data(server.data_to_send())
    client.next_event()
    return (server, client) if side == "server" else (client, server)


def wire(side: str, *frames: Frame) -> bytes:
    """The frames as the peer of ``side`` sends them."""
    masked = side == "server"
    return b"".join(encode_frame(op, data, fin=fin, masked=masked) for op, fin, data in frames)


def receive(connection: Connection, data: bytes) -> list[Event]:
    connection.receive_data(data)
    return list(connection.events())


def deflate(text: bytes) -> bytes:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]


@both_sides
@every_split
def test_work_is_done_in_parts(side: str, size: int) -> None:
    """Each part is as large as its budget and one frame; nothing is lost between them."""
    connection, _ = pair(side)
    frames = [(BINARY, True, bytes([at % 256] * 100)) for at in range(20)]
    data = wire(side, *frames, (CLOSE, True, b""))
    for at in range(0, len(data), size):
        connection.receive_data(data[at : at + size])
    connection.receive_eof()
    events: list[Event] = []
    parts = []
    while Close(1005) not in events:
        connection.set_budget(9000)
        part = list(connection.events())
        events += part
        parts.append(len(part))
    assert events == [payload for _, _, payload in frames] + [Close(1005)]
    assert max(parts) == 9000 // 4196 + 1
    assert not connection.is_amid_frame()


@both_sides
def test_the_end_waits_for_what_came_before_it(side: str) -> None:
    connection, _ = pair(side)
    connection.receive_data(wire(side, (TEXT, True, b"a"), (TEXT, True, b"b")))
    connection.receive_eof()
    connection.set_budget(0)
    assert list(connection.events()) == ["a"]
    assert connection.is_over_budget()
    assert list(connection.events()) == []
    connection.set_budget(0)
    assert list(connection.events()) == ["b"]
    connection.set_budget(0)
    assert not connection.is_over_budget()
    assert list(connection.events()) == [Close(1006)]


@both_sides
def test_empty_fragments_are_work_too(side: str) -> None:
    connection, _ = pair(side)
    connection.receive_data(wire(side, (TEXT, False, b""), *[(CONT, False, b"")] * 100))
    connection.set_budget(5 * 4096)
    assert list(connection.events()) == []
    assert connection.frames == 6


# What is decoded


@both_sides
def test_a_ping_waits_for_the_fragment_before_it(side: str) -> None:
    end, _ = pair(side)
    masked = side == "server"
    wire = encode_frame(BINARY, deflate(bytes(50_000)), fin=False, rsv=RSV1, masked=masked)
    wire += encode_frame(PING, b"p", masked=masked)
    end.set_budget(10_000)
    assert receive(end, wire) == []
    assert 0 < end.buffered_message() < 20_000
    end.set_budget(100_000)
    assert list(end.events()) == [Ping(b"p")]
    assert end.buffered_message() == 50_000


@both_sides
def test_what_is_wrong_in_a_fragment_comes_first_however_small_the_budget(side: str) -> None:
    end, _ = pair(side)
    masked = side == "server"
    payload = deflate(bytes(50_000)) + b"\xff" * 9
    wire = encode_frame(BINARY, payload, fin=False, rsv=RSV1, masked=masked)
    wire += b"\xff\xff"  # is no frame
    end.set_budget(10_000)
    events = receive(end, wire)
    while not events:
        end.set_budget(10_000)
        events = list(end.events())
    assert events == [Close(1006)]
    assert end.close_sent is not None
    assert end.close_sent.code == 1007


@both_sides
def test_dropping_a_message_that_is_being_decoded(side: str) -> None:
    end, peer = pair(side)
    masked = side == "server"
    end.set_budget(10_000)
    wire = encode_frame(BINARY, deflate(bytes(50_000)), rsv=RSV1, masked=masked)
    assert receive(end, wire) == []
    assert end.is_over_budget()
    end.drop_messages = True
    peer.send_close(1000)
    end.set_budget(100_000)
    assert receive(end, peer.data_to_send()) == [Close(1000)]


@both_sides
def test_what_is_decoded_is_work(side: str) -> None:
    """A few kilobytes of DEFLATE are megabytes of work: four kilobytes of it are done at least."""
    connection, peer = pair(side, max_size=None)
    connection.receive_data(wire_of(peer, bytes(8 * 2**20)))
    parts = 0
    message: Event | None = None
    while message is None:
        connection.set_budget(0)
        message = connection.next_event()
        parts += 1
    assert message == bytes(8 * 2**20)
    assert parts >= 2048


def wire_of(connection: Connection, message: bytes) -> bytes:
    connection.send_binary(message, compress=True)
    return connection.data_to_send()


@both_sides
def test_final_blocks_are_work(side: str) -> None:
    """Nothing comes of an empty one, and it costs as much as a kilobyte."""
    end, _ = pair(side, max_size=None)
    payload = b"\x03\x00" * 4000 + b"\x00"
    end.receive_data(encode_frame(BINARY, payload, rsv=RSV1, masked=side == "server"))
    parts = 0
    message: Event | None = None
    while message is None:
        end.set_budget(100_000)
        message = end.next_event()
        parts += 1
    assert message == b""
    assert parts >= 50
