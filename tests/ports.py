"""Ports for servers that are started later, and perhaps again."""

from __future__ import annotations

import random
import socket
import weakref

__all__ = ["Port"]


class Port:
    """A port of 127.0.0.1 that no connection gets by itself, as is the one 10,000 above it.

    No other test gets ``number`` while this object is there: it has the port too, by UDP. Servers
    of a Redis cluster talk to each other on the other one.
    """

    def __init__(self) -> None:
        while True:
            self.number = random.randint(20_000, 22_700)
            place = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            with socket.socket() as sock, socket.socket() as other:
                try:
                    place.bind(("127.0.0.1", self.number))
                    sock.bind(("127.0.0.1", self.number))
                    other.bind(("127.0.0.1", self.number + 10_000))
                except OSError:
                    place.close()
                    continue
            weakref.finalize(self, place.close)
            return
