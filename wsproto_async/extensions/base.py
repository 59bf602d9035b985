"""What an extension is: one that negotiates, and a codec for each connection that agrees.

An :class:`Extension` is configured once and shared by all connections. Where both ends agree, it
makes a :class:`Codec`, which encodes the payloads of messages and decodes them. A connection uses
one extension at most. Extensions know nothing of connections, frames' headers or IO.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence

__all__ = ["Codec", "Extension", "Parameters", "Recent"]

Parameters = Sequence[tuple[str, str | None]]
"""An extension's parameters in their order, as ``(name, value)``; a value that was quoted still
is, and None stands for no value."""

Recent = Callable[[int], bytes]
"""Returns the last decoded bytes of the message that is being received, at most so many; 32 KiB of
them are always known."""


class Codec(ABC):
    """Encodes and decodes the messages of one connection."""

    __slots__ = ()

    rsv: int
    """The reserved bits that mark an encoded message in its first frame's first byte: 0x40 for
    RSV1, 0x20 for RSV2, 0x10 for RSV3."""

    encoding: Hashable = None
    """Codecs with the same ``encoding`` encode a message into the same bytes, whatever went
    before, so that a broadcast encodes once for all; None: each has to encode for itself."""

    @abstractmethod
    def wants(self, payload: bytes) -> bool:
        """Tell if a message that begins with ``payload`` is worth encoding, unless told."""

    @abstractmethod
    def encode(self, payload: bytes, fin: bool) -> bytes:
        """Return the payload of the next frame of a message; ``fin`` tells if it is the last."""

    @abstractmethod
    def decode(self, payload: bytes, fin: bool, recent: Recent) -> Iterator[bytes]:
        """Decode some of an encoded message's payload: yield what it becomes, piece by piece.

        Payloads are cut anywhere; ``fin`` tells the last one. Between two small pieces the limits
        are looked at, and other connections may get a turn; a piece may be empty. Raises
        ProtocolError for a payload that is none.
        """


class Extension(ABC):
    """An extension with its settings, for one of ``serve``'s or ``connect``'s ``extensions``."""

    name: str
    """Its token in Sec-WebSocket-Extensions."""

    @abstractmethod
    def offer(self) -> Parameters:
        """Return what a client offers."""

    @abstractmethod
    def accept(self, offered: Parameters) -> tuple[Parameters, Codec] | None:
        """Return a server's answer to an offer, and its codec; None declines the offer."""

    @abstractmethod
    def finalize(self, accepted: Parameters) -> Codec:
        """Return a client's codec, now that the server has accepted the offer.

        Raises InvalidExtension if the answer does not fit the offer: the handshake fails then.
        """
