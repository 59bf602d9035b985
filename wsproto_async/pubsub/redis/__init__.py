"""The broker of servers on many machines: Redis from 6 on, or Valkey.

Nothing in here knows what a connection of a server is. ``link.py`` keeps a connection to Redis,
``commands.py`` and ``subscriptions.py`` are what two of them are for, ``broker.py`` makes a broker
of these. Needs hiredis, which the extra ``redis`` installs.
"""

from .broker import RedisBroker

__all__ = ["RedisBroker"]
