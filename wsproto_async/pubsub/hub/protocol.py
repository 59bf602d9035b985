"""The frames between a process and its hub: no IO.

::

    length u32, of what follows | type u8 | fields

The process says HELLO, and the hub WELCOME. Then the process sends commands, and the hub answers
each, in order: with a frame of its own, or with one DONE for some that have nothing to tell. Among
the answers come publications, of which nothing but the topic is looked at here.

Fields are numbers, big-endian; strings of up to 255 bytes behind their length u8 (``*``); and one
of any length that goes to the end of the frame:

=========== ==================================== ==================================================
command     fields                               answer
=========== ==================================== ==================================================
HELLO       version u8, pid u32, 16 bytes        WELCOME: version u8, run 8 bytes
MESSAGE     topic*, publications                 DONE: count u32
PUBLISH     topic*, key*, size u32, age f64,     POSITION, of the first: epoch*, offset u64
            publications
SUBSCRIBE   topic*                               DONE
UNSUBSCRIBE topic*                               DONE
READ        topic*, epoch*, offset u64           PAGE: epoch*, offset u64, u8 if all is there, and
                                                 publications
ENTER       topic*, id*, u8 if silent, name      DONE
LEAVE       topic*, id*                          DONE
MEMBERS     topic*                               MEMBERS, as often as it takes: flags u8, and
                                                 members, each id*, length u32, name
PING                                             DONE
GOODBYE                                          DONE, when nothing is left of the process
=========== ==================================== ==================================================

Publications are MESSAGE, as it came, or KEPT: topic*, epoch*, offset u64 of the first,
publications. Each of them stands behind its length u32. A size of 0 is no retention, an empty epoch
no position, an empty key no key. Flags: 1 first, 2 last.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final

__all__ = [
    "DONE",
    "ENTER",
    "FIRST",
    "GOODBYE",
    "GREETING",
    "HELLO",
    "KEPT",
    "LAST",
    "LEAVE",
    "MAX_COMMAND",
    "MAX_FRAME",
    "MEMBERS",
    "MESSAGE",
    "PAGE",
    "PING",
    "POSITION",
    "PUBLISH",
    "READ",
    "RETAINED",
    "SUBSCRIBE",
    "U8",
    "U32",
    "U64",
    "UNSUBSCRIBE",
    "VERSION",
    "WELCOME",
    "WELCOMED",
    "Fields",
    "FrameError",
    "FrameReader",
    "frame_of",
    "message",
    "short",
    "split_kept",
    "split_publish",
    "topic_end",
]

VERSION: Final = 1

HELLO: Final = 1
MESSAGE: Final = 2
PUBLISH: Final = 3
SUBSCRIBE: Final = 4
UNSUBSCRIBE: Final = 5
READ: Final = 6
ENTER: Final = 7
LEAVE: Final = 8
MEMBERS: Final = 9
PING: Final = 10
GOODBYE: Final = 11

WELCOME: Final = 65
DONE: Final = 66
POSITION: Final = 67
PAGE: Final = 68
KEPT: Final = 69

FIRST: Final = 1
LAST: Final = 2

MAX_FRAME: Final = 2**25
"""Bytes: the largest command and a page of others have room in it."""
MAX_COMMAND: Final = 2**24 + 2**20
"""Bytes of what a process sends: the largest publication and a batch of others."""

U8: Final = Struct("!B")
U32: Final = Struct("!I")
U64: Final = Struct("!Q")
GREETING: Final = Struct("!BI16s")
"""The fields of HELLO."""
WELCOMED: Final = Struct("!B8s")
"""The fields of WELCOME."""
RETAINED: Final = Struct("!Id")
"""A retention."""

_HEAD: Final = Struct("!IB")
_MESSAGE: Final = Struct("!IBB")
_MAX_SHORT: Final = 255


class FrameError(ValueError):
    """What came is no frame, or not one that may come."""


def frame_of(kind: int, *fields: bytes) -> bytes:
    """Return a frame of fields that are bytes already."""
    body = b"".join(fields)
    return _HEAD.pack(len(body) + 1, kind) + body


def short(text: bytes) -> bytes:
    """Return a string behind its length; raises ValueError if it has more than 255 bytes."""
    if len(text) > _MAX_SHORT:
        raise ValueError(f"more than {_MAX_SHORT} bytes")
    return bytes((len(text),)) + text


def message(topic: bytes, publications: list[bytes]) -> bytes:
    """Return a MESSAGE."""
    length = 2 + len(topic) + sum(map(len, publications))
    return b"".join((_MESSAGE.pack(length, MESSAGE, len(topic)), topic, *publications))


def topic_end(frame: bytes) -> int:
    """Return where a topic that comes first ends, which begins at 6; raises FrameError."""
    end = 6 + frame[5] if len(frame) > 5 else 0
    if not 6 <= end <= len(frame):
        raise FrameError("frame is cut off")
    return end


def split_publish(frame: bytes) -> tuple[bytes, str, int, float, bytes]:
    """Return the topic behind its length, key, size, age and publications of a PUBLISH.

    Raises ValueError if it is none.
    """
    end = topic_end(frame)
    key_end = end + 1 + frame[end] if end < len(frame) else end
    begin = key_end + RETAINED.size
    if begin > len(frame):
        raise FrameError("frame is cut off")
    size, age = RETAINED.unpack_from(frame, key_end)
    return frame[5:end], frame[end + 1 : key_end].decode(), size, age, frame[begin:]


def split_kept(frame: bytes) -> tuple[bytes, bytes, int, bytes]:
    """Return the topic, epoch, offset and publications of a KEPT; raises FrameError."""
    end = topic_end(frame)
    epoch_end = end + 1 + frame[end] if end < len(frame) else end
    begin = epoch_end + U64.size
    if begin > len(frame):
        raise FrameError("frame is cut off")
    (offset,) = U64.unpack_from(frame, epoch_end)
    return frame[6:end], frame[end + 1 : epoch_end], offset, frame[begin:]


class FrameReader:
    """Cuts what comes into frames; what is incomplete waits, and is copied once."""

    def __init__(self, largest: int = MAX_FRAME) -> None:
        self._largest = largest
        self._rest = bytearray()
        self._needed = 0  # bytes until there is more to say about the rest

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames that are complete now, their heads included.

        Raises FrameError if there is none where one should be; nothing more may be fed then.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return []
            data = bytes(self._rest)
            self._rest.clear()
        frames = []
        begin = 0
        size = len(data)
        while size - begin >= 4:
            (length,) = U32.unpack_from(data, begin)
            if not 0 < length <= self._largest:
                raise FrameError(f"frame of {length} bytes")
            end = begin + 4 + length
            if end > size:
                self._needed = 4 + length
                break
            frames.append(data[begin:end])
            begin = end
        else:
            self._needed = 4
        if begin < size:
            self._rest += data[begin:]
        return frames


class Fields:
    """The fields of a frame, one after another; each method raises FrameError if there is none."""

    __slots__ = ("_at", "_frame")

    def __init__(self, frame: bytes) -> None:
        self._frame = frame
        self._at = _HEAD.size

    def short(self) -> bytes:
        """Take a string behind its length."""
        (length,) = self.raw(1)
        return self.raw(length)

    def text(self) -> str:
        """Take one that is UTF-8."""
        try:
            return self.short().decode()
        except UnicodeDecodeError as exc:
            raise FrameError("a string is not UTF-8") from exc

    def take(self, layout: Struct) -> tuple[Any, ...]:
        """Take what ``layout`` says."""
        return layout.unpack(self.raw(layout.size))

    def raw(self, length: int) -> bytes:
        """Take so many bytes."""
        begin, self._at = self._at, self._at + length
        if self._at > len(self._frame):
            raise FrameError("frame is cut off")
        return self._frame[begin : self._at]

    def rest(self) -> bytes:
        """Take all that is left."""
        return self.raw(len(self._frame) - self._at)

    def __bool__(self) -> bool:
        """Tell if there are more."""
        return self._at < len(self._frame)

    def end(self) -> None:
        """Raise FrameError if there are more."""
        if self:
            raise FrameError("frame is too long")
