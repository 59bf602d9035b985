"""An open connection: its round-trip time by Pings, and the closing handshake."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Final

from ...exceptions import ProtocolError
from ...sansio.client import ClientConnection
from ...sansio.events import Close, Event, Pong
from ..exits import EXIT_FAILED
from ..text import duration, escape
from .report import Problem, Report
from .tls import Streams

__all__ = ["talk"]

_PINGS: Final = 3
_READ_SIZE: Final = 65536
_MOST_HELD: Final = 65536  # bytes of a message, and of what waits to be sent


async def talk(
    report: Report, streams: Streams, connection: ClientConnection, patience: float
) -> None:
    """Ping, close, and wait for the end of the stream."""
    peer = _Peer(streams, connection, patience)
    await _ping(report, peer)
    await _close(report, peer)


class _Peer:
    def __init__(self, streams: Streams, connection: ClientConnection, patience: float) -> None:
        self._streams = streams
        self.connection = connection
        self.patience = patience
        connection.partial_limit = _MOST_HELD

    async def next_event(self) -> Event:
        """Send what is to be sent, and return what comes next; Close at the end."""
        connection, writer = self.connection, self._streams.writer
        while (event := connection.next_event()) is None:
            if connection.take_partial():
                continue  # messages are not wanted, and may be of any size
            writer.write(connection.data_to_send())
            connection.hold_pongs = writer.transport.get_write_buffer_size() > _MOST_HELD
            data = await self._streams.reader.read(_READ_SIZE)
            if data:
                connection.receive_data(data)
            else:
                connection.receive_eof()
        return event

    async def read_to_the_end(self) -> None:
        """Read until the server ends the stream, as it should when both have said goodbye."""
        while await self._streams.reader.read(_READ_SIZE):
            pass


async def _ping(report: Report, peer: _Peer) -> None:
    times = []
    for number in range(_PINGS):
        payload = b"doctor %d" % number
        start = perf_counter()
        peer.connection.send_ping(payload)
        try:
            async with asyncio.timeout(peer.patience):
                while (event := await peer.next_event()) != Pong(payload):
                    if isinstance(event, Close):
                        _report_early_end(report, peer.connection, event)
        except TimeoutError:
            report.stop("ping", f"no pong within {peer.patience:g} s", _NO_PONG, EXIT_FAILED)
        except OSError:
            _report_early_end(report, peer.connection, Close(1006))
        times.append(perf_counter() - start)
    text = f"round trip {duration(min(times))} at best, {duration(max(times))} at worst"
    report.ok("ping", text, round_trips=times)


def _report_early_end(report: Report, connection: ClientConnection, close: Close) -> None:
    if isinstance(connection.error, ProtocolError):
        problem = Problem(
            f"The server has broken the protocol: {escape(str(connection.error))}.",
            "server",
            "Correct the server (RFC 6455 5).",
        )
        report.stop("ping", "a frame that is none", problem, EXIT_FAILED)
    if close.code == 1006:
        problem = Problem(
            "The server, or a proxy, has cut the connection off as soon as it was open.",
            "server",
            "Read its log: its handler may have failed. A proxy may end what it does not know.",
        )
        report.stop("ping", "cut off", problem, EXIT_FAILED)
    problem = Problem(
        "The server has closed the connection as soon as it was open.",
        "server",
        "If it wants credentials or a subprotocol, give them; else its log may tell why.",
    )
    report.stop("ping", f"closed with {escape(str(close))}", problem, EXIT_FAILED)


async def _close(report: Report, peer: _Peer) -> None:
    start = perf_counter()
    peer.connection.send_close(1000)
    try:
        async with asyncio.timeout(peer.patience):
            while not isinstance(event := await peer.next_event(), Close):
                pass
    except TimeoutError:
        problem = Problem(
            "The server does not answer a Close frame (RFC 6455 5.5.1).",
            "server",
            "Correct the server; clients wait for it until their own deadline.",
        )
        report.stop("close", f"no answer within {peer.patience:g} s", problem, EXIT_FAILED)
    except OSError:
        event = Close(1006)
    if event.code == 1006:
        problem = Problem(
            "The server hangs up in place of answering a Close frame (RFC 6455 5.5.1): clients "
            "see 1006, as of a connection that was cut off.",
            "server",
            "Correct the server, or the proxy that hangs up.",
        )
        report.stop("close", "cut off", problem, EXIT_FAILED)
    seconds = perf_counter() - start
    text = f"answered with {escape(str(event))}"
    try:
        async with asyncio.timeout(peer.patience):
            await peer.read_to_the_end()
    except TimeoutError:
        problem = Problem(
            "The server does not end the TCP connection after the closing handshake "
            "(RFC 6455 7.1.1).",
            "server",
            "Have it do so: otherwise clients must, and keep the port for minutes.",
        )
        report.warn("close", text, problem, seconds, code=event.code)
        return
    except OSError:
        pass  # a reset is an end as well
    report.ok("close", text, seconds, code=event.code)


_NO_PONG: Final = Problem(
    "The server does not answer a Ping frame (RFC 6455 5.5.2): clients with a keepalive will take "
    "it for dead.",
    "server",
    "Correct the server, or see if its event loop stands still.",
)
