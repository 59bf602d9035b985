"""From a listening socket to connections, also when there is no room for them.

Laws: a failure to accept never ends the listening, is no traceback and no busy loop. The
connections that are there are not touched by it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from ..handshake.http11 import Response
from ..handshake.server import finish_response
from .bind import send_small_frames_at_once, started
from .preface import Preface
from .stream import StreamProtocol
from .tls import TLSTransport
from .transport import accept

if TYPE_CHECKING:
    from ..handshake.forwarded import TrustedProxies
    from .log import Log
    from .protocol import ProtocolCore
    from .server import Listener

__all__ = ["Acceptor", "accept_on"]

_AT_ONCE: Final = 32  # connections that are accepted in one turn of the loop
_PAUSE: Final = 1.0  # seconds without accepting when the system has no room for more
_NOBODY: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EINTR})
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


async def accept_on(
    sock: socket.socket,
    make_protocol: Callable[[], ProtocolCore],
    backlog: int,
    tls: ssl.SSLContext | None,
    proxies: TrustedProxies | None,
    log: Log,
) -> Listener:
    """Accept connections on a bound stream socket, over TLS if there is a context for it.

    With ``proxies`` each begins with a PROXY header. The socket is closed by the ``close`` of what
    this returns. Raises ssl.SSLError for a client's context.
    """
    loop = asyncio.get_running_loop()

    def make() -> StreamProtocol:
        protocol = make_protocol()
        lower = protocol if tls is None else TLSTransport(protocol, tls)
        return lower if proxies is None else Preface(protocol, lower, proxies)

    if tls is not None:
        tls.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)
    send_small_frames_at_once(sock)
    acceptor = Acceptor(loop, sock, make, log, is_plain=tls is None)
    sock.setblocking(False)
    sock.listen(backlog)
    try:
        acceptor.resume()
    except NotImplementedError:  # a loop of completions, as Windows has it
        acceptor.close_reserve()
        return await started(
            await loop.create_server(
                cast(Any, make), sock=sock, backlog=backlog, start_serving=False
            )
        )
    return acceptor


class Acceptor:
    """Accepts the connections of one listening socket; ``make`` makes their protocols.

    It keeps a file descriptor in reserve. When there is no other, those who wait are accepted with
    that one and sent away, with a 503 where nothing is encrypted.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        make: Callable[[], StreamProtocol],
        log: Log,
        is_plain: bool,
    ) -> None:
        self._loop = loop
        self._sock = sock
        self._make = make
        self._log = log
        self._is_plain = is_plain
        self._reserve = _open_reserve()
        self._pause: asyncio.TimerHandle | None = None

    def resume(self) -> None:
        """Accept from now on."""
        self._pause = None
        self._loop.add_reader(self._sock, self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            error = accept(self._sock, self._make)
            if error in _NOBODY:
                return
            if error in _NO_ROOM:
                self._back_off(error)
                return
            # Any other error is that of the peer, or its network: the next one may be there.
            if self._pause is not None or self._sock.fileno() < 0:
                return

    def _back_off(self, error: int) -> None:
        """Let the connections that are there end first; more wait in the backlog meanwhile."""
        self._loop.remove_reader(self._sock)
        self._pause = self._loop.call_later(_PAUSE, self.resume)
        turned_away = 0
        while turned_away < _AT_ONCE and self._turn_away():
            turned_away += 1
        self._log.warning(
            "accepting pauses: %s; connections turned away: %d", os.strerror(error), turned_away
        )

    def _turn_away(self) -> bool:
        """Refuse a connection by means of the reserve; tell if there was one, and the means."""
        if self._reserve is None:
            self._reserve = _open_reserve()
            if self._reserve is None:
                return False
        self.close_reserve()
        try:
            sock, _ = self._sock.accept()
        except OSError:
            return False
        else:
            with sock, suppress(OSError):
                sock.setblocking(False)
                if self._is_plain:
                    sock.send(_refusal())
                    sock.shutdown(socket.SHUT_WR)
                    sock.recv(65536)  # what is closed unread takes the answer along
            return True
        finally:
            self._reserve = _open_reserve()

    def beside(self, sock: socket.socket) -> Acceptor:
        """Accept on another listening socket as on this one.

        Raises OSError, and closes it, if it cannot be watched.
        """
        send_small_frames_at_once(sock)
        sock.setblocking(False)
        acceptor = Acceptor(self._loop, sock, self._make, self._log, self._is_plain)
        try:
            acceptor.resume()
        except BaseException:
            acceptor.close()
            raise
        return acceptor

    def close_reserve(self) -> None:
        """Give up the descriptor in reserve."""
        if self._reserve is not None:
            os.close(self._reserve)
            self._reserve = None

    def close(self) -> None:
        """Accept no more, and close the listening socket."""
        if self._sock.fileno() < 0:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._sock)
        self._sock.close()
        self.close_reserve()


def _open_reserve() -> int | None:
    try:
        return os.open(os.devnull, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return None


def _refusal() -> bytes:
    response = Response(503, headers={"Retry-After": "1"}, body="no room for more connections\n")
    return finish_response(response, None).serialize(with_body=True)
