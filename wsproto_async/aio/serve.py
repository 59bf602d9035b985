"""serve() and unix_serve(): everything that can be asked of a server."""

from __future__ import annotations

import logging
import os
import ssl as ssl_module
from collections.abc import Generator, Sequence
from functools import partial
from socket import socket
from types import TracebackType
from typing import Any, Literal

from ..extensions.base import Extension
from ..handshake.forwarded import TrustedProxies
from ..handshake.host import AllowedHosts, check_allowed_hosts
from ..handshake.origin import Origins, check_origins
from ..pubsub.broker import Broker
from ..pubsub.memory import MemoryBroker
from ..pubsub.topic import Topic
from ..pubsub.uri import open_broker
from ..sansio.server import ServerConnection
from .acceptor import accept_on
from .admission import Admission, Limits
from .beside import Beside
from .bind import SocketFile, bind, bind_unix, hosts_of, set_user_timeout
from .log import Log, LoggerLike
from .probes import Probes
from .server import Handler, Server
from .settings import Compression, Settings, all_extensions, all_of, check_limit
from .topics import Topics
from .upgrade import Hooks, ProcessRequest, ProcessResponse, SelectSubprotocol

__all__ = ["serve", "unix_serve"]


class serve:
    """Start a server: ``async with serve(handler, port) as server`` or ``await serve(...)``.

    ``handler`` is called with a :class:`WebSocket` for each connection, in a task of its own.
    When it returns, the connection is closed with 1000. When it raises, that is logged, once, and
    the connection closed with 1011.

    Where to listen:

    - ``port``: 0 picks a free one; ``server.port`` tells which.
    - ``host``: ``"127.0.0.1"`` by default, so that nobody else reaches a server made in a minute;
      a sequence of several; None for all addresses of this machine.
    - ``sock``: a bound socket, or a sequence of them, in place of ``host`` and ``port``.
    - ``ssl``: an :class:`ssl.SSLContext`, for ``wss:`` URIs.
    - ``reuse_port``, ``backlog``: as for :meth:`asyncio.loop.create_server`.

    The opening handshake:

    - ``subprotocols``: those supported, the most preferred first. A client that offers none of
      them is accepted without one.
    - ``select_subprotocol(ws, offered)``: returns one of those offered, or None.
    - ``compression``: ``"deflate"``, the default, compresses messages of 1 KiB and more for clients
      that offer it, and costs a resting connection no memory; a :class:`PerMessageDeflate` says
      more; None for none.
    - ``extensions``: further ones, each an :class:`~wsproto_async.extensions.Extension`. The first
      acceptable offer of the client is the one extension of the connection.
    - ``origins``: which pages may connect. ``"same-origin"``, the default, allows requests
      without Origin, which browsers never send, those from the host that they are sent to, and
      those between loopback names. Else a sequence of strings, compiled patterns that must match
      in full, and None for no Origin; or None for no check. What is not allowed gets a 403.
    - ``allowed_hosts``: the hosts that the server answers for, without ports: names, addresses,
      and compiled patterns that must match in full. A request for another gets a 421, so that
      nobody lets a name of theirs point here. None, the default, for all.
    - ``process_request(ws, request)``: may answer with a :class:`Response`: a page, a refusal;
      None goes on. May be a coroutine function, or a sequence of such hooks, asked in turn, like
      :func:`basic_auth`. GET and HEAD get here, from any origin: the check of ``origins`` comes
      after it.
    - ``process_response(ws, request, response)``: may change the response, or return another.
    - ``server_header``: the value of Server; None for none.
    - ``liveness``, ``readiness``: paths such as ``"/livez"`` that answer GET with 200, to whomever,
      while the event loop runs, or while new connections are let in (else 503). None by default.
    - ``trusted_proxies``: addresses and networks (``"10.0.0.0/8"``) of proxies whose
      X-Forwarded-For or Forwarded tells ``ws.remote_address``, and ``"unix"`` for all on a Unix
      socket. None by default: anybody can write such a header.
    - ``proxy_protocol``: True if they send a PROXY header, version 1 or 2, first of all. Who does
      not, or is none of them, is hung up on. False by default.
    - ``status``: a :class:`~wsproto_async.status.Status` answers at paths of its own, to whom it
      knows, with a page of what goes on and with metrics. None by default.

    The handler:

    - ``cancel_on_disconnect``: True cancels its task when the connection is gone, unless it has
      closed it itself. False by default: ``recv`` and ``send`` tell, ``ws.wait_closed()`` waits
      for it, and ``ws.tasks()`` groups tasks that end with it.

    Topics, explained in the page on them:

    - ``topics``: what holds for them, a sequence of :class:`Topic`; the first whose pattern matches
      counts. Topics that none matches have no history, and slow subscribers are closed.
    - ``broker``: who carries publications to other processes: a ``redis:``, ``rediss:`` or
      ``redis+unix:`` URI, or a :class:`~wsproto_async.pubsub.Broker`. None, the default, for
      nobody; the workers of :func:`run` then share their topics.
    - ``max_topics``: that this process has subscribers of, 65,536; ``max_subscriptions``: of one
      connection, 1,000. None lifts these limits.

    Limits, explained in the page on limits; None lifts any of them but ``read_limit`` and
    ``write_limit``:

    - ``open_timeout``: seconds for the whole opening handshake, 10; over TLS, for TLS's as well.
    - ``close_timeout``: seconds from the beginning of the end until the connection is gone, 10.
    - ``ping_interval``, ``ping_timeout``: seconds between pings, 20, and to wait for any sign of
      life after one, 20.
    - ``send_timeout``: seconds in which a peer that ``send`` waits for has to take some of what was
      sent, 20, or the connection is aborted.
    - ``frame_timeout``: seconds in which a frame that has begun has to bring 1 KiB or its end, 20,
      or the connection is closed with 1008.
    - ``max_size``: bytes in a message, 1 MiB; ``max_fragments``: frames in a message, 16,384.
    - ``read_limit``: bytes of messages that wait for ``recv`` before the peer has to wait,
      256 KiB, at least 4; ``write_limit``: bytes that wait for the peer before ``send`` has to,
      64 KiB, or more than 24 writes, however small.
    - ``max_handshakes``: connections that have not sent their request yet, 1,000; for one more the
      one that has waited longest gets a 503.
    - ``max_connections``: open connections, and requests that are being answered, 65,536; more get
      a 503 with Retry-After. ``max_connections_per_address`` of one address, or of an IPv6 network
      of 64 bits: ``"auto"``, the default, is 1,024 of a public address, and no limit for others,
      which may be a proxy's.

    Raises TypeError and ValueError at once for what cannot work, OSError if it cannot listen
    there, and BrokerError if it cannot reach its broker.
    """

    def __init__(
        self,
        handler: Handler,
        port: int | None = None,
        *,
        host: str | Sequence[str] | None = "127.0.0.1",
        sock: socket | Sequence[socket] | None = None,
        ssl: ssl_module.SSLContext | None = None,
        reuse_port: bool | None = None,
        backlog: int = 1024,
        subprotocols: Sequence[str] = (),
        select_subprotocol: SelectSubprotocol | None = None,
        compression: Compression = "deflate",
        extensions: Sequence[Extension] = (),
        origins: Origins = "same-origin",
        allowed_hosts: AllowedHosts = None,
        process_request: ProcessRequest | Sequence[ProcessRequest] | None = None,
        process_response: ProcessResponse | None = None,
        server_header: str | None = "wsproto_async",
        liveness: str | None = None,
        readiness: str | None = None,
        trusted_proxies: Sequence[str] = (),
        proxy_protocol: bool = False,
        status: Beside | None = None,
        cancel_on_disconnect: bool = False,
        topics: Sequence[Topic] = (),
        broker: Broker | str | None = None,
        max_topics: int | None = 2**16,
        max_subscriptions: int | None = 1000,
        open_timeout: float | None = 10,
        close_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        send_timeout: float | None = 20,
        frame_timeout: float | None = 20,
        max_size: int | None = 2**20,
        max_fragments: int | None = 2**14,
        read_limit: int = 2**18,
        write_limit: int = 2**16,
        max_handshakes: int | None = 1000,
        max_connections: int | None = 2**16,
        max_connections_per_address: int | Literal["auto"] | None = "auto",
        logger: LoggerLike | None = None,
    ) -> None:
        if not callable(handler):
            raise TypeError(f"handler must be a coroutine function, not {handler!r}")
        if isinstance(subprotocols, str):
            raise TypeError("subprotocols must be a sequence of strings, not a string")
        origins, allowed_hosts = all_of(origins), all_of(allowed_hosts)
        check_origins(origins)
        check_allowed_hosts(allowed_hosts)
        check_limit("max_size", max_size)
        check_limit("max_fragments", max_fragments, 1)
        self._settings = Settings(
            open_timeout=open_timeout,
            close_timeout=close_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            send_timeout=send_timeout,
            frame_timeout=frame_timeout,
            read_limit=read_limit,
            write_limit=write_limit,
            log=Log(logging.getLogger("wsproto_async.server") if logger is None else logger),
        )
        make_connection = partial(
            ServerConnection,
            origins=origins,
            allowed_hosts=allowed_hosts,
            subprotocols=all_of(subprotocols),
            extensions=all_extensions(extensions, compression),
            server_header=server_header,
            max_size=max_size,
            max_fragments=max_fragments,
        )
        if process_request is None or callable(process_request):
            process_request = () if process_request is None else (process_request,)
        hooks = Hooks(tuple(process_request), process_response, select_subprotocol)
        limits = Limits(max_handshakes, max_connections, max_connections_per_address)
        probes = Probes(liveness, readiness)
        trusted_proxies = all_of(trusted_proxies)
        proxies = TrustedProxies(trusted_proxies)
        if proxy_protocol and not trusted_proxies:
            raise ValueError("proxy_protocol needs trusted_proxies")
        self._preface = proxies if proxy_protocol else None
        check_limit("max_topics", max_topics)
        check_limit("max_subscriptions", max_subscriptions)
        topics = tuple(topics)
        for topic in topics:
            if not isinstance(topic, Topic):
                raise TypeError(f"topics must be Topics, not {topic!r}")
        if isinstance(broker, str):
            broker = open_broker(broker)
        if not isinstance(broker, Broker | None):
            raise TypeError(f"broker must be a Broker or a URI, not {broker!r}")
        if not isinstance(status, Beside | None):
            raise TypeError(f"status must be a Status, not {status!r}")
        if status is not None and not status.paths.isdisjoint((liveness, readiness)):
            raise ValueError("liveness and readiness must differ from the paths of status")

        def make_server() -> Server:
            carrier = MemoryBroker() if broker is None else broker
            server = Server(
                handler,
                make_connection,
                hooks,
                self._settings,
                Admission(limits),
                probes,
                proxies,
                Topics(
                    topics,
                    carrier,
                    max_topics,
                    max_subscriptions,
                    self._settings.log,
                ),
                cancel_on_disconnect,
            )
            if status is not None:
                server.have_beside(status.open(server, carrier))
            return server

        self._make_server = make_server
        self._hosts, self._port, self._sock = hosts_of(host), port, sock
        self._reuse_port, self._backlog = reuse_port, backlog
        self._ssl = ssl
        self._server: Server | None = None

    async def _bind(self) -> list[socket]:
        if self._sock is not None:
            return [self._sock] if isinstance(self._sock, socket) else list(self._sock)
        if self._port is None:
            raise TypeError("serve() needs a port or a sock")
        return await bind(self._hosts, self._port, self._reuse_port, self._backlog)

    async def _listen(self, server: Server) -> None:
        socks = await self._bind()
        try:
            for sock in socks:
                set_user_timeout(sock, self._settings.send_timeout)  # for those it accepts
                listener = await accept_on(
                    sock,
                    server.make_protocol,
                    self._backlog,
                    self._ssl,
                    self._preface,
                    self._settings.log,
                )
                server.listen_with(listener, sock)
        except BaseException:
            server.stop_listening()
            for sock in socks:
                sock.close()
            raise

    async def _start(self) -> Server:
        server = self._make_server()
        await server.open_topics()
        try:
            await self._listen(server)
        except BaseException:
            await server.close_topics()
            raise
        for sock in server.sockets:
            address = sock.getsockname()
            where = "{}:{}".format(*address) if isinstance(address, tuple) else address
            self._settings.log.info("listening on %s", where)
        server.listening(self._ssl is not None)
        return server

    def __await__(self) -> Generator[Any, None, Server]:
        return self._start().__await__()

    async def __aenter__(self) -> Server:
        self._server = await self._start()
        return self._server

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        await self._server.__aexit__(exc_type, exc, traceback)


class unix_serve(serve):
    """Start a server on a Unix socket at ``path``; everything else as for :func:`serve`.

    Raises OSError if it cannot listen there.
    """

    def __init__(self, handler: Handler, path: str | os.PathLike[str], **options: Any) -> None:
        super().__init__(handler, 0, **options)
        self._path = os.fspath(path)

    async def _bind(self) -> list[socket]:
        if self._sock is not None:
            raise ValueError("path and sock cannot both be given")
        return [bind_unix(self._path, self._backlog)]

    async def _listen(self, server: Server) -> None:
        await super()._listen(server)
        server.listen_with(SocketFile(self._path))
