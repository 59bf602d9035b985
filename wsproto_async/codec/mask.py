"""XOR with the masking key (RFC 6455 5.3). The compiled build has ``mask.pyx`` instead."""

from __future__ import annotations

from sys import maxsize
from typing import Final

__all__ = ["apply_mask"]

# Big integers of this many bytes at a time: their cost stays linear and their memory small.
_STEP: Final = 1 << 16


def apply_mask(data: bytes, masking_key: bytes, start: int = 0, end: int = maxsize) -> bytes:
    """Return ``data[start:end]`` XORed with the 4 bytes of ``masking_key``, repeated.

    Masking and unmasking are the same. A payload in several parts is unmasked part by part with
    the key rotated by the bytes that went before.
    """
    end = min(end, len(data))
    if end - start <= _STEP:
        return _xor(data[start:end], masking_key)
    return b"".join(
        _xor(data[pos : min(pos + _STEP, end)], masking_key) for pos in range(start, end, _STEP)
    )


def _xor(data: bytes, masking_key: bytes) -> bytes:
    size = len(data)
    pad = masking_key * (size // 4) + masking_key[: size % 4]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(size, "little")
