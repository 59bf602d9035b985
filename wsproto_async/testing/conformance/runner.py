"""Runs rows against any WebSocket server, or client, over a socket of its own."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from .peer import Peer
from .received import CUT_OFF, Received
from .row import PROBE, Row
from .rows import ROWS
from .wire import CLOSE, DEFLATE, PING, TEXT, Wire, accept_token, head

__all__ = [
    "NEEDS",
    "SET_UPS",
    "Outcome",
    "Target",
    "explore",
    "judge",
    "play_server",
    "run",
    "talk",
]

# What a row may need, and how the command line comes to know that it is there.
NEEDS = {
    "echo": "a server that sends every message back (tried)",
    "deflate": "permessage-deflate (tried)",
    "plain": "a port without TLS",
    "tls": "a port with TLS (--tls)",
    "max_size": "the largest message in bytes (--max-size)",
    "max_fragments": "the most frames in a message (--max-fragments)",
    "open_timeout": "the seconds for the opening handshake (--open-timeout)",
    "close_timeout": "the seconds for the end of a connection (--close-timeout)",
    "ping_timeout": "the seconds until a silent peer is dropped (--ping-timeout)",
    "send_timeout": "the seconds until a peer that takes nothing is dropped (--send-timeout)",
    "frame_timeout": "the seconds in which a begun frame must go on (--frame-timeout)",
}
# What else a server can be set up with for some of the rows (--set-up a,b).
SET_UPS = {
    "allowed_hosts": "other names than its own in Host are answered by 421",
    "basic_auth": "wants the user named user with the password password",
    "client": "is a client: only the tests are a server for it",
    "few_files": "may open fewer than 100 files",
    "health": "answers the path /health by 200",
    "max_connections": "takes one connection at a time",
    "max_connections_per_address": "takes one connection of an address at a time",
    "max_handshakes": "lets at most 5 handshakes wait",
    "origins": "refuses the pages of other origins",
    "proxy_protocol": "wants a PROXY header of this machine",
    "pushing": "sends messages without end",
    "raising": "fails for the texts raise, memory and cancel, and for the path /raise",
    "undecided": "never decides about a request",
    "wrong_subprotocol": "picks a subprotocol that was not offered",
}
_TO_SEND = 30.0  # seconds


@dataclass(frozen=True)
class Target:
    """The server, what it ``provides`` of what rows need, and its timeouts in seconds."""

    host: str
    port: int
    wire: Wire
    tls: ssl.SSLContext | None = None
    provides: frozenset[str] = frozenset()
    limits: Mapping[str, float] = field(default_factory=dict)
    patience: float = 5.0
    gap: float = 0.0

    def time(self, row: Row) -> float:
        return self.patience + (self.limits[row.lasts] if row.lasts is not None else 0.0)


class Outcome(NamedTuple):
    """``got`` says what came, or why the row was skipped.

    ``state`` is ok, WRONG, skipped, or late: the verdict waited for more than what proves it.
    """

    row: Row
    state: str
    got: str


OnSent = Callable[[], Awaitable[None]]


async def run(
    row: Row, target: Target, *, split: bool = False, on_sent: OnSent | None = None
) -> Outcome:
    """Run a row, whole or byte by byte; ``on_sent`` is awaited before the end of it."""
    missing = [
        NEEDS.get(need) or f"a server that {SET_UPS[need]} (--set-up {need})"
        for need in sorted(row.needs - target.provides)
    ]
    if row.size > target.wire.max_size and "max_size" in target.provides:
        missing.append(f"messages of {row.size} bytes (--max-size)")
    if missing:
        return Outcome(row, "skipped", f"needs {', '.join(missing)}")
    try:
        async with _connected(row, target) as peer:
            if row.opened:
                async with _in_time(target, "no opening handshake"):
                    await _open(peer, row.lines)
                if peer.received.status != 101:
                    return Outcome(row, "WRONG", f"no opening handshake: {peer.received}")
            await talk(row, peer, target.time(row), split=split, on_sent=on_sent)
            outcome = judge(row, peer.received)
            if outcome.state == "WRONG" and row.proves and not peer.received.is_verdict:
                await talk(replace(row, play=_go_on), peer, target.time(row))
                outcome = judge(row, peer.received)
                if outcome.state == "ok":
                    outcome = outcome._replace(state="late", got=f"{outcome.got}, later")
            return outcome
    except (OSError, TimeoutError) as exc:
        return Outcome(row, "WRONG", str(exc) or type(exc).__name__)


def judge(row: Row, received: Received) -> Outcome:
    # Who does not read may be cut off anywhere.
    is_faultless = received.fault in (None, None if row.reads else CUT_OFF)
    is_right = is_faultless and row.expect.holds(received)
    return Outcome(row, "ok" if is_right else "WRONG", str(received))


@asynccontextmanager
async def _connected(row: Row, target: Target) -> AsyncIterator[Peer]:
    with ExitStack() as stack:
        async with _in_time(target, "no connection"):
            sock = stack.enter_context(await _connect(row, target))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = Peer(sock, target.wire, Received(), target.gap)
        peer.lasts = target.limits.get(row.lasts or "", 0.0)
        if target.tls is not None and not row.raw:
            async with _in_time(target, "no TLS handshake"):
                await peer.start_tls(target.tls, target.host)
        yield peer


async def _connect(row: Row, target: Target) -> socket.socket:
    """Connect to the first of the host's addresses that takes it."""
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    errors: list[OSError] = []
    for family, kind, proto, _, address in infos:
        sock = socket.socket(family, kind, proto)
        try:
            sock.setblocking(False)
            if not row.reads:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
            await loop.sock_connect(sock, address)
            return sock
        except OSError as exc:
            sock.close()
            errors.append(exc)
        except BaseException:
            sock.close()
            raise
    raise errors[0]


@asynccontextmanager
async def _in_time(target: Target, failure: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(target.patience):
            yield
    except TimeoutError:
        raise TimeoutError(f"{failure} within {target.patience:g} s") from None


async def _open(peer: Peer, lines: Iterable[str]) -> None:
    await peer.send(peer.wire.request("", *lines))
    while not peer.received.is_open and await peer.receive():
        pass
    peer.sent = 0


async def talk(
    row: Row,
    peer: Peer,
    seconds: float,
    *,
    split: bool = False,
    on_sent: OnSent | None = None,
) -> None:
    """Send the row over a connection and read until its expectation holds, or the end.

    That may take so many ``seconds``, and sending a while itself.
    """
    reading = asyncio.create_task(_read(peer)) if row.reads else None
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(_TO_SEND + seconds):
                await _send(row, peer, split)
        if on_sent is not None:
            await on_sent()
        if reading is None:
            reading = asyncio.create_task(_read(peer))
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await _await_reaction(row, peer)
    finally:
        if reading is not None:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading


async def _read(peer: Peer) -> None:
    while await peer.receive():
        pass


async def _send(row: Row, peer: Peer, split: bool) -> None:
    with suppress(ConnectionError):  # the verdict may come while there is still something to send
        if row.play is not None:
            await row.play(peer)
            return
        data = row.data(peer.wire)
        if not split:
            await peer.send(data)
            return
        *pieces, last = _cut(data, b"" if row.opened else peer.wire.request())
        for piece in pieces:
            await peer.send(piece)
            await peer.pause()
        if row.proves and peer.received.is_verdict:
            peer.received.fault = "before the last byte"
        await peer.send(last)


def _common(one: bytes, other: bytes) -> int:
    """How many bytes both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _cut(data: bytes, right: bytes) -> list[bytes]:
    """Cut into single bytes what differs from a right request, or into pieces if that is long."""
    start = _common(data, right)
    end = len(data) - _common(data[start:][::-1], right[start:][::-1])
    if start == end:
        start, end = 0, len(data)
    size = 1 if end - start <= 200 else (end - start) // 100
    inner = [data[at : min(at + size, end - 1)] for at in range(start, end - 1, size)]
    return [piece for piece in (data[:start], *inner, data[end - 1 : end], data[end:]) if piece]


async def _go_on(peer: Peer) -> None:
    """End what has been begun, and no more than that if the verdict comes then."""
    for _ in range(2000):
        if peer.received.is_verdict:
            break
        await peer.send(b"\0")
        await peer.pause()


async def _await_reaction(row: Row, peer: Peer) -> None:
    received = peer.received
    probed = closed = False
    if peer.unsent:
        with suppress(ConnectionError):
            await peer.send(peer.unsent)
    while not received.is_over and received.fault is None and not row.expect.holds(received):
        if row.expect.probes and received.is_open and not probed:
            probed = True
            with suppress(ConnectionError):
                await peer.send(peer.wire.frame(PING, PROBE))
        if received.close is not None and not closed:
            # As RFC 6455 5.5.1 and 7.1.1 want it: an answer, and the server ends TCP.
            closed = True
            with suppress(ConnectionError):
                await peer.send(peer.wire.frame(CLOSE, received.close.payload[:2]))
            if not peer.wire.masked:
                peer.finish()
        peer.changed.clear()
        await peer.changed.wait()


async def play_server(
    row: Row, sock: socket.socket, wire: Wire, *, patience: float, split: bool = False
) -> Outcome:
    """Be the server of the client that has connected to ``sock``, and send the row to it."""
    received = Received(is_open=True, masked=True, deflated=DEFLATE in row.lines)
    peer = Peer(sock, wire, received, 0.0)
    loop = asyncio.get_running_loop()
    request = b""
    async with asyncio.timeout(patience):
        while b"\r\n\r\n" not in request:
            request += await loop.sock_recv(sock, 2**16)
    key = re.search(rb"Sec-WebSocket-Key: (.*)\r\n", request)
    assert key is not None
    await peer.send(
        head(
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept_token(key[1].decode())}",
            *row.lines,
        )
    )
    await talk(row, peer, patience, split=split)
    return judge(row, peer.received)


async def explore(target: Target) -> Target:
    """Try what the server offers: return the target that ``provides`` it too.

    Raises OSError or TimeoutError if it does not open a connection.
    """
    provides = set(target.provides)
    async with _connected(ROWS[0], target) as peer:
        async with _in_time(target, "no opening handshake"):
            await _open(peer, [DEFLATE])
        if peer.received.status != 101:
            raise ConnectionError(f"it does not open a connection: {peer.received}")
        if "sec-websocket-extensions" in peer.received.headers:
            provides.add("deflate")
        await peer.send(peer.wire.frame(TEXT, PROBE))
        with suppress(TimeoutError):
            async with asyncio.timeout(min(1.0, target.patience)):
                while not any(frame == (TEXT, PROBE) for frame in peer.received.frames):
                    if not await peer.receive():
                        break
                else:
                    provides.add("echo")
    return replace(target, provides=frozenset(provides))
