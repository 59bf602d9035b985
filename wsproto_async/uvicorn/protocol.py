"""What uvicorn makes for each upgrade request, and what it calls."""

from __future__ import annotations

import asyncio
import logging
from functools import lru_cache
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.utils import is_ssl
from uvicorn.server import ServerState

from ..aio import protocol as aio
from ..aio.keepalive import Keepalive
from ..aio.log import Log
from ..aio.settings import Settings
from ..aio.timer import Deadline
from ..extensions.base import Extension
from ..extensions.permessage_deflate import PerMessageDeflate
from ..sansio.server import ServerConnection
from .session import Session

__all__ = ["WebSocketProtocol"]

_CLOSE_TIMEOUT: Final = 10.0  # seconds
_LAST_WORDS: Final = 1.0  # seconds
_LOG: Final = logging.getLogger("uvicorn.error")


class WebSocketProtocol(aio.WebSocketProtocol):
    """One connection: uvicorn's HTTP protocol hands its transport over, and the request.

    Goes by uvicorn's ``ws_max_size``, ``ws_ping_interval``, ``ws_ping_timeout`` and
    ``ws_per_message_deflate``; all else is as by default in :func:`wsproto_async.serve`, but that
    pages of any origin may connect, as with uvicorn's own.
    """

    __slots__ = ("_connections", "_session", "close_timeout", "close_timer")

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        connection = ServerConnection(
            origins=None,
            extensions=_extensions(config.ws_per_message_deflate),
            max_size=config.ws_max_size,
        )
        self._session = Session(self, config, server_state, app_state)
        settings = _settings(config.ws_ping_interval or None, config.ws_ping_timeout)
        loop = asyncio.get_running_loop() if _loop is None else _loop
        super().__init__(self._session, connection, settings, loop)
        self.keepalive = _Keepalive()
        self._connections: set[Any] = server_state.connections
        self.close_timeout = _CLOSE_TIMEOUT
        """Seconds that a peer has to answer a Close frame of the application's."""
        self.close_timer: asyncio.TimerHandle | None = None
        """Runs out then; None if no answer is waited for."""

    # The transport's callbacks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.add(self)
        super().connection_made(transport)
        if is_ssl(self.transport):
            # What the lower transport holds is not counted there: slow would look like still.
            self.set_timeouts({"send_timeout": None})
        elif self.transport.get_extra_info("socket") and self._is_full():
            self.pause_writing()  # which uvicorn's HTTP protocol was told, and we were not

    def _is_full(self) -> bool:
        return self.transport.get_write_buffer_size() > self.settings.write_limit

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._pause()

    def buffer_updated(self, nbytes: int) -> None:
        super().buffer_updated(nbytes)
        self._pause()

    def _pause(self) -> None:
        # The pong of a ping may stand behind a message that the application does not take.
        if not self.keepalive.is_waited_for():
            self.pause_while_unread()

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._stop_close_timer()
        super().connection_lost(exc)

    # The end

    def shutdown(self) -> None:
        """uvicorn stops: close with 1012, or refuse the request."""
        if self.close_timer is not None:
            self._stop_close_timer()
            self.transport.close()
        else:
            self._session.shut_down()

    def close_by_application(self, code: int, reason: str) -> None:
        """Begin the closing handshake; the peer has ``close_timeout`` to end it."""
        self.close(code, reason)
        if self.close_timer is None and not self.transport.is_closing():
            self.close_timer = self.loop.call_later(self.close_timeout, self.end_output)

    def end_output(self) -> None:
        self._stop_close_timer()
        if not self.is_opened:
            super().end_output()
        elif self.connection.error is None:
            self.transport.close()
        else:  # to read our last words a peer has to come to the end of its own
            self.close_timer = self.loop.call_later(_LAST_WORDS, self.transport.close)

    def hang_up(self) -> None:
        """Close the transport, when all is written, without a closing handshake."""
        if self.is_lost:
            return
        self.sender.flush()
        self.connection.receive_eof()
        self.set_deadline(_CLOSE_TIMEOUT, Deadline.CLOSE)
        self.transport.close()

    def _stop_close_timer(self) -> None:
        if self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = None

    # What uvicorn's own tests look at

    @property
    def ping_timer(self) -> object | None:
        """What pings when the interval is over; None if nothing does."""
        return None if self.settings.ping_interval is None else self.timer

    @property
    def ping_sent_at(self) -> float:
        """When the last keepalive ping was sent, by ``time.monotonic``; 0 before."""
        return self.keepalive.pinged_at


class _Keepalive(Keepalive):
    __slots__ = ()

    async def ping(
        self, protocol: aio.ProtocolCore, payload: bytes | None
    ) -> asyncio.Future[float]:
        waiter = await super().ping(protocol, payload)
        protocol.read_on()
        return waiter

    def send_ping(self, protocol: aio.ProtocolCore) -> None:
        super().send_ping(protocol)
        protocol.read_on()

    def judge(self, protocol: aio.ProtocolCore) -> None:
        super().judge(protocol)
        if protocol.connection.close_sent is not None:
            protocol.end_output()  # as uvicorn: who is silent does not answer that either

    def reason(self, timeout: float) -> str:
        return "keepalive ping timeout"  # as uvicorn says


@lru_cache(maxsize=16)
def _settings(ping_interval: float | None, ping_timeout: float | None) -> Settings:
    return Settings(
        open_timeout=None,  # it is the application that lets a peer wait
        close_timeout=_CLOSE_TIMEOUT,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        send_timeout=20,
        frame_timeout=20,
        read_limit=2**18,
        write_limit=2**16,
        log=Log(_LOG),
    )


@lru_cache(maxsize=2)
def _extensions(per_message_deflate: bool) -> tuple[Extension, ...]:
    return (PerMessageDeflate(),) if per_message_deflate else ()
