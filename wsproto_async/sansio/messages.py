"""Fragments -> whole, validated messages. The limits on a message live here."""

from __future__ import annotations

from ..codec.opcodes import OP_CONTINUATION, OP_TEXT
from ..codec.utf8 import Utf8Decoder
from ..exceptions import ProtocolError

__all__ = ["MessageAssembler"]


class MessageAssembler:
    """Assembles one message at a time.

    ``max_size`` bounds its payload in bytes, ``max_fragments`` the number of its frames; None
    lifts a limit. A message in several pieces is held in one buffer, an empty fragment costs
    nothing.
    """

    __slots__ = (
        "_buffer",
        "_decoder",
        "_fragments",
        "_max_fragments",
        "_max_size",
        "_opcode",
        "_size",
    )

    def __init__(self, max_size: int | None, max_fragments: int | None) -> None:
        self._max_size = max_size
        self._max_fragments = max_fragments
        self._opcode = OP_CONTINUATION
        self._size = 0
        self._fragments = 0
        self._buffer: bytearray | None = None
        self._decoder: Utf8Decoder | None = None

    @property
    def buffered(self) -> int:
        """How many bytes of an unfinished message are held."""
        return 0 if self._buffer is None else len(self._buffer)

    def begin_frame(self, opcode: int, length: int) -> None:
        """Account for a data frame, before its payload.

        Raises ProtocolError: 1009 if the message gets too big, 1008 if it has too many fragments.
        """
        if opcode != OP_CONTINUATION:
            self._opcode = opcode
            self._size = 0
            self._fragments = 0
        self._size += length
        if self._max_size is not None and self._size > self._max_size:
            raise ProtocolError(f"message over {self._max_size} bytes", 1009)
        self._fragments += 1
        if self._max_fragments is not None and self._fragments > self._max_fragments:
            raise ProtocolError(f"message in over {self._max_fragments} fragments", 1008)

    def add(self, payload: bytes, final: bool) -> str | bytes | None:
        """Append a piece of payload; return the message at its ``final`` piece.

        Raises ProtocolError(1007) at the first byte that is not UTF-8 in a text.
        """
        if final and self._buffer is None:
            return self._decode(payload) if self._opcode == OP_TEXT else payload
        if self._buffer is None:
            self._buffer = bytearray()
            self._decoder = Utf8Decoder() if self._opcode == OP_TEXT else None
        if self._decoder is not None:
            self._decoder.decode(payload, final)
        self._buffer += payload
        if not final:
            return None
        message = bytes(self._buffer) if self._decoder is None else self._buffer.decode()
        self._buffer = self._decoder = None
        return message

    @staticmethod
    def _decode(payload: bytes) -> str:
        try:
            return payload.decode()
        except UnicodeDecodeError:
            raise ProtocolError("text is not UTF-8", 1007) from None

    def discard(self) -> None:
        """Forget the unfinished message."""
        self._buffer = self._decoder = None

    def take(self) -> str | bytes:
        """Give out what is held of the unfinished message; empty if nothing is.

        A text is given up to its last whole character. The message that ``add`` returns later
        is then the rest.
        """
        if self._buffer is None:
            return b""
        if self._decoder is None:
            taken: str | bytes = bytes(self._buffer)
            self._buffer.clear()
            return taken
        whole = len(self._buffer) - self._decoder.pending
        taken = self._buffer[:whole].decode()
        del self._buffer[:whole]
        return taken
