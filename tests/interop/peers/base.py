"""What every peer can do, and the messages and codes that are tried with each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from ssl import SSLContext
from typing import NamedTuple, Protocol

Message = str | bytes

# Every place where the length field of a frame changes its form, and a message of several reads.
SIZES = (0, 1, 125, 126, 127, 65_535, 65_536, 100_000)

# The longest reason that a Close frame can hold: 123 bytes, of which 3 are one character.
LONGEST_REASON = "r" * 120 + "€"

CLOSES = (
    (1000, ""),
    (1000, "done"),
    (1001, "going away"),
    (1008, "policy"),
    (1011, "oops"),
    (3000, "registered"),
    (4999, LONGEST_REASON),
)

# The body of the 403 that servers here answer on the path /refused.
REFUSAL = "members only\n"


class Closed(Exception):
    """What a peer saw of the end of its connection; 1006 if there was no Close frame."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.seen = (code, reason)


class Certificates(NamedTuple):
    """PEM text: the authority's certificate, a server's chain and its key."""

    authority: str
    chain: str
    key: str


class Security(NamedTuple):
    """The TLS contexts of a link and what is in them, all None over plain TCP."""

    server: SSLContext | None = None
    client: SSLContext | None = None
    certificates: Certificates | None = None

    def uri(self, port: int, path: str = "/", *, scheme: str = "ws") -> str:
        return f"{scheme}{'s' if self.server else ''}://127.0.0.1:{port}{path}"


class Peer(Protocol):
    """One connection of another library. Not every library has every method."""

    subprotocol: str | None
    headers: Mapping[str, str]

    async def send(self, message: Message) -> None: ...
    async def send_fragments(self, fragments: Sequence[Message]) -> None: ...
    async def recv(self) -> Message: ...
    async def ping(self, payload: bytes) -> None:
        """Send a ping and wait for the pong that carries the same payload."""

    async def close(self, code: int, reason: str) -> int:
        """Run the closing handshake; give the code that the other side answered."""

    def abort(self) -> None:
        """Cut the TCP connection off."""


Handler = Callable[[Peer], Awaitable[None]]


def text_of(size: int) -> str:
    """Text of exactly `size` bytes of UTF-8, with characters of 1 to 4 bytes."""
    whole, rest = divmod(size, len("aé€😀".encode()))
    return "aé€😀" * whole + "x" * rest


def binary_of(size: int) -> bytes:
    """`size` bytes, every value among them."""
    return bytes(range(256)) * (size // 256) + bytes(range(size % 256))
