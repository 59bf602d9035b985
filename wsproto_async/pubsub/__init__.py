"""Topics, and the brokers that carry what is published on them from one process to others.

Nothing in here knows a connection: see ``aio/topics.py`` for who receives what.
"""

from .broker import Broker, Missed, Receiver, Retention
from .memory import MemoryBroker
from .publication import Kind, Position, Publication
from .topic import Slow, Topic

__all__ = [
    "Broker",
    "Kind",
    "MemoryBroker",
    "Missed",
    "Position",
    "Publication",
    "Receiver",
    "Retention",
    "Slow",
    "Topic",
]
