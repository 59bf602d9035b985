"""What is missing to frames that break off, so that nothing is wrong but what is there already."""

from __future__ import annotations

from .wire import BINARY, CLOSE, CONTINUATION, TEXT, Wire, mask

__all__ = ["rest_of"]

_NORMAL = (1000).to_bytes(2, "big")


def rest_of(data: bytes, wire: Wire) -> bytes:
    """Return what ends the last frame of ``data``, and the message that it leaves open.

    A length that is not there yet is the least that may stand there, MASK is right, and a Close
    frame says 1000.
    """
    is_open = False
    while data:
        header, length, key = _read_header(data, wire)
        rest = header[len(data) :]
        arrived = data[len(header) : len(header) + length]
        if len(arrived) < length:
            payload = _filling(data[0] & 0x0F, length)
            rest += (mask(payload, key) if key else payload)[len(arrived) :]
        opcode, fin = data[0] & 0x0F, bool(data[0] & 0x80)
        if opcode in (TEXT, BINARY):
            is_open = not fin
        elif opcode == CONTINUATION:
            is_open = is_open and not fin
        data = data[len(header) + length :]
        if not data:
            return rest + (wire.frame(CONTINUATION) if is_open else b"")
    return b""


def _read_header(data: bytes, wire: Wire) -> tuple[bytes, int, bytes]:
    """Return a whole header that begins as ``data``, and the length and masking key in it."""
    header = data[:2] if len(data) > 1 else data + wire.begin(0, 0)[1:]
    length, size = header[1] & 0x7F, 0
    if length >= 126:
        size = 2 if length == 126 else 8
        least = (126 if size == 2 else 65536).to_bytes(size, "big")
        extended = (data[2 : 2 + size] + least[len(data[2 : 2 + size]) :])[:size]
        header += extended
        length = int.from_bytes(extended, "big")
    if not header[1] & 0x80:
        return header, length, b""
    at = len(header)
    key = data[at : at + 4] + wire.key[len(data[at : at + 4]) :]
    return header + key, length, key


def _filling(opcode: int, length: int) -> bytes:
    return (_NORMAL if opcode == CLOSE else b"xx")[:length] + b"x" * (length - 2)
