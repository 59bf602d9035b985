"""Incremental UTF-8 (RFC 6455 8.1): wrong at the first byte that no continuation can mend."""

from __future__ import annotations

from codecs import utf_8_decode

from ..exceptions import ProtocolError

__all__ = ["Utf8Decoder"]


class Utf8Decoder:
    """Decodes text that arrives in pieces; holds at most the 3 bytes of an unfinished character."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b""

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished character are held."""
        return len(self._tail)

    def decode(self, piece: bytes, final: bool) -> str:
        """Return the characters that ``piece`` completes.

        Raises ProtocolError(1007) at the first wrong byte, and with ``final`` when the text ends
        in the middle of a character.
        """
        if self._tail:
            piece = self._tail + piece
        try:
            text, used = utf_8_decode(piece, "strict", final)
        except UnicodeDecodeError:
            raise ProtocolError("text is not UTF-8", 1007) from None
        self._tail = piece[used:]
        # CPython's decoder waits for the third byte of a surrogate before it refuses it.
        if self._tail[:1] == b"\xed" and self._tail[1:2] >= b"\xa0":
            raise ProtocolError("text is not UTF-8", 1007)
        return text
