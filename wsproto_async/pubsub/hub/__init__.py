"""The broker of the workers of one program: a process between them, over a Unix socket.

``hub.py`` is what that process knows, ``server.py`` its connections; ``broker.py`` is the other
side, made of a link that comes back, and of commands, subscriptions and members that go over it.
``protocol.py`` is what both sides write.
"""

from .broker import HubBroker
from .server import HubServer

__all__ = ["HubBroker", "HubServer"]
