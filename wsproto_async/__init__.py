"""WebSocket server and client for asyncio: ``async def handler(ws)`` behind ``serve``."""

from .aio.auth import basic_auth
from .aio.broadcast import broadcast
from .aio.client import connect, unix_connect
from .aio.record import ServerStats
from .aio.serve import serve, unix_serve
from .aio.server import Server
from .aio.topics import Subscription, TopicStats
from .aio.websocket import WebSocket
from .build import compiled
from .codec.close import Close
from .codec.opcodes import CloseCode, Opcode
from .exceptions import (
    BrokerError,
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    HandshakeError,
    InvalidExtension,
    InvalidHeader,
    InvalidHost,
    InvalidMessage,
    InvalidOrigin,
    InvalidRedirect,
    InvalidState,
    InvalidStatus,
    InvalidSubprotocol,
    InvalidUpgrade,
    ProtocolError,
    ProxyError,
    TopicRefused,
    WebSocketError,
)
from .extensions.permessage_deflate import PerMessageDeflate
from .handshake.headers import Headers
from .handshake.http11 import Request, Response
from .pubsub.publication import Position, Publication
from .pubsub.topic import Topic
from .sansio.state import State
from .workers.run import run

__all__ = [
    "BrokerError",
    "Close",
    "CloseCode",
    "ConcurrencyError",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "HandshakeError",
    "Headers",
    "InvalidExtension",
    "InvalidHeader",
    "InvalidHost",
    "InvalidMessage",
    "InvalidOrigin",
    "InvalidRedirect",
    "InvalidState",
    "InvalidStatus",
    "InvalidSubprotocol",
    "InvalidUpgrade",
    "Opcode",
    "PerMessageDeflate",
    "Position",
    "ProtocolError",
    "ProxyError",
    "Publication",
    "Request",
    "Response",
    "Server",
    "ServerStats",
    "State",
    "Subscription",
    "Topic",
    "TopicRefused",
    "TopicStats",
    "WebSocket",
    "WebSocketError",
    "basic_auth",
    "broadcast",
    "compiled",
    "connect",
    "run",
    "serve",
    "unix_connect",
    "unix_serve",
]
