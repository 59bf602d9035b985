"""A link in memory: what stands for the network between a client and a server."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Final

from .direction import Direction
from .recording import Recording
from .transport import MemoryTransport

__all__ = ["Link"]

_SERVER: Final = ("127.0.0.1", 80)
_ports: Final = count(49152)


class Link:
    """The network between a client and a server: both directions of it, and their faults.

    The faults of one direction are given by ``to_server`` and ``to_client``, those of both by
    methods of the same names here. They can be given before the link is used, and at any time.

    - ``capacity``: bytes that the network holds in each direction, 64 KiB. What is more waits with
      the sender, and counts for its ``write_limit``.
    """

    def __init__(self, capacity: int = 2**16) -> None:
        if capacity < 0:
            raise ValueError(f"capacity must not be negative, not {capacity}")
        self.to_server = Direction("to_server", capacity)
        """From the client to the server, a :class:`Direction`."""
        self.to_client = Direction("to_client", capacity)
        """From the server to the client."""

    def join(self, client: asyncio.BaseProtocol, server: asyncio.BaseProtocol) -> None:
        """Give two protocols their transports; :func:`connected_pair` does it.

        ``client`` is told at once, ``server`` in the next turn of the loop. Raises RuntimeError if
        the link joins others already.
        """
        if self.to_server.is_joined:
            raise RuntimeError("a link joins two ends once")
        loop = asyncio.get_running_loop()
        own = "127.0.0.1", next(_ports) % 2**16
        client_end = MemoryTransport(loop, client, self.to_client, self.to_server, own, _SERVER)
        server_end = MemoryTransport(loop, server, self.to_server, self.to_client, _SERVER, own)
        self.to_server.join(loop, client_end, server_end)
        self.to_client.join(loop, server_end, client_end)
        loop.call_soon(server.connection_made, server_end)
        client.connection_made(client_end)

    @property
    def is_whole(self) -> bool:
        """Tell if all that was sent arrives: nothing is held back, and nothing has vanished."""
        return self.to_server.is_whole and self.to_client.is_whole

    def split(self, *sizes: int) -> None:
        """:meth:`Direction.split` both."""
        self.to_server.split(*sizes)
        self.to_client.split(*sizes)

    def delay(self, seconds: float) -> None:
        """:meth:`Direction.delay` both: the round trip takes twice the time."""
        self.to_server.delay(seconds)
        self.to_client.delay(seconds)

    def drop(self) -> None:
        """:meth:`Direction.drop` both: each end believes for a while that the other is there."""
        self.to_server.drop()
        self.to_client.drop()

    def stall(self) -> None:
        """:meth:`Direction.stall` both."""
        self.to_server.stall()
        self.to_client.stall()

    def resume(self) -> None:
        """:meth:`Direction.resume` both."""
        self.to_server.resume()
        self.to_client.resume()

    def cut(self) -> None:
        """Break the connection off: both ends get ConnectionResetError, bytes on their way vanish.

        Does nothing if they are gone already.
        """
        self.to_server.cut()
        self.to_client.cut()

    def record(self) -> Recording:
        """Note from now on what is delivered, in a new :class:`Recording`."""
        recording = Recording()
        for direction in (self.to_server, self.to_client):
            direction.observers.append(recording.observe)
        return recording
