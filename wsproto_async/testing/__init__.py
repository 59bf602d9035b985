"""What users need to test their own handlers and clients, without a network and without waiting.

Two modules are imported by themselves, since they need the extra ``testing``:
``wsproto_async.testing.strategies`` and ``wsproto_async.testing.pytest_plugin``.
"""

from .clock import VirtualClockLoop, virtual_clock
from .conformance import Finding, check_server
from .direction import Direction
from .link import Link
from .pair import connected_pair
from .server import MemoryServer, Pair, serve_in_memory

__all__ = [
    "Direction",
    "Finding",
    "Link",
    "MemoryServer",
    "Pair",
    "VirtualClockLoop",
    "check_server",
    "connected_pair",
    "serve_in_memory",
    "virtual_clock",
]
