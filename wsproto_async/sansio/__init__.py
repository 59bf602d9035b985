"""A WebSocket connection as a value: bytes in, events out, bytes out. No IO, no clock, no task.

::

    connection = ServerConnection()
    connection.receive_data(data)              # or receive_eof()
    for event in connection.events(): ...      # parses as it is iterated, and no further
    transport.write(connection.data_to_send())

Receiving never raises, whatever the peer sent; misuse always does.
"""

from .client import ClientConnection
from .connection import Connection
from .events import Close, Event, Ping, Pong
from .server import ServerConnection
from .state import State

__all__ = [
    "ClientConnection",
    "Close",
    "Connection",
    "Event",
    "Ping",
    "Pong",
    "ServerConnection",
    "State",
]
