"""Publications as bytes, from one process to another.

::

    version u8 | kind u8 | flags u8 | slow u8 | key length u8 | exclude 16 bytes, if flagged
    | key | payload

Flags: 1 text, 2 exclude, 4 compress, 8 do not compress. ``slow`` is 0 for what the topic says,
else the policy's place in the list of policies. The topic and the position stand outside.

Of several, which are of one topic and follow each other, each stands behind its length u32.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import Final, get_args

from .broker import MAX_PAYLOAD
from .publication import Kind, Position, Publication
from .topic import Slow

__all__ = ["decode", "decode_all", "decode_epoch", "encode", "sized", "split"]

VERSION: Final = 1
_U32: Final = Struct("!I")
_HEAD: Final = 5
_EXCLUDE: Final = 16
_POLICIES: Final[tuple[str | None, ...]] = (None, *get_args(Slow))
_KINDS: Final = tuple(Kind)
_COMPRESS: Final = {None: 0, True: 4, False: 8}
_COMPRESSED: Final = {0: None, 4: True, 8: False}


def encode(publication: Publication) -> bytes:
    """Return the bytes of a publication."""
    key = publication.key.encode()
    exclude = publication.exclude
    flags = publication.is_text | (2 if exclude else 0) | _COMPRESS[publication.compress]
    slow = _POLICIES.index(publication.slow)
    head = bytes((VERSION, publication.kind, flags, slow, len(key)))
    return b"".join((head, exclude, key, publication.payload))


def decode(topic: str, data: bytes, position: Position | None = None) -> Publication:
    """Return the publication that ``encode`` has made ``data`` of.

    Raises ValueError for anything else, and for what is too large.
    """
    if len(data) > MAX_PAYLOAD + _HEAD + _EXCLUDE + 255:
        raise ValueError(f"publication of {len(data)} bytes is too large")
    is_text, kind, slow, compress, begin, end = _decode_head(data[:_HEAD])
    if len(data) < end:
        raise ValueError("publication is cut off")
    payload = data[end:]
    if is_text:
        payload.decode()  # raises UnicodeDecodeError, which is a ValueError
    return Publication(
        topic,
        payload,
        is_text,
        kind=kind,
        key=data[begin:end].decode(),
        slow=slow,
        compress=compress,
        exclude=data[_HEAD:begin],
        position=position,
    )


def sized(data: bytes) -> bytes:
    """Return a part behind its length."""
    return _U32.pack(len(data)) + data


def split(data: bytes) -> list[bytes]:
    """Return the parts that each stand behind their length, at least one.

    Raises ValueError if one is cut off.
    """
    parts: list[bytes] = []
    end, size = 0, len(data)
    while end < size or not parts:
        begin = end + _U32.size
        end = begin + _U32.unpack_from(data, end)[0] if begin <= size else begin
        if end > size:
            raise ValueError("publication is cut off")
        parts.append(data[begin:end])
    return parts


def decode_all(topic: str, data: bytes, first: Position | None = None) -> list[Publication]:
    """Return several publications, of which the first is at ``first``; raises ValueError."""
    if first is None:
        return [decode(topic, part) for part in split(data)]
    epoch, offset = first
    return [
        decode(topic, part, Position(epoch, number))
        for number, part in enumerate(split(data), offset)
    ]


# Most publications have one of a few heads.
@lru_cache(maxsize=1024)
def _decode_head(head: bytes) -> tuple[bool, Kind, str | None, bool | None, int, int]:
    """Return the flags, and where the key begins and ends."""
    if len(head) < _HEAD:
        raise ValueError("publication is cut off")
    version, kind, flags, slow, key_length = head
    if version != VERSION:
        raise ValueError(f"publication of version {version}")
    if kind >= len(_KINDS) or slow >= len(_POLICIES) or flags & 0xF0 or flags & 12 == 12:
        raise ValueError("publication has an unknown kind, flag or policy")
    begin = _HEAD + (_EXCLUDE if flags & 2 else 0)
    end = begin + key_length
    return bool(flags & 1), _KINDS[kind], _POLICIES[slow], _COMPRESSED[flags & 12], begin, end


@lru_cache(maxsize=4096)
def decode_epoch(text: bytes) -> str:
    """Return the epoch that ``text`` is; raises ValueError if it is none."""
    return Position.parse(f"{text.decode()}:0").epoch
