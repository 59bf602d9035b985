"""Payloads are masked and framed here, each copied once.

The compiled build has ``mask.pyx`` instead: C does it eight bytes at a time.
"""

from __future__ import annotations

from sys import maxsize
from typing import Final

__all__ = ["apply_mask", "join_frame", "make_header"]

# Big integers of this many bytes at a time: their cost stays linear and their memory small.
_STEP: Final = 1 << 16


def apply_mask(
    data: bytes, masking_key: bytes, start: int = 0, end: int = maxsize, key_start: int = 0
) -> bytes:
    """Return ``data[start:end]`` XORed with 4 bytes of ``masking_key``, repeated (RFC 6455 5.3).

    The 4 bytes begin at ``key_start``. Masking and unmasking are the same. A payload in several
    parts is unmasked part by part with the key rotated by the bytes that went before.
    """
    end = min(end, len(data))
    masking_key = masking_key[key_start : key_start + 4]
    if end - start <= _STEP:
        return _xor(data[start:end], masking_key)
    return b"".join(
        _xor(data[pos : min(pos + _STEP, end)], masking_key) for pos in range(start, end, _STEP)
    )


def join_frame(first: int, payload: bytes, masking_key: bytes) -> bytes:
    """Return a frame with the first byte ``first``, masked unless ``masking_key`` is empty."""
    header = make_header(first, len(payload), 0x80 if masking_key else 0)
    if masking_key:
        return b"".join((header, masking_key, apply_mask(payload, masking_key)))
    return header + payload


def make_header(first: int, length: int, mask_bit: int) -> bytes:
    """Return a frame's header up to the masking key; ``mask_bit`` is 0x80 or 0."""
    if length < 126:
        return bytes((first, mask_bit | length))
    if length < 65536:
        return bytes((first, mask_bit | 126, length >> 8, length & 0xFF))
    return bytes((first, mask_bit | 127)) + length.to_bytes(8, "big")


def _xor(data: bytes, masking_key: bytes) -> bytes:
    size = len(data)
    pad = masking_key * (size // 4) + masking_key[: size % 4]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(size, "little")
