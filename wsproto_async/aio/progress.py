"""Peers that begin and do not go on: to send a frame, or to take what is sent to them.

As with pings, nobody is blamed for what we did ourselves, not reading, and before the verdict the
loop gets a turn to do what is pending: it may have been the loop that stood still.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING, Final

from ..sansio.state import OPEN
from .log import who

try:
    from fcntl import ioctl
    from termios import TIOCOUTQ
except ImportError:  # not on Windows
    ioctl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from .protocol import ProtocolCore

__all__ = ["FrameProgress", "SendProgress"]

_LEAST_OF_FRAME: Final = 1024  # bytes in each ``frame_timeout``
_MUCH: Final = 2**40
_INT: Final = Struct("i")


class _Progress:
    """Looks at ``position`` once in each ``timeout``: it has to have grown by ``least``."""

    __slots__ = ("_is_suspect", "_position", "_protocol", "_timeout", "place", "tick")

    least: int

    def __init__(
        self, protocol: ProtocolCore, timeout: float, position: int, first_look: float
    ) -> None:
        self._protocol = protocol
        self._timeout = timeout
        self._is_suspect = False
        self.tick = 0
        self.place = 0
        self._position = position
        protocol.timer.set(self, first_look)

    def stop(self) -> None:
        """Look no more."""
        self._protocol.timer.unset(self)

    def deadline_reached(self) -> None:
        position = self.position()
        if position is None:
            self.end()
        elif position - self._position >= self.least:
            self._position = position
            self._is_suspect = False
            self._protocol.timer.set(self, self._timeout)
        elif not self._is_suspect:
            self._is_suspect = True
            self._protocol.timer.set(self, 0)
        else:
            self.end()
            self.judge()

    def position(self) -> int | None:
        """Return how far the peer has come; None if it has nothing to do, or could not do it."""
        raise NotImplementedError

    def end(self) -> None:
        """There is nothing to look at for the moment."""
        raise NotImplementedError

    def judge(self) -> None:
        """The peer is to blame."""
        raise NotImplementedError


class FrameProgress(_Progress):
    """A frame that has begun brings 1 KiB, or its end, in each ``frame_timeout``."""

    __slots__ = ()

    least = _LEAST_OF_FRAME

    def __init__(self, protocol: ProtocolCore, timeout: float) -> None:
        self._protocol = protocol
        super().__init__(protocol, timeout, self.position() or 0, timeout)

    def position(self) -> int | None:
        protocol = self._protocol
        connection = protocol.connection
        if (
            connection.state is not OPEN
            or protocol.is_reading_paused
            or not connection.is_amid_frame()
        ):
            return None
        # Another frame than before, or a time in which it could not come, is progress enough.
        return protocol.bytes_received + _MUCH * (connection.frames + protocol.pauses)

    def end(self) -> None:
        self._protocol.frame_progress = None

    def judge(self) -> None:
        protocol = self._protocol
        protocol.settings.log.info("frame stands still: %s", who(protocol))
        protocol.close(1008, f"frame brought less than 1 KiB in {self._timeout:g} s")


class SendProgress(_Progress):
    """A peer whose gate is shut takes some in each ``send_timeout``, if only from our kernel."""

    __slots__ = ()

    least = 1

    def __init__(self, protocol: ProtocolCore, timeout: float) -> None:
        # The transport has a write under way: where that ends is to be seen in the next tick.
        super().__init__(protocol, timeout, -_MUCH, 0)

    def position(self) -> int | None:
        sender = self._protocol.sender
        if not sender.is_gate_shut:
            return None
        transport = self._protocol.transport
        return sender.bytes_sent - transport.get_write_buffer_size() - _in_kernel(transport)

    def end(self) -> None:
        self._protocol.send_progress = None

    def judge(self) -> None:
        protocol = self._protocol
        protocol.settings.log.info("took nothing: %s for %g s", who(protocol), self._timeout)
        protocol.abort()


def _in_kernel(transport: asyncio.Transport) -> int:
    """Return how many bytes our kernel has for the peer's; 0 where it does not tell."""
    sock = transport.get_extra_info("socket")
    if ioctl is not None and sock is not None:
        with suppress(OSError, ValueError):  # of another kind, or closed
            size: int = _INT.unpack(ioctl(sock.fileno(), TIOCOUTQ, bytes(_INT.size)))[0]
            return size
    return 0
