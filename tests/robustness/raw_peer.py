"""A client made of a bare socket: it can send what no library would, and stay silent.

What it receives it checks: a server's frame that breaks RFC 6455 fails the test.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

# How long a test waits for what must happen. Never reached when all is well.
PATIENCE = 20.0

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 1.3
UPGRADE = (
    "GET / HTTP/1.1",
    "Host: localhost",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    f"Sec-WebSocket-Key: {KEY}",
)


class Frame(NamedTuple):
    opcode: int
    payload: bytes
    fin: bool = True

    @property
    def close_code(self) -> int:
        assert self.opcode == CLOSE
        return int.from_bytes(self.payload[:2], "big") if self.payload else 1005


def head(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")


def frame_header(opcode: int, length: int, *, fin: bool = True, masked: bool = True) -> bytes:
    first = opcode | (0x80 if fin else 0)
    mask_bit = 0x80 if masked else 0
    if length < 126:
        return struct.pack("!BB", first, mask_bit | length)
    if length < 65536:
        return struct.pack("!BBH", first, mask_bit | 126, length)
    return struct.pack("!BBQ", first, mask_bit | 127, length)


def masked(payload: bytes, key: bytes = b"\xa5\x00\x5a\xff") -> bytes:
    """The masking key and the payload masked with it."""
    pad = (key * (len(payload) // 4 + 1))[: len(payload)]
    both = int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")
    return key + both.to_bytes(len(payload), "big")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True) -> bytes:
    """A whole frame as a client sends it."""
    return frame_header(opcode, len(payload), fin=fin) + masked(payload)


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, code.to_bytes(2, "big") + reason)


class RawPeer:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = bytearray()
        self._fragments: Frame | None = None

    # Sending

    @property
    def name(self) -> str:
        """What the other end's log calls this one."""
        return "{}:{}".format(*self.sock.getsockname())

    async def send(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def send_pieces(self, data: bytes, size: int = 1) -> None:
        """Send `size` bytes at a time, so that the server reads them one by one.

        Stops early if the server does not listen any more: its verdict is on the way.
        """
        with suppress(ConnectionError):
            for start in range(0, len(data), size):
                await self.send(data[start : start + size])
                await let_it_read()

    async def send_until_stalled(self, data: bytes, stalled_after: float = 0.2) -> int:
        """Send until nothing has gone out for a while, or the server hung up; give how much did."""
        loop = asyncio.get_running_loop()
        sent = 0
        last_progress = loop.time()
        while sent < len(data) and loop.time() - last_progress < stalled_after:
            try:
                sent += self.sock.send(memoryview(data)[sent : sent + 65536])
                last_progress = loop.time()
                await asyncio.sleep(0)
            except BlockingIOError:
                await asyncio.sleep(0.01)
            except ConnectionError:
                break
        return sent

    # Receiving

    async def _fill(self) -> bool:
        """Receive some bytes; False at the end of the stream."""
        async with asyncio.timeout(PATIENCE):
            data = await asyncio.get_running_loop().sock_recv(self.sock, 2**18)
        self._buffer += data
        return bool(data)

    async def take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not await self._fill():
                raise EOFError(f"end of stream after {bytes(self._buffer[:200])!r}")
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def read_head(self) -> bytes:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if not await self._fill():
                raise EOFError(f"end of stream after {bytes(self._buffer[:200])!r}")
        return await self.take(end + 4)

    async def read_frame(self) -> Frame | None:
        """The next frame, None at the end of the stream if that is between two frames."""
        if not self._buffer and not await self._fill():
            return None
        first, second = await self.take(2)
        assert not first & 0x70, "reserved bits are set"
        assert not second & 0x80, "server frame is masked"
        length = second
        if length >= 126:
            size = 2 if length == 126 else 8
            length = int.from_bytes(await self.take(size), "big")
            assert length >= (126 if size == 2 else 65536), "length is not minimal"
        frame = Frame(first & 0x0F, await self.take(length), bool(first & 0x80))
        assert frame.opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG)
        if frame.opcode >= CLOSE:
            assert frame.fin
            assert length <= 125
        return frame

    async def read_message(self) -> Frame | None:
        """The next message or control frame, None at the end of the stream."""
        while (frame := await self.read_frame()) is not None:
            if frame.opcode >= CLOSE:
                return frame
            begun = self._fragments
            assert (begun is None) is (frame.opcode != CONTINUATION), "fragments out of order"
            opcode, payload = (
                (frame.opcode, frame.payload)
                if begun is None
                else (begun.opcode, begun.payload + frame.payload)
            )
            self._fragments = None if frame.fin else Frame(opcode, payload, False)
            if frame.fin:
                if opcode == TEXT:
                    payload.decode()
                return Frame(opcode, payload)
        return None

    async def read_close(self) -> Frame:
        """The Close frame, whatever comes before it."""
        while (frame := await self.read_message()) is not None:
            if frame.opcode == CLOSE:
                return frame
        raise EOFError("end of stream without a Close frame")

    async def read_eof(self) -> bytes:
        """What comes until the end of the stream."""
        while await self._fill():
            pass
        return bytes(self._buffer)

    # The end

    def finish(self) -> None:
        """Send FIN; the server may still talk. Or it has hung up before."""
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Die: the server's system gets RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    async def upgrade(self, *extra: str) -> None:
        await self.send(head(*UPGRADE, *extra))
        answer = await self.read_head()
        assert answer.startswith(b"HTTP/1.1 101 ")
        assert ACCEPT in answer


async def let_it_read() -> None:
    """Let the server in this event loop read what has just been sent over the loopback."""
    for _ in range(3):
        await asyncio.sleep(0)


@asynccontextmanager
async def tcp_peer(port: int, *, small: bool = False) -> AsyncIterator[RawPeer]:
    """Connect a socket, on demand with small buffers in the kernel; nothing is sent."""
    with socket.socket() as sock:
        sock.setblocking(False)
        if small:
            shrink(sock)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield RawPeer(sock)


@asynccontextmanager
async def raw_peer(port: int, *, small: bool = False) -> AsyncIterator[RawPeer]:
    """Connect a socket and open a WebSocket on it."""
    async with tcp_peer(port, small=small) as peer:
        await peer.upgrade()
        yield peer


def shrink(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)


def small_listener() -> socket.socket:
    """A listening socket whose connections have small buffers in the kernel."""
    sock = socket.socket()
    shrink(sock)
    sock.bind(("127.0.0.1", 0))
    return sock


def open_sockets() -> int:
    """How many sockets this process has open."""
    count = 0
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one that listed them
            count += os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:")
    return count


async def until(condition: Callable[[], object], patience: float = PATIENCE) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(patience):
        while not condition():  # noqa: ASYNC110 - there is no event for any condition
            await asyncio.sleep(0.002)


async def within(seconds: float, awaitable: Awaitable) -> object:
    """Await something that must be over in that time; a loaded machine gets some more."""
    async with asyncio.timeout(seconds + 2):
        return await awaitable
