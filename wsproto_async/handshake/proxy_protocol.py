"""The PROXY protocol, versions 1 and 2: the first bytes of a connection that a proxy hands on.

See https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from ..exceptions import InvalidMessage

__all__ = ["ProxyHeaderReader"]

_SIGNATURE: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_V1: Final = b"PROXY "
_MAX_V1: Final = 107  # bytes, CRLF included
_MAX_V2: Final = 4096  # bytes after the first 16: addresses, and what else the proxy tells
_PROXIED: Final = re.compile(rb"PROXY TCP([46]) (\S{2,39}) (\S{2,39}) ([0-9]{1,5}) ([0-9]{1,5})")
_LOCAL, _PROXY = 0x20, 0x21  # version 2, and the command
_TCP4, _TCP6 = 0x11, 0x21

ClientAddress = tuple[str, int]


class ProxyHeaderReader:
    """Collects the header; ``client`` is for whom the proxy speaks, None if for itself."""

    __slots__ = ("_buffer", "client", "rest")

    def __init__(self) -> None:
        self._buffer = b""
        self.client: ClientAddress | None = None
        self.rest = b""
        """What followed the header."""

    def feed(self, data: bytes) -> bool:
        """Append to the input; tell if the header is complete.

        Raises InvalidMessage at the first byte that proves that there is none, or a wrong one.
        """
        self._buffer += data
        buffer = self._buffer
        if _SIGNATURE.startswith(buffer[:12]):
            size = self._read_v2(buffer)
        elif _V1.startswith(buffer[:6]):
            size = self._read_v1(buffer)
        else:
            raise InvalidMessage("no PROXY header")
        self.rest = buffer[size:]
        return size > 0

    def _read_v1(self, buffer: bytes) -> int:
        """Return the size of the header, 0 while it is not complete."""
        end = buffer.find(b"\r\n", 0, _MAX_V1)
        if end < 0:
            if len(buffer) >= _MAX_V1:
                raise InvalidMessage("PROXY header over 107 bytes")
            return 0
        line = buffer[:end]
        if line != b"PROXY UNKNOWN" and not line.startswith(b"PROXY UNKNOWN "):
            match = _PROXIED.fullmatch(line)
            if match is None:
                raise InvalidMessage("malformed PROXY header")
            version, source, target, port, target_port = match.groups()
            kind = IPv4Address if version == b"4" else IPv6Address
            addresses = [_address(name) for name in (source, target)]
            if not all(isinstance(each, kind) for each in addresses):
                raise InvalidMessage("malformed PROXY header")
            if int(port) > 65535 or int(target_port) > 65535:
                raise InvalidMessage("malformed PROXY header")
            self.client = str(addresses[0]), int(port)
        return end + 2

    def _read_v2(self, buffer: bytes) -> int:
        if len(buffer) > 12 and buffer[12] not in (_LOCAL, _PROXY):
            raise InvalidMessage("PROXY header of another version")
        if len(buffer) < 16:
            return 0
        size = int.from_bytes(buffer[14:16], "big")
        if size > _MAX_V2:
            raise InvalidMessage(f"PROXY header over {_MAX_V2} bytes")
        if buffer[12] == _PROXY and buffer[13] in (_TCP4, _TCP6):
            width = 4 if buffer[13] == _TCP4 else 16
            if size < 2 * width + 4:
                raise InvalidMessage("PROXY header without addresses")
            if len(buffer) >= 16 + size:
                port = buffer[16 + 2 * width : 18 + 2 * width]
                host = str(ip_address(buffer[16 : 16 + width]))
                self.client = host, int.from_bytes(port, "big")
        return 16 + size if len(buffer) >= 16 + size else 0


def _address(name: bytes) -> IPv4Address | IPv6Address | None:
    try:
        return None if b"%" in name else ip_address(name.decode())
    except ValueError:
        return None
