"""What passed on a link, kept in a file of JSON lines.

Each line is one delivery: ``{"at": 0.25, "to": "server", "data": "GET / HTTP/1.1\\r\\n"}``. A
character of ``data`` is a byte, so text can be read and searched. The end is ``"end": "eof"``, or
``"reset"``.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple, Self

from .direction import Direction, End
from .transcript import Transcript, is_head

__all__ = ["Piece", "Recording", "differences"]


class Piece(NamedTuple):
    """One delivery of a :class:`Recording`."""

    at: float
    """When, in seconds since the first of them."""
    direction: str
    """``"to_server"`` or ``"to_client"``."""
    data: bytes | End
    """The bytes, or how they ended: ``End.EOF`` or ``End.RESET``."""


class Recording:
    """What was delivered on a :class:`Link`, piece by piece; made by :meth:`Link.record`."""

    def __init__(self, pieces: Iterable[Piece] = ()) -> None:
        self.pieces = list(pieces)
        """Each a :class:`Piece`, in their order."""
        self._begun: float | None = None

    def observe(self, direction: Direction, data: bytes | End) -> None:
        now = asyncio.get_running_loop().time()
        if self._begun is None:
            self._begun = now
        self.pieces.append(Piece(now - self._begun, direction.name, data))

    def bytes_to(self, direction: str) -> bytes:
        """Return all bytes of a direction, ``"to_server"`` or ``"to_client"``."""
        return b"".join(
            piece.data
            for piece in self.pieces
            if piece.direction == direction and isinstance(piece.data, bytes)
        )

    def begins_with_head(self, direction: str) -> bool:
        """Tell if the first bytes of a direction are of the opening handshake."""
        data = self.bytes_to(direction)
        return bool(data) and is_head(data)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, in place of what is there; raises OSError."""
        Path(path).write_text("".join(f"{line}\n" for line in self._lines()), encoding="ascii")

    def _lines(self) -> Iterator[str]:
        for at, direction, data in self.pieces:
            what = (
                {"end": data.value} if isinstance(data, End) else {"data": data.decode("latin-1")}
            )
            yield json.dumps({"at": round(at, 6), "to": direction.removeprefix("to_"), **what})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read it from a file; raises OSError, and ValueError for what is no recording."""
        lines = Path(path).read_text(encoding="ascii").splitlines()
        return cls(_parse(number, line) for number, line in enumerate(lines, 1))


def _parse(number: int, line: str) -> Piece:
    try:
        found = json.loads(line)
        if found["to"] not in ("server", "client"):
            raise ValueError(found["to"])
        data = found["data"].encode("latin-1") if "data" in found else End(found["end"])
        return Piece(float(found["at"]), f"to_{found['to']}", data)
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise ValueError(f"line {number} is none of a recording: {line[:80]}") from exc


def differences(before: Recording, after: Recording) -> list[str]:
    """Compare what two recordings say, and return the first difference of each direction.

    Compared are the heads of the opening handshake, the bodies of refusals, and the frames, however
    they were split. What is another one for each connection is left out: masking keys,
    ``Sec-WebSocket-Key``, ``Sec-WebSocket-Accept`` and ``Date``; and so are times, pings and pongs,
    which go by the clock, and how TCP ended.
    """
    found = []
    for direction in ("to_server", "to_client"):
        has_head = any(each.begins_with_head(direction) for each in (before, after))
        both = zip_longest(_said(before, direction), _said(after, direction))
        for number, (old, new) in enumerate(both, 0 if has_head else 1):
            if old != new:
                what = f"frame {number}" if number else "head"
                found.append(f"{direction}, {what}: {old or 'nothing'} became {new or 'nothing'}")
                break
    return found


def _said(recording: Recording, direction: str) -> list[str]:
    transcript = Transcript(masked=direction == "to_server")
    transcript.feed(recording.bytes_to(direction))
    return transcript.end()
