"""TCP, TLS, crowds, and applications that fail."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack, suppress

from ..peer import Peer
from ..row import Expectation, Row, alive, any_of, anything, close, hang_up, status
from ..wire import BINARY, PONG, TEXT, head

__all__ = ["TRANSPORT"]

nothing = Expectation("nothing", lambda got: True)
ended = any_of(hang_up, close(1000, 1001, 1002, 1005, 1011))
shed = any_of(hang_up, status(503, header=("Retry-After", "")))


async def stay(peer: Peer) -> None:
    """Do nothing at all."""


async def take_nothing(peer: Peer) -> None:
    """Read nothing for as long as a server may wait, and somewhat longer: then it has hung up."""
    await peer.pause(2 * peer.lasts + 0.5)


async def begin_a_frame_and_drip(peer: Peer) -> None:
    await peer.send(peer.wire.begun(BINARY, b"", 1000))
    while not peer.received.is_verdict:
        await peer.send(b"x")
        await peer.pause(0.02)


async def reset_among_echoes(peer: Peer) -> None:
    await peer.send(peer.wire.frame(BINARY, bytes(10_000)) * 50)
    peer.reset()


async def many_frames(peer: Peer) -> None:
    await peer.send(peer.wire.frame(PONG) * 50_000)


async def other_socket(peer: Peer, sock: socket.socket) -> None:
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, peer.sock.getpeername())


async def crowd(peer: Peer) -> None:
    """A hundred connections that say nothing, while this one waits."""
    with ExitStack() as stack:
        for _ in range(100):
            with suppress(OSError):
                await other_socket(peer, stack.enter_context(socket.socket()))
        await peer.pause(0.1)


async def newcomers(peer: Peer) -> None:
    """A handshake that waits, and ten newer ones that do the same until it has been shed."""
    await peer.send(peer.wire.request()[:-2])
    with ExitStack() as stack:
        for _ in range(10):
            await other_socket(peer, stack.enter_context(socket.socket()))
            await peer.pause()
        while not peer.received.is_over:
            await peer.pause(0.01)


async def one_too_many(peer: Peer) -> None:
    """Another connection first, then the request of this one."""
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        await other_socket(peer, sock)
        await loop.sock_sendall(sock, peer.wire.request())
        await loop.sock_recv(sock, 1000)
        await peer.send(peer.wire.request())
        while not peer.received.is_over:
            await peer.pause(0.01)


async def tls_record_begun(peer: Peer) -> None:
    await peer.send(b"\x16\x03\x01\x02\x00\x01")


async def close_frames_and_stay(peer: Peer) -> None:
    """The closing handshake, and then no close_notify, and no FIN."""
    await peer.send(peer.wire.close(1000))


async def finish(peer: Peer) -> None:
    peer.finish()


async def finish_after_close(peer: Peer) -> None:
    await peer.send(peer.wire.close(1000))
    peer.finish()


def needs(*names: str) -> frozenset[str]:
    return frozenset(names)


TRANSPORT = [
    Row(
        "N01",
        "nothing, to a server that sends without end",
        anything,
        play=take_nothing,
        opened=True,
        mirrors=False,
        reads=False,
        lasts="send_timeout",
        needs=needs("pushing", "send_timeout"),
        memory=lambda wire: 2 * (3 * 2**16),
    ),
    Row(
        "N03",
        "a frame begun, then a byte now and then",
        close(1008),
        play=begin_a_frame_and_drip,
        opened=True,
        mirrors=False,
        lasts="frame_timeout",
        needs=needs("frame_timeout"),
    ),
    Row(
        "N04",
        "nothing, not even Pongs",
        any_of(close(1011, 1001, 1002), hang_up),
        play=stay,
        opened=True,
        mirrors=False,
        lasts="ping_timeout",
        needs=needs("ping_timeout"),
    ),
    Row(
        "N05",
        "RST while echoes are on their way",
        nothing,
        play=reset_among_echoes,
        opened=True,
        mirrors=False,
    ),
    Row(
        "N06",
        "more connections than the server has files",
        alive,
        play=crowd,
        opened=True,
        mirrors=False,
        needs=needs("few_files"),
    ),
    Row(
        "N08",
        "one connection over max_connections",
        status(503, header=("Retry-After", "")),
        play=one_too_many,
        needs=needs("max_connections", "plain"),
    ),
    Row(
        "N08",
        "one connection over those of an address",
        shed,
        play=one_too_many,
        needs=needs("max_connections_per_address", "plain"),
    ),
    Row(
        "H54",
        "newer handshakes than there is room for",
        shed,
        play=newcomers,
        needs=needs("max_handshakes", "plain"),
    ),
    Row(
        "N09",
        "a TLS handshake that never ends",
        hang_up,
        play=tls_record_begun,
        raw=True,
        lasts="open_timeout",
        needs=needs("tls", "open_timeout"),
    ),
    Row(
        "N09",
        "nothing, on a port with TLS",
        hang_up,
        play=stay,
        raw=True,
        lasts="open_timeout",
        needs=needs("tls", "open_timeout"),
    ),
    Row(
        "N10",
        "nothing, over TLS",
        alive,
        play=stay,
        opened=True,
        mirrors=False,
        needs=needs("tls"),
        memory=lambda wire: 2**16,
    ),
    Row(
        "N11",
        "the end without close_notify and without a Close",
        ended,
        play=finish,
        opened=True,
        mirrors=False,
        needs=needs("tls"),
    ),
    Row(
        "N11",
        "the end without close_notify, after a Close",
        any_of(close(1000), hang_up),
        play=finish_after_close,
        opened=True,
        mirrors=False,
        needs=needs("tls"),
    ),
    Row(
        "N12",
        "a Close, and never a close_notify",
        close(1000),
        play=close_frames_and_stay,
        opened=True,
        mirrors=False,
        lasts="close_timeout",
        needs=needs("tls", "close_timeout"),
    ),
    Row("N17", "50,000 frames in one piece", alive, play=many_frames, opened=True, mirrors=False),
    Row(
        "N18",
        "what makes the handler raise",
        close(1011),
        lambda wire: wire.frame(TEXT, b"raise"),
        opened=True,
        mirrors=False,
        needs=needs("raising"),
    ),
    Row(
        "N18",
        "a request that makes the application raise",
        status(500),
        lambda wire: head("GET /raise HTTP/1.1", "Host: localhost"),
        needs=needs("raising"),
    ),
    Row(
        "N19",
        "what makes the handler raise MemoryError",
        close(1011),
        lambda wire: wire.frame(TEXT, b"memory"),
        opened=True,
        mirrors=False,
        needs=needs("raising"),
    ),
    Row(
        "N19",
        "what makes the handler cancel itself",
        close(1001, 1011),
        lambda wire: wire.frame(TEXT, b"cancel"),
        opened=True,
        mirrors=False,
        needs=needs("raising"),
    ),
]
