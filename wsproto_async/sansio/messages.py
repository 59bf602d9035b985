"""Fragments -> whole, decoded, validated messages. The limits on a message live here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..codec.opcodes import OP_CONTINUATION, OP_TEXT
from ..codec.parser import MAX_PAYLOAD
from ..codec.utf8 import Utf8Decoder
from ..exceptions import ProtocolError
from ..extensions.base import Codec
from .buffer import MessageBuffer

__all__ = ["ENCODED_STEP", "MessageAssembler"]

# Bytes that are given to the codec at a time: few enough to hold, and not too few to be worth it.
ENCODED_STEP: Final = 1024
_PIECE_COST: Final = 2048  # of the budget, beside what was decoded
_UNLIMITED: Final = MAX_PAYLOAD
# Bytes that a codec may look back, though they have been taken: DEFLATE's largest window.
_MEMORY: Final = 32768


class MessageAssembler:
    """Assembles one message at a time.

    ``max_size`` bounds its payload in bytes, as it comes and as ``codec`` decodes it,
    ``max_fragments`` the number of its frames; None lifts a limit. A message in several pieces is
    held in one buffer, an empty fragment costs nothing.

    ``budget`` is how much work may still be done before others get a turn. What the codec decodes
    is taken from it; when it is used up, ``is_decoding`` stays true until ``decode`` goes on.
    """

    __slots__ = (
        "_buffer",
        "_decoder",
        "_encoded",
        "_fragments",
        "_is_final",
        "_max_fragments",
        "_max_size",
        "_opcode",
        "_pieces",
        "_size",
        "_size_decoded",
        "budget",
        "codec",
        "is_decoding",
        "is_encoded",
    )

    def __init__(self, max_size: int | None, max_fragments: int | None) -> None:
        self._max_size = _UNLIMITED if max_size is None else min(max_size, _UNLIMITED)
        self._max_fragments = (
            _UNLIMITED if max_fragments is None else min(max_fragments, _UNLIMITED)
        )
        self._opcode = OP_CONTINUATION
        self._size = 0
        self._size_decoded = 0
        self._fragments = 0
        self._buffer: MessageBuffer | None = None
        self._decoder: Utf8Decoder | None = None
        self.codec: Codec | None = None
        self.is_encoded = False
        self._encoded = b""
        self._pieces: Iterator[bytes] | None = None  # what is being decoded
        self._is_final = False
        self.is_decoding = False
        self.budget = _UNLIMITED

    def buffered(self) -> int:
        """How many bytes of an unfinished message are held."""
        return 0 if self._buffer is None else self._buffer.size

    def begin_frame(self, opcode: int, length: int, is_encoded: bool = False) -> None:
        """Account for a data frame, before its payload; the first one tells of the codec's work.

        Raises ProtocolError: 1009 if the message gets too big, 1008 if it has too many fragments.
        """
        if opcode != OP_CONTINUATION:
            self._opcode = opcode
            self.is_encoded = is_encoded
            self._size = self._size_decoded = 0
            self._fragments = 0
        if length > self._max_size - self._size:
            raise self._too_big()
        self._size += length
        self._fragments += 1
        if self._fragments > self._max_fragments:
            raise ProtocolError(f"message in over {self._max_fragments} fragments", 1008)

    def _too_big(self) -> ProtocolError:
        return ProtocolError(f"message over {self._max_size} bytes", 1009)

    def add(self, payload: bytes, final: bool) -> str | bytes | None:
        """Append a piece of payload; return the message at its ``final`` piece.

        Encoded payload may wait for more of it until ``settle``, and a message for ``decode``.

        Raises ProtocolError: 1007 at the first byte that is not UTF-8 in a text, and what the
        codec raises.
        """
        if self._buffer is None:
            if final and not self.is_encoded:
                return self._decode(payload) if self._opcode == OP_TEXT else payload
            limit = None if self._max_size == _UNLIMITED else self._max_size
            self._buffer = MessageBuffer(limit, _MEMORY if self.is_encoded else 0)
            self._decoder = Utf8Decoder() if self._opcode == OP_TEXT else None
        if self.is_encoded:
            self._encoded += payload
            if final or len(self._encoded) >= ENCODED_STEP:
                return self._begin_decoding(final)
            return None
        self._hold(payload)
        return self._finish(self._buffer) if final else None

    def settle(self) -> None:
        """Decode what small fragments have brought together; raises what ``decode`` raises."""
        if self._encoded:
            self._begin_decoding(False)

    def _begin_decoding(self, final: bool) -> str | bytes | None:
        assert self.codec is not None
        encoded, self._encoded = self._encoded, b""
        self._pieces = self.codec.decode(encoded, final, self.recent)
        self._is_final = final
        self.is_decoding = True
        return self.decode()

    def decode(self) -> str | bytes | None:
        """Go on decoding; return the message at its end.

        Raises ProtocolError: 1009 if the message gets too big, 1007 if it is no text, and what the
        codec raises.
        """
        assert self._pieces is not None
        assert self._buffer is not None
        for piece in self._pieces:
            if len(piece) > self._max_size - self._size_decoded:
                raise self._too_big()
            self._size_decoded += len(piece)
            self.budget -= len(piece) + _PIECE_COST
            self._hold(piece)
            if self.budget < 0:
                return None
        self._pieces = None
        self.is_decoding = False
        return self._finish(self._buffer) if self._is_final else None

    def recent(self, size: int) -> bytes:
        """Return the last decoded bytes, at most ``size``; 32 KiB are known when taken, too."""
        return b"" if self._buffer is None else self._buffer.recent(size)

    def _hold(self, piece: bytes) -> None:
        assert self._buffer is not None
        if self._decoder is not None:
            self._decoder.decode(piece, False)
        self._buffer.append(piece)

    def _finish(self, buffer: MessageBuffer) -> str | bytes:
        decoder = self._decoder
        self._buffer = self._decoder = None
        if decoder is None:
            return buffer.getvalue()
        decoder.decode(b"", True)
        return buffer.getvalue().decode()

    def _decode(self, payload: bytes) -> str:
        try:
            return payload.decode()
        except UnicodeDecodeError:
            raise ProtocolError("text is not UTF-8", 1007) from None

    def discard(self) -> None:
        """Forget the unfinished message, and the codec."""
        self._buffer = self._decoder = self.codec = self._pieces = None
        self._encoded = b""
        self.is_decoding = False

    def take(self) -> str | bytes:
        """Give out what is held of the unfinished message; empty if nothing is.

        A text is given up to its last whole character. The message that ``add`` returns later
        is then the rest.
        """
        if self._buffer is None:
            return b""
        if self._decoder is None:
            return self._buffer.take(self._buffer.size)
        return self._buffer.take(self._buffer.size - self._decoder.pending).decode()
