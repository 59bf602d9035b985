"""One end of a link in memory: a transport as asyncio describes it, but for the network."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final, cast

from .direction import Direction, End

__all__ = ["MemoryTransport"]

_HIGH_WATER: Final = 2**16  # bytes

Address = tuple[str, int]


class MemoryTransport(asyncio.Transport):
    """What :class:`Link` gives the protocol at each end.

    As over a socket, the protocol is called in later turns of the loop, ``close`` sends what waits
    before, ``abort`` does not, and what is sent to an end that is gone comes back as a reset.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.BaseProtocol,
        incoming: Direction,
        outgoing: Direction,
        sockname: Address,
        peername: Address,
    ) -> None:
        super().__init__({"sockname": sockname, "peername": peername})
        self._loop = loop
        self._incoming = incoming
        self._outgoing = outgoing
        self._is_reading_paused = False
        self._is_writing_paused = False
        self._is_closing = False
        self.is_lost = False
        self._has_sent_eof = False
        self._high = self._low = 0
        self._buffer: memoryview | None = None  # which the protocol reads into
        self.set_protocol(protocol)
        self.set_write_buffer_limits()

    def __repr__(self) -> str:
        state = "closed" if self.is_lost else "closing" if self._is_closing else "open"
        return f"<MemoryTransport {state} unsent={self._outgoing.unsent}>"

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        # WebSocketProtocol's base is compiled, and is none of asyncio's.
        self._protocol = cast(Any, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return cast(asyncio.BaseProtocol, self._protocol)

    # Reading

    def is_reading(self) -> bool:
        return not (self._is_reading_paused or self._is_closing)

    def pause_reading(self) -> None:
        self._is_reading_paused = True

    def resume_reading(self) -> None:
        self._is_reading_paused = False
        self._incoming.go_on()

    # Writing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if high is None:
            high = _HIGH_WATER if low is None else 4 * low
        if low is None:
            low = high // 4
        if not high >= low >= 0:
            raise ValueError(f"high ({high}) must be at least low ({low}), and low not negative")
        self._high, self._low = high, low
        self._control_writing()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def get_write_buffer_size(self) -> int:
        return self._outgoing.unsent

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data must be bytes-like, not {type(data).__name__}")
        if self._is_closing or not data:
            return
        if self._has_sent_eof:
            raise RuntimeError("write() after write_eof()")
        self._outgoing.send(bytes(data))
        self._control_writing()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not (self._has_sent_eof or self._is_closing):
            self._has_sent_eof = True
            self._outgoing.send(End.EOF)

    def _control_writing(self) -> None:
        size = self._outgoing.unsent
        if size > self._high and not self._is_writing_paused:
            self._is_writing_paused = True
            self._protocol.pause_writing()
        elif size <= self._low and self._is_writing_paused:
            self._is_writing_paused = False
            self._protocol.resume_writing()

    # The end

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if self._is_closing:
            return
        self.write_eof()
        self._is_closing = True
        self._incoming.go_on()
        self.has_sent()

    def abort(self) -> None:
        if self.is_lost:
            return
        self._outgoing.cut_short()
        self._outgoing.send(End.RESET)
        self._end(None)

    def reset(self) -> None:
        """The network, or the other end, has broken the connection off."""
        if not self.is_lost:
            self._outgoing.clear()
            self._end(ConnectionResetError("connection reset by peer"))

    def _end(self, error: Exception | None) -> None:
        self._is_closing = self.is_lost = True
        self._loop.call_soon(self._protocol.connection_lost, error)

    # Called by the directions

    def takes_input(self) -> bool:
        """Tell if what arrives is looked at, or dropped."""
        return self._is_closing or not self._is_reading_paused

    def room_for(self, size: int) -> int:
        """Return how many of ``size`` bytes are taken in one read; ``receive`` follows."""
        self._buffer = None
        if self._is_closing or not isinstance(self._protocol, asyncio.BufferedProtocol):
            return size
        self._buffer = memoryview(self._protocol.get_buffer(size))
        return min(len(self._buffer), size)

    def receive(self, data: memoryview) -> None:
        """Take what has arrived."""
        if self._is_closing:
            if self.is_lost:  # nobody is there: so its system says
                self._outgoing.send(End.RESET)
        elif self._buffer is None:
            self._protocol.data_received(bytes(data))
        else:
            self._buffer[: len(data)] = data
            self._protocol.buffer_updated(len(data))

    def end_received(self, end: End) -> None:
        """The other end has closed its side, or has gone."""
        if end is End.RESET:
            self.reset()
        elif not self._is_closing and not self._protocol.eof_received():
            self.close()

    def has_sent(self) -> None:
        """Some of what was written has left, or there was nothing to."""
        if self.is_lost:
            return
        if not self._is_closing:
            self._control_writing()
        elif not self._outgoing.unsent:
            self._end(None)
