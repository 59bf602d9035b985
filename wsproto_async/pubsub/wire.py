"""Publications as bytes, from one process to another.

::

    version u8 | kind u8 | flags u8 | slow u8 | key length u8 | exclude 16 bytes, if flagged
    | key | payload

Flags: 1 text, 2 exclude, 4 compress, 8 do not compress. ``slow`` is 0 for what the topic says,
else the policy's place in the list of policies. The topic and the position stand outside.
"""

from __future__ import annotations

from typing import Final, get_args

from .broker import MAX_PAYLOAD
from .publication import Kind, Position, Publication
from .topic import Slow

__all__ = ["decode", "encode"]

VERSION: Final = 1
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
    if len(data) < _HEAD:
        raise ValueError("publication is cut off")
    version, kind, flags, slow, key_length = data[:_HEAD]
    if version != VERSION:
        raise ValueError(f"publication of version {version}")
    if kind >= len(_KINDS) or slow >= len(_POLICIES) or flags & 0xF0 or flags & 12 == 12:
        raise ValueError("publication has an unknown kind, flag or policy")
    begin = _HEAD + (_EXCLUDE if flags & 2 else 0)
    end = begin + key_length
    if len(data) < end:
        raise ValueError("publication is cut off")
    payload = data[end:]
    if flags & 1:
        payload.decode()  # raises UnicodeDecodeError, which is a ValueError
    return Publication(
        topic,
        payload,
        bool(flags & 1),
        kind=_KINDS[kind],
        key=data[begin:end].decode(),
        slow=_POLICIES[slow],
        compress=_COMPRESSED[flags & 12],
        exclude=data[_HEAD:begin],
        position=position,
    )
