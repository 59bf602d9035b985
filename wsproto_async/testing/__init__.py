"""What users need to test their own handlers and clients, without a network and without waiting.

Two modules are imported by themselves, since they need the extra ``testing``:
``wsproto_async.testing.strategies`` and ``wsproto_async.testing.pytest_plugin``.
"""

from .clock import VirtualClockLoop, virtual_clock
from .conformance import Finding, check_server
from .direction import Direction, End
from .link import Link
from .pair import connected_pair
from .recording import Piece, Recording, differences
from .replay import replay_to_client, replay_to_server
from .server import MemoryServer, Pair, serve_in_memory

__all__ = [
    "Direction",
    "End",
    "Finding",
    "Link",
    "MemoryServer",
    "Pair",
    "Piece",
    "Recording",
    "VirtualClockLoop",
    "check_server",
    "connected_pair",
    "differences",
    "replay_to_client",
    "replay_to_server",
    "serve_in_memory",
    "virtual_clock",
]
