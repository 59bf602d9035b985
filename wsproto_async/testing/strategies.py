"""Hypothesis strategies: messages, close codes, frames right and wrong, cuts, whole conversations.

Needs the extra ``testing``. Nothing is random but what Hypothesis draws, masking keys included, so
every example can be repeated and shrinks.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Final

from hypothesis import strategies as st

from ..codec.close import MAX_REASON_SIZE, Close, encode_close
from ..codec.frames import encode_header
from ..codec.mask import join_frame
from ..codec.opcodes import (
    OP_BINARY,
    OP_CLOSE,
    OP_CONTINUATION,
    OP_PING,
    OP_PONG,
    OP_TEXT,
    is_sendable_close_code,
)

__all__ = [
    "Conversation",
    "close_codes",
    "closes",
    "conversations",
    "cuts",
    "frames",
    "invalid_frames",
    "messages",
]

_CONTROL: Final = (OP_CLOSE, OP_PING, OP_PONG)
_UNKNOWN: Final = (*range(3, 8), *range(11, 16))
_MASK: Final = 0x80

# Where the header changes its form (RFC 6455 5.2).
_BOUNDARIES: Final = (0, 1, 124, 125, 126, 127, 65535, 65536)
# Each is wrong from its last byte on, wherever it stands.
_BAD_UTF8: Final = (b"\x80", b"\xc0", b"\xff", b"\xc3\x28", b"\xed\xa0", b"\xf4\x90", b"ok\xf8")


@dataclass(frozen=True)
class Conversation:
    """What a client says, from its first byte to its last, and what it means."""

    request: bytes
    """The upgrade request."""
    frames: bytes
    """All that follows."""
    messages: tuple[str | bytes, ...]
    """The messages in it, in their order."""
    pings: tuple[bytes, ...]
    """The payloads of the pings in it, which have to come back as pongs."""
    close: Close | None
    """How it ends; None if it only stops."""

    @property
    def data(self) -> bytes:
        """The whole stream."""
        return self.request + self.frames


def messages(max_size: int = 2**17) -> st.SearchStrategy[str | bytes]:
    """Text and binary messages of up to ``max_size`` bytes, those at the headers' limits too."""
    sizes = st.sampled_from([size for size in _BOUNDARIES if size <= max_size])
    text = st.text(max_size=max_size // 4)
    return st.one_of(
        text,
        st.binary(max_size=min(max_size, 1000)),
        sizes.map(bytes),
        sizes.map(lambda size: "x" * size),
    )


def close_codes(valid: bool = True) -> st.SearchStrategy[int]:
    """Close codes that may be sent (RFC 6455 7.4); with ``valid=False`` all others of 16 bits."""
    if valid:
        registered = [code for code in range(3000) if is_sendable_close_code(code)]
        return st.sampled_from(registered) | st.integers(3000, 4999)
    return st.sampled_from([0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535]) | st.integers(
        0, 65535
    ).filter(lambda code: not is_sendable_close_code(code))


def closes() -> st.SearchStrategy[Close]:
    """Close codes that may be sent, with reasons of up to 123 bytes."""
    reasons = st.text(max_size=MAX_REASON_SIZE).filter(
        lambda reason: len(reason.encode()) <= MAX_REASON_SIZE
    )
    return st.builds(Close, close_codes(), reasons)


def frames(masked: bool = True) -> st.SearchStrategy[bytes]:
    """Single frames that a connection may begin with, in bytes; ``masked`` as a client's are."""
    payloads = st.binary(max_size=300) | st.sampled_from(_BOUNDARIES).map(bytes)
    texts = st.text(max_size=300).map(str.encode)
    return st.one_of(
        _framed(st.just(OP_BINARY), payloads, masked, st.booleans()),
        _framed(st.just(OP_TEXT), texts, masked, st.booleans()),
        _framed(st.sampled_from([OP_PING, OP_PONG]), st.binary(max_size=125), masked),
        _framed(st.just(OP_CLOSE), closes().map(_close_payload) | st.just(b""), masked),
    )


def invalid_frames(masked: bool = True) -> st.SearchStrategy[bytes]:
    """Single frames for which a connection must be failed, whatever came before and comes after.

    No extension that uses a reserved bit may be agreed on. ``masked`` as for :func:`frames`.
    """
    short = st.binary(max_size=125)
    return st.one_of(
        # Reserved bits and opcodes, 5.2.
        st.builds(
            lambda bits, frame: bytes([frame[0] | bits]) + frame[1:],
            st.sampled_from([0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70]),
            frames(masked),
        ),
        _framed(st.sampled_from(_UNKNOWN), short, masked, st.booleans()),
        # The other direction's MASK, 5.1.
        frames(not masked),
        # A length in more bytes than it needs, 5.2.
        st.binary(max_size=125).map(lambda payload: _stretched(payload, masked)),
        # Control frames that are fragmented, or too long, 5.5.
        _framed(st.sampled_from(_CONTROL), short, masked, st.just(False)),
        _framed(st.sampled_from(_CONTROL), st.binary(min_size=126, max_size=300), masked),
        # Close frames, 5.5.1 and 7.4.
        _framed(st.just(OP_CLOSE), st.binary(min_size=1, max_size=1), masked),
        _framed(
            st.just(OP_CLOSE), close_codes(valid=False).map(lambda c: c.to_bytes(2, "big")), masked
        ),
        _framed(
            st.just(OP_CLOSE), st.sampled_from(_BAD_UTF8).map(lambda b: b"\x03\xe8" + b), masked
        ),
    )


def cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """Ways in which ``data`` may arrive: pieces that are ``data`` when they are joined."""
    if len(data) < 2:
        return st.just([data] if data else [])
    some = st.sets(st.integers(1, len(data) - 1), max_size=20)
    every = st.sampled_from([1, 2, 3, 7]).map(lambda size: set(range(size, len(data), size)))
    return st.one_of(some, every).map(lambda places: _cut(data, sorted(places)))


@st.composite
def conversations(draw: st.DrawFn, max_size: int = 2**17) -> Conversation:
    """Conversations in which a client does nothing wrong, up to the closing handshake or before.

    Messages of up to ``max_size`` bytes, whole or in fragments with pings and pongs between.
    """
    parts: list[bytes] = []
    sent: list[str | bytes] = []
    pings: list[bytes] = []

    def controls() -> None:
        for opcode, payload in draw(st.lists(_CONTROLS, max_size=2)):
            parts.append(draw(_framed(st.just(opcode), st.just(payload), True)))
            if opcode == OP_PING:
                pings.append(payload)

    for message in draw(st.lists(messages(max_size), max_size=5)):
        controls()
        opcode = OP_TEXT if isinstance(message, str) else OP_BINARY
        payload = message.encode() if isinstance(message, str) else message
        places = draw(st.lists(st.integers(0, len(payload)), max_size=3))
        pieces = _cut(payload, sorted(places))
        for number, piece in enumerate(pieces):
            is_last = number == len(pieces) - 1
            parts.append(draw(_framed(st.just(opcode), st.just(piece), True, st.just(is_last))))
            opcode = OP_CONTINUATION
            if not is_last:
                controls()
        sent.append(message)
    controls()
    close = draw(st.none() | closes())
    if close is not None:
        parts.append(draw(_framed(st.just(OP_CLOSE), st.just(_close_payload(close)), True)))
    key = draw(st.binary(min_size=16, max_size=16))
    return Conversation(_request(key), b"".join(parts), tuple(sent), tuple(pings), close)


_CONTROLS: Final = st.tuples(st.sampled_from([OP_PING, OP_PONG]), st.binary(max_size=125))


def _framed(
    opcodes: st.SearchStrategy[int],
    payloads: st.SearchStrategy[bytes],
    masked: bool,
    fins: st.SearchStrategy[bool] | None = None,
) -> st.SearchStrategy[bytes]:
    return st.builds(
        lambda opcode, payload, fin, key: join_frame(opcode | (0x80 if fin else 0), payload, key),
        opcodes,
        payloads,
        st.just(True) if fins is None else fins,
        st.binary(min_size=4, max_size=4) if masked else st.just(b""),
    )


def _stretched(payload: bytes, masked: bool) -> bytes:
    header = encode_header(OP_BINARY, 126)[:2] + len(payload).to_bytes(2, "big")
    if masked:
        return bytes([header[0], header[1] | _MASK]) + header[2:] + bytes(4) + payload
    return header + payload


def _close_payload(close: Close) -> bytes:
    return encode_close(close.code, close.reason)


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


def _request(key: bytes) -> bytes:
    lines = (
        "GET / HTTP/1.1",
        "Host: localhost",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {b64encode(key).decode()}",
        "Sec-WebSocket-Version: 13",
    )
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode()
