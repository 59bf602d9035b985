"""permessage-deflate: payload <-> DEFLATE (RFC 7692 7.2).

Laws: inflating stops as soon as the message is full. A message that ends in the middle of its
DEFLATE data is an error. Without context takeover nothing is kept between messages: what is
decoded never comes from another message, nor what is encoded.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Hashable, Iterator
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

from ..exceptions import ProtocolError
from .base import Codec, Recent

__all__ = ["DeflateCodec"]

RSV1: Final = 0x40

# 7.2.1: what a flush ends with, and no message carries.
_TAIL: Final = b"\x00\x00\xff\xff"
# After the tail, a final block that holds one byte shows if the data before it was complete.
_SENTINEL: Final = b"\x01\x01\x00\xfe\xff!"
# What it inflates to, and leaves unread: all of it where the tail belonged to a final block.
_COMPLETE: Final = ((b"!", b""), (b"", _SENTINEL))

_OUTPUT_SIZE: Final = 4096
_THRESHOLD: Final = 1024  # bytes; smaller messages hardly shrink
_MAX_FINAL_BLOCKS: Final = 4096  # in a message: each costs as much as a kilobyte of data
_HISTORY_SLACK: Final = 4096  # bytes beyond the window, so that it is not trimmed every time


class _SharedDeflaters(threading.local):
    """A thread's deflaters, one for each level and window, which a full flush makes forget."""

    def __init__(self) -> None:
        self.by_setting: dict[Hashable, Any] = {}

    def encode(self, level: int, bits: int, payload: bytes) -> bytes:
        deflater = self.by_setting.pop((level, bits), None)
        if deflater is None:
            deflater = _new_shared_deflater(level, bits)
        data: bytes = deflater.compress(payload) + deflater.flush(zlib.Z_FULL_FLUSH)
        # Not after an exception in between, which anything may raise: it has not forgotten then.
        self.by_setting[level, bits] = deflater
        return data


_shared_deflaters: Final = _SharedDeflaters()
# Optional: the extra "isal".
_isal: Any = None if find_spec("isal") is None else import_module("isal.isal_zlib")


def _new_deflater(level: int, bits: int) -> Any:
    # zlib makes no raw DEFLATE with a window of 2**8, but with 2**9 it uses only 250 bytes of it.
    return zlib.compressobj(level, zlib.DEFLATED, -max(bits, 9))


def _new_shared_deflater(level: int, bits: int) -> Any:
    # ISA-L's level 1 compresses like zlib's in half the time; its state is too big for every
    # connection to have one. The peer's data are left to zlib.
    if _isal is not None and level == 1 and bits > 8:
        return _isal.compressobj(level, zlib.DEFLATED, -bits)
    return _new_deflater(level, bits)


class _Setting(NamedTuple):
    """What does not change, once for all connections with the same parameters."""

    level: int
    encode_bits: int
    encoding: Hashable
    decode_bits: int
    output_size: int


@cache
def _setting(level: int, encode_bits: int, encode_stateless: bool, decode_bits: int) -> _Setting:
    encoding = ("permessage-deflate", level, encode_bits) if encode_stateless else None
    # zlib sees that a distance is outside of the window where it is outside of this as well.
    output_size = _OUTPUT_SIZE if decode_bits == 15 else 2**decode_bits // 8
    return _Setting(level, encode_bits, encoding, decode_bits, output_size)


class DeflateCodec(Codec):
    """One connection's compression, as agreed.

    ``threshold`` is the least size to compress, None for 1024 or what the peer compresses itself;
    ``encode_stateless`` and ``decode_stateless`` stand for no context takeover.
    """

    __slots__ = (
        "_deflater",
        "_final_blocks",
        "_follows_peer",
        "_history",
        "_inflater",
        "_setting",
        "_size",
        "_threshold",
    )

    rsv = RSV1

    def __init__(
        self,
        level: int,
        threshold: int | None,
        *,
        encode_bits: int,
        encode_stateless: bool,
        decode_bits: int,
        decode_stateless: bool,
    ) -> None:
        self._setting = _setting(level, encode_bits, encode_stateless, decode_bits)
        self._threshold = _THRESHOLD if threshold is None else threshold
        self._follows_peer = threshold is None
        self._deflater: Any = None if encode_stateless else _new_deflater(level, encode_bits)
        self._inflater: Any = None
        self._size = 0
        self._final_blocks = 0
        # The end of the messages before, while the window reaches back to them.
        self._history: bytearray | None = None if decode_stateless else bytearray()

    @property
    def encoding(self) -> Hashable:  # type: ignore[override]
        return self._setting.encoding

    def wants(self, payload: bytes) -> bool:
        return len(payload) >= self._threshold

    def encode(self, payload: bytes, fin: bool) -> bytes:
        deflater, setting = self._deflater, self._setting
        if deflater is None:
            data = _shared_deflaters.encode(setting.level, setting.encode_bits, payload)
        else:
            data = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
        if not fin:
            return data
        # Nothing to flush, nothing came: an empty block without its tail then (7.2.3.6).
        return data[: -len(_TAIL)] or b"\x00"

    def decode(self, payload: bytes, fin: bool, recent: Recent) -> Iterator[bytes]:
        data, is_full = payload, False
        try:
            if self._inflater is None and not self._final_blocks:
                self._inflater = self._new_inflater(recent)
            while data or is_full:
                inflater = self._inflater
                if inflater is None:
                    inflater = self._inflater = self._new_inflater(recent)
                piece = inflater.decompress(data, self._setting.output_size)
                if inflater.eof:
                    # 7.2.3.4: a final block ends zlib's stream, but neither message nor window.
                    data, is_full = inflater.unused_data, False
                    self._inflater = None
                    self._final_blocks += 1
                else:
                    data = inflater.unconsumed_tail
                    is_full = len(piece) == self._setting.output_size
                self._size += len(piece)
                if self._history and self._size >= 2**self._setting.decode_bits:
                    self._history.clear()
                yield piece  # a final block is work, though nothing may come of it
                if self._final_blocks > _MAX_FINAL_BLOCKS:
                    raise ProtocolError(f"message in over {_MAX_FINAL_BLOCKS} final blocks", 1008)
            if fin:
                self._finish(recent)
        except zlib.error:
            raise ProtocolError("payload is not valid DEFLATE data", 1007) from None

    def _new_inflater(self, recent: Recent) -> Any:
        """Return an inflater for what follows, whose window holds what came before."""
        window = 2**self._setting.decode_bits
        last = recent(window)
        missing = window - len(last)
        if self._history and missing:
            last = bytes(self._history[-missing:]) + last
        if not last:
            return zlib.decompressobj(-self._setting.decode_bits)
        return zlib.decompressobj(-self._setting.decode_bits, last)

    def _remember(self, history: bytearray, recent: Recent) -> None:
        window = 2**self._setting.decode_bits
        history += recent(window)
        if len(history) > window + _HISTORY_SLACK:
            del history[:-window]

    def _finish(self, recent: Recent) -> None:
        """Check that the message ends where its DEFLATE data does."""
        inflater = self._inflater
        if self._follows_peer and self._size < self._threshold:
            self._threshold = self._size
        self._size = self._final_blocks = 0
        if self._history is not None:
            self._remember(self._history, recent)
        if inflater is None:
            return  # with a final block
        check = inflater if self._history is None else inflater.copy()
        found = check.decompress(_TAIL + _SENTINEL, 2), check.unused_data
        if not check.eof or found not in _COMPLETE:
            raise ProtocolError("message ends inside its DEFLATE data", 1007)
        if self._history is not None:
            inflater.decompress(_TAIL)
        if inflater.eof:
            self._inflater = None
