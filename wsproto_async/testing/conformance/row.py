"""A row of the table: what is sent, and what has to come of it, in words and as a predicate."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .received import Received
from .wire import BINARY, PONG, TEXT, Wire

if TYPE_CHECKING:
    from .peer import Peer

__all__ = [
    "PROBE",
    "Expectation",
    "Row",
    "Send",
    "accepted",
    "alive",
    "any_of",
    "anything",
    "close",
    "cut_off",
    "echo",
    "hang_up",
    "pong",
    "response_with",
    "response_without",
    "status",
]

PROBE = b"still there?"


@dataclass(frozen=True)
class Expectation:
    """``holds`` is asked after everything that arrives, and at the end.

    With ``probes`` a Ping is sent when the row has been; its Pong tells that the connection is
    open and that the row has been read. ``least`` is what the RFC leaves, where it leaves more.
    """

    text: str
    holds: Callable[[Received], bool]
    probes: bool = False
    least: Expectation | None = None

    def __str__(self) -> str:
        return self.text


_not_opened = Expectation(
    "an HTTP error, or the end", lambda got: not got.is_open and got.is_verdict
)
_failed = Expectation(
    "the end, after a Close frame but 1000 or none",
    lambda got: got.is_over and (got.close is None or got.close.close_code != 1000),
)
_answered = Expectation(
    "a Close frame, and the end", lambda got: got.close is not None and got.is_over
)


def status(*codes: int, header: tuple[str, str] | None = None) -> Expectation:
    """One response, which says ``Connection: close``, and the end of the connection."""

    def holds(got: Received) -> bool:
        says_so = "close" in got.headers.get("connection", "").lower().replace(" ", "").split(",")
        has_header = header is None or header[1] in got.headers.get(header[0].lower(), "")
        return got.status in codes and got.is_over and says_so and has_header

    words = " or ".join(map(str, codes))
    if header is not None:
        words = f"{words} with {': '.join(header)}"
    return Expectation(words, holds, least=_not_opened)


def close(*codes: int, answers: bool = False) -> Expectation:
    """One Close frame, and the end of the connection; ``answers`` another Close frame."""
    return Expectation(
        f"Close {' or '.join(map(str, codes))}",
        lambda got: got.close is not None and got.close.close_code in codes and got.is_over,
        least=_answered if answers else _failed,
    )


def _is_alive(got: Received) -> bool:
    return not got.is_verdict and any(
        frame.opcode == PONG and frame.payload == PROBE for frame in got.frames
    )


accepted = Expectation("101, and a Ping is answered", _is_alive, probes=True)
alive = Expectation("stays open: a Ping is answered", _is_alive, probes=True)
hang_up = Expectation(
    "hangs up", lambda got: got.is_over and got.status in (None, 101) and got.close is None
)
anything = Expectation("any end, in time", lambda got: got.is_over)


def echo(payload: bytes, opcode: int = TEXT) -> Expectation:
    """The message comes back."""
    size = f"of {len(payload)} bytes" if len(payload) > 20 or opcode == BINARY else repr(payload)
    return Expectation(
        f"the message {size}",
        lambda got: any(frame == (opcode, payload) for frame in got.frames),
    )


def pong(payload: bytes) -> Expectation:
    return Expectation("a Pong", lambda got: any(frame == (PONG, payload) for frame in got.frames))


def response_without(extension: str) -> Expectation:
    """101 that does not agree to an extension."""
    return Expectation(
        f"101 without {extension}",
        lambda got: _is_alive(got) and "sec-websocket-extensions" not in got.headers,
        probes=True,
    )


def response_with(name: str, value: str) -> Expectation:
    return Expectation(
        f"101 with {name}: {value}",
        lambda got: _is_alive(got) and value in got.headers.get(name.lower(), ""),
        probes=True,
    )


def cut_off(expectation: Expectation) -> Expectation:
    """And then whatever is still sent comes back as RST: the transport is gone."""
    return Expectation(
        f"{expectation}, and nobody listens any more",
        lambda got: expectation.holds(got) and got.is_cut_off,
    )


def any_of(*expectations: Expectation) -> Expectation:
    least = [each.least or each for each in expectations]
    return Expectation(
        ", or ".join(map(str, expectations)),
        lambda got: any(each.holds(got) for each in expectations),
        probes=any(each.probes for each in expectations),
        least=None if least == list(expectations) else any_of(*least),
    )


Send = bytes | Callable[[Wire], bytes]


@dataclass(frozen=True)
class Row:
    """One input, or one way to send.

    ``send`` goes out whole, and byte by byte as well unless ``cuts`` is False; ``play`` does
    something else with the connection in its place. ``opened`` rows follow an opening handshake
    with the header lines ``lines`` added. With ``proves``, the last byte of ``send`` is the one
    that proves what is wrong, so nothing may come before it. ``needs`` names what the server must
    offer or be set up with; see ``NEEDS`` in runner.py. ``size`` is that of its
    messages in bytes. ``raw`` rows do not speak TLS on a port
    that does. ``lasts`` is the limit whose time the reaction may take. ``memory`` bounds what the
    server may hold meanwhile, in bytes, beside what a connection at rest costs.
    """

    id: str
    title: str
    expect: Expectation
    send: Send = b""
    play: Callable[[Peer], Awaitable[None]] | None = None
    opened: bool = False
    proves: bool = False
    cuts: bool = True
    mirrors: bool = True
    lines: tuple[str, ...] = ()
    needs: frozenset[str] = field(default_factory=frozenset)
    raw: bool = False
    reads: bool = True
    size: int = 0
    lasts: str | None = None
    memory: Callable[[Wire], int] | None = None

    def data(self, wire: Wire) -> bytes:
        return self.send if isinstance(self.send, bytes) else self.send(wire)
