"""What is missing to frames that break off, cut at every byte."""

from __future__ import annotations

import pytest

from wsproto_async.sansio import ServerConnection
from wsproto_async.testing.conformance.rest import rest_of
from wsproto_async.testing.conformance.wire import BINARY, CLOSE, CONTINUATION, PING, TEXT, Wire

WIRE = Wire(key=b"\x01\x02\x03\x04")
OTHER_KEY = Wire(key=b"\x0a\x0b\x0c\x0d")


def is_right(data: bytes) -> bool:
    """Tell if a server takes it without a fault, and waits for nothing more."""
    server = ServerConnection()
    server.receive_data(WIRE.request())
    server.next_event()
    server.send_response(server.accept())
    server.receive_data(data)
    list(server.events())
    return server.error is None and not server.is_amid_frame() and not server.buffered_message()


@pytest.mark.parametrize(
    "data",
    [
        WIRE.frame(TEXT, b"hello"),
        WIRE.frame(BINARY, bytes(126)),
        WIRE.frame(BINARY, bytes(70_000)),
        WIRE.frame(PING, b"p"),
        WIRE.frame(CLOSE, b"\x03\xe8bye"),
        OTHER_KEY.frame(TEXT, b"hello"),
        WIRE.frame(PING) + WIRE.frame(TEXT, b"a", fin=False) + WIRE.frame(CONTINUATION, b"b"),
        WIRE.frame(TEXT, b"a", fin=False) + WIRE.frame(PING, b"p") + WIRE.frame(CONTINUATION),
    ],
    ids=lambda data: data[:4].hex(),
)
def test_cut_at_every_byte(data: bytes) -> None:
    for at in (*range(1, min(len(data), 40)), len(data)):
        assert is_right(data[:at] + rest_of(data[:at], WIRE)), at


@pytest.mark.parametrize(
    ("data", "rest"),
    [
        (b"", b""),
        (b"\xc1", b"\x80" + WIRE.key),
        (b"\x81\x02", b"xx"),  # MASK is missing, and stays so
        (b"\x88\x02", b"\x03\xe8"),
        (b"\x82\xfe", (126).to_bytes(2, "big") + WIRE.payload(b"x" * 126)),
        (b"\x82\xfe\x00\x05", WIRE.payload(b"x" * 5)),  # too many bytes for it
        (b"\x01", b"\x80" + WIRE.key + WIRE.frame(CONTINUATION)),
        (b"\x00", b"\x80" + WIRE.key),  # nothing is open
        (b"\x83\x80" + WIRE.key, b""),
    ],
)
def test_nothing_is_mended(data: bytes, rest: bytes) -> None:
    assert rest_of(data, WIRE) == rest
