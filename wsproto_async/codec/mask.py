"""XOR with the masking key (RFC 6455 5.3)."""

from __future__ import annotations

from typing import Final

__all__ = ["apply_mask"]

# Big integers of this many bytes at a time: their cost stays linear and their memory small.
_STEP: Final = 1 << 16


def apply_mask(data: bytes | bytearray | memoryview, masking_key: bytes) -> bytes:
    """Return ``data`` XORed with the 4 bytes of ``masking_key``, repeated.

    Masking and unmasking are the same. A payload in several parts is unmasked part by part with
    the key rotated by the bytes that went before.
    """
    size = len(data)
    if size <= _STEP:
        return _xor(data, masking_key, size)
    view = memoryview(data)
    return b"".join(
        _xor(view[start : start + _STEP], masking_key, min(_STEP, size - start))
        for start in range(0, size, _STEP)
    )


def _xor(data: bytes | bytearray | memoryview, masking_key: bytes, size: int) -> bytes:
    pad = masking_key * (size // 4) + masking_key[: size % 4]
    return (int.from_bytes(data, "little") ^ int.from_bytes(pad, "little")).to_bytes(size, "little")
