"""A bare socket, over TLS if need be, that sends what no library would and can stay silent."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from contextlib import suppress

from .received import Received
from .wire import Wire

_READ_SIZE = 2**18


class Peer:
    """One connection. ``received`` is what has been answered, as of the last ``receive``.

    ``gap`` is the time in seconds between two pieces; 0 stands for a few turns of the loop, which
    are enough for a server in the same one to read what has been sent.
    """

    def __init__(self, sock: socket.socket, wire: Wire, received: Received, gap: float) -> None:
        self.sock = sock
        self.lasts = 0.0  # seconds of the limit that is tried
        self.wire = wire
        self.received = received
        self.sent = 0  # bytes since the connection is open
        self.unsent = b""  # the rest of a frame that was broken off
        self.changed = asyncio.Event()  # set by whatever is received
        self._gap = gap
        self._loop = asyncio.get_running_loop()
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await self._flush()
                data = await self._loop.sock_recv(self.sock, _READ_SIZE)
                if not data:
                    raise ConnectionResetError("hung up in the TLS handshake") from None
                self._incoming.write(data)
        await self._flush()
        self._tls = tls

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._loop.sock_sendall(self.sock, self._outgoing.read())

    async def send_until_cut_off(self, data: bytes) -> None:
        """Send over and over until the other end's system says that nobody is there."""
        try:
            while True:
                await self.send(data)
                await self.pause(0.005)
        except ConnectionError:
            self.received.is_cut_off = True

    async def send(self, data: bytes) -> None:
        self.sent += len(data)
        if self._tls is None:
            await self._loop.sock_sendall(self.sock, data)
        elif data:
            self._tls.write(data)
            await self._flush()

    async def send_pieces(self, data: bytes, size: int = 1) -> None:
        """Send ``size`` bytes at a time, so that they are read one by one."""
        for start in range(0, len(data), size):
            await self.send(data[start : start + size])
            await self.pause()

    async def send_until_stalled(self, data: bytes, times: int, seconds: float = 0.2) -> None:
        """Send so many times, or until nothing goes out for that long or the other end hangs up.

        What a stall leaves over is ``unsent``. Not over TLS.
        """
        whole = memoryview(data * times)
        last_progress = self._loop.time()
        with suppress(ConnectionError):
            while self.sent < len(whole) and self._loop.time() - last_progress < seconds:
                try:
                    self.sent += self.sock.send(whole[self.sent : self.sent + 65536])
                    last_progress = self._loop.time()
                    await asyncio.sleep(0)
                except BlockingIOError:
                    await asyncio.sleep(0.01)
        left = len(whole) - self.sent
        self.unsent = bytes(whole[self.sent :][: left % len(data)])

    async def pause(self, seconds: float = 0.0) -> None:
        """Let the other end read."""
        if seconds or self._gap:
            await asyncio.sleep(seconds or self._gap)
        else:
            for _ in range(2):
                await asyncio.sleep(0)

    async def receive(self) -> bool:
        """Take more of the answer; False at its end."""
        try:
            data = await self._loop.sock_recv(self.sock, _READ_SIZE)
        except OSError:
            data = b""
        self.changed.set()
        if self._tls is None:
            self.received.feed(data)
            return bool(data)
        self._incoming.write(data)
        with suppress(ssl.SSLWantReadError, ssl.SSLError):
            while plain := self._tls.read(_READ_SIZE):
                self.received.feed(plain)
            data = b""  # close_notify
        if not data:
            self.received.feed(b"")
        return bool(data)

    def finish(self) -> None:
        """Send FIN; the other end may still talk."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Die: the other end's system gets RST."""
        with suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()
