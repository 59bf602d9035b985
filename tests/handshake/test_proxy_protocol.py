"""The PROXY protocol: whole, byte by byte, and with a request behind it."""

from __future__ import annotations

import pytest

from wsproto_async import InvalidMessage
from wsproto_async.handshake.proxy_protocol import ProxyHeaderReader

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V4 = bytes([8, 8, 8, 8, 10, 0, 0, 1, 0x12, 0x67, 0, 80])
V6 = bytes.fromhex("20010db8000000000000000000000001" * 2 + "12670050")


def v2(command: int, family: int, body: bytes, size: int | None = None) -> bytes:
    size = len(body) if size is None else size
    return SIGNATURE + bytes([command, family]) + size.to_bytes(2, "big") + body


HEADERS = [
    (b"PROXY TCP4 8.8.8.8 10.0.0.1 4711 80\r\n", ("8.8.8.8", 4711)),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ("255.255.255.255", 65535)),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n", ("2001:db8::1", 4711)),
    (b"PROXY TCP6 " + b"ffff:" * 7 + b"ffff " + b"ffff:" * 7 + b"ffff 65535 65535\r\n", None),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN anything at all\r\n", None),
    (v2(0x21, 0x11, V4), ("8.8.8.8", 4711)),
    (v2(0x21, 0x11, V4 + b"\x04\x00\x03abc"), ("8.8.8.8", 4711)),
    (v2(0x21, 0x21, V6), ("2001:db8::1", 4711)),
    (v2(0x20, 0x00, b""), None),
    (v2(0x20, 0x11, V4), None),
    (v2(0x21, 0x00, b""), None),
    (v2(0x21, 0x31, bytes(216)), None),
    (v2(0x21, 0x12, V4), None),
    (v2(0x20, 0x00, bytes(4096)), None),
]


@pytest.mark.parametrize("rest", [b"", b"GET / HTTP/1.1\r\n"])
@pytest.mark.parametrize("size", [1, 7, 2**30])
@pytest.mark.parametrize(("header", "client"), HEADERS)
def test_headers(header: bytes, client: tuple[str, int] | None, size: int, rest: bytes) -> None:
    reader = ProxyHeaderReader()
    pieces = [header[at : at + size] for at in range(0, len(header), size)]
    for piece in pieces[:-1]:
        assert not reader.feed(piece)
    assert reader.feed(pieces[-1] + rest)
    assert reader.rest == rest
    if client is not None or b"TCP6" not in header:
        assert reader.client == client


BAD = [
    b"GET / HTTP/1.1\r\n",
    b"P" + b"OST",
    b"PROXY TCP5 ",
    b"PROXY TCP4 8.8.8.8 10.0.0.1 4711\r\n",
    b"PROXY TCP4 8.8.8.8 10.0.0.1 4711 80 \r\n",
    b"PROXY TCP4  8.8.8.8 10.0.0.1 4711 80\r\n",
    b"PROXY TCP4 8.8.8.8 10.0.0.1 65536 80\r\n",
    b"PROXY TCP4 8.8.8.8 10.0.0.1 80 65536\r\n",
    b"PROXY TCP4 8.8.8.8 10.0.0.1 -1 80\r\n",
    b"PROXY TCP4 8.8.8 10.0.0.1 4711 80\r\n",
    b"PROXY TCP4 2001:db8::1 2001:db8::2 4711 80\r\n",
    b"PROXY TCP6 8.8.8.8 10.0.0.1 4711 80\r\n",
    b"PROXY TCP4 \xff\xff\xff\xff 10.0.0.1 4711 80\r\n",
    b"PROXY UDP4 8.8.8.8 10.0.0.1 4711 80\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY " + b"x" * 200,
    b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n",
    SIGNATURE[:-1] + b"\r",
    v2(0x11, 0x11, V4),
    v2(0x22, 0x11, V4),
    v2(0x21, 0x11, V4[:-1]),
    v2(0x21, 0x21, V4),
    v2(0x21, 0x11, b"", size=4097),
]


@pytest.mark.parametrize("size", [1, 2**30])
@pytest.mark.parametrize("data", BAD)
def test_what_is_no_header(data: bytes, size: int) -> None:
    reader = ProxyHeaderReader()
    with pytest.raises(InvalidMessage, match="PROXY"):
        for at in range(0, len(data) + 200, size):
            assert not reader.feed((data + b"\r\n" + b"." * 200)[at : at + size])
    assert reader.client is None


def test_the_first_byte_tells() -> None:
    for byte in range(256):
        reader = ProxyHeaderReader()
        if bytes([byte]) in (b"P", b"\r"):
            assert not reader.feed(bytes([byte]))
        else:
            with pytest.raises(InvalidMessage):
                reader.feed(bytes([byte]))
