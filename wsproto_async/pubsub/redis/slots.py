"""How a cluster divides its keys and channels: into 16,384 slots, each on one of its servers.

See Redis' cluster specification: the slot is a checksum of the key, or of what it has in its first
pair of braces.
"""

from __future__ import annotations

from binascii import crc_hqx
from typing import Final

__all__ = ["SLOTS", "slot_of"]

SLOTS: Final = 16_384


def slot_of(key: str | bytes | int) -> int:
    """Return the slot of a key or channel."""
    data = key if isinstance(key, bytes) else str(key).encode()
    begin = data.find(b"{") + 1
    end = data.find(b"}", begin)
    tag = data[begin:end] if begin and end > begin else data
    return crc_hqx(tag, 0) % SLOTS
