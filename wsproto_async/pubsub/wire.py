"""Publications as bytes, from one process to another.

::

    length u32, of what follows
    | version u8 | kind u8 | flags u8 | slow u8 | key length u8 | exclude 16 bytes, if flagged
    | key | payload

Flags: 1 text, 2 exclude, 4 compress, 8 do not compress. ``slow`` is 0 for what the topic says,
else the policy's place in the list of policies. The topic and the position stand outside: several
of one topic, whose positions follow each other, stand one behind the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import repeat
from struct import Struct
from typing import Final, get_args

from .broker import MAX_PAYLOAD
from .publication import Kind, Position, Publication, positions
from .topic import Slow

__all__ = ["decode", "decode_all", "decode_epoch", "encode", "parts"]

VERSION: Final = 1
_LENGTH: Final = Struct("!I")
_HEAD: Final = Struct("!5B")
_BEGIN: Final = Struct("!I5B")  # both
_EXCLUDE: Final = 16
_MAX_LENGTH: Final = MAX_PAYLOAD + _HEAD.size + _EXCLUDE + 255
_MAX_AT_ONCE: Final = 1024  # publications; a batch has fewer
_POLICIES: Final[tuple[str | None, ...]] = (None, *get_args(Slow))
_SLOW: Final = {policy: number for number, policy in enumerate(_POLICIES)}
_KINDS: Final = tuple(Kind)
_COMPRESS: Final = {None: 0, True: 4, False: 8}
_COMPRESSED: Final = {0: None, 4: True, 8: False}


def encode(publication: Publication) -> bytes:
    """Return the bytes of a publication, behind their length."""
    key = publication.key.encode() if publication.key else b""
    exclude = publication.exclude
    payload = publication.payload
    flags = publication.is_text | (2 if exclude else 0) | _COMPRESS[publication.compress]
    begin = _BEGIN.pack(
        _HEAD.size + len(exclude) + len(key) + len(payload),
        VERSION,
        publication.kind,
        flags,
        _SLOW[publication.slow],
        len(key),
    )
    return b"".join((begin, exclude, key, payload)) if key or exclude else begin + payload


def parts(data: bytes) -> Iterator[tuple[int, int]]:
    """Return where the publications begin, behind their length, and end: one at least.

    Raises ValueError if one is cut off, or if they are too many.
    """
    end, size, left = 0, len(data), _MAX_AT_ONCE
    while end < size or not end:
        if not left:
            raise ValueError("too many publications at once")
        left -= 1
        begin = end + _LENGTH.size
        end = begin + _LENGTH.unpack_from(data, end)[0] if begin <= size else begin
        if end > size:
            raise ValueError("publication is cut off")
        yield begin, end


def decode_all(topic: str, data: bytes, first: Position | None = None) -> list[Publication]:
    """Return the publications in ``data``, of which the first is at ``first``.

    Raises ValueError if there is anything else in it.
    """
    begin, end = _LENGTH.size, len(data)
    if end > begin and _LENGTH.unpack_from(data)[0] == end - begin:  # most are alone
        return [_decode(topic, data, begin, end, first)]
    where = repeat(None) if first is None else positions(first)
    return [
        _decode(topic, data, begin, end, position)
        for (begin, end), position in zip(parts(data), where, strict=False)
    ]


def decode(topic: str, data: bytes, position: Position | None = None) -> Publication:
    """Return the publication in ``data``, which begins behind its length.

    Raises ValueError for anything else, and for what is too large.
    """
    return _decode(topic, data, 0, len(data), position)


def _decode(
    topic: str, data: bytes, begin: int, end: int, position: Position | None
) -> Publication:
    if end - begin > _MAX_LENGTH:
        raise ValueError(f"publication of {end - begin} bytes is too large")
    if end - begin < _HEAD.size:
        raise ValueError("publication is cut off")
    version, kind, flags, slow, key_length = _HEAD.unpack_from(data, begin)
    if version != VERSION:
        raise ValueError(f"publication of version {version}")
    begin += _HEAD.size
    payload = data[begin:end]
    publication = Publication(topic, payload, flags & 1 == 1)
    publication.position = position
    if kind or slow or key_length or flags > 1:  # few have any
        if kind >= len(_KINDS) or slow >= len(_POLICIES) or flags & 0xF0 or flags & 12 == 12:
            raise ValueError("publication has an unknown kind, flag or policy")
        exclude_end = _EXCLUDE if flags & 2 else 0
        key_end = exclude_end + key_length
        if len(payload) < key_end:
            raise ValueError("publication is cut off")
        publication.kind = _KINDS[kind]
        publication.slow = _POLICIES[slow]
        publication.compress = _COMPRESSED[flags & 12]
        publication.exclude = payload[:exclude_end]
        publication.key = payload[exclude_end:key_end].decode()
        publication.payload = payload[key_end:]
    if flags & 1:
        publication.payload.decode()  # raises UnicodeDecodeError, which is a ValueError
    return publication


@lru_cache(maxsize=4096)
def decode_epoch(text: bytes) -> str:
    """Return the epoch that ``text`` is; raises ValueError if it is none."""
    return Position.parse(f"{text.decode()}:0").epoch
