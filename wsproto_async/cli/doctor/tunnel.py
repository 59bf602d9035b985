"""The proxy: which one it is, and the tunnel through it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from time import perf_counter
from typing import Final

from ...aio.proxy import connect_socks
from ...exceptions import ProxyError
from ...handshake.proxy import AnswerReader, ProxyURI, build_connect_request
from ...handshake.uri import WebSocketURI
from ..exits import EXIT_UNREACHABLE, EXIT_USAGE
from ..text import escape
from .report import Problem, Report
from .tls import Streams, begin_tls

__all__ = ["open_tunnel", "open_tunnel_by_socks"]


async def open_tunnel(
    report: Report, sock: socket.socket, proxy: ProxyURI, uri: WebSocketURI, patience: float
) -> Streams:
    """Return the streams to the server, through the HTTP proxy that ``sock`` leads to."""
    streams = Streams(*await asyncio.open_connection(sock=sock))
    try:
        if proxy.scheme == "https":
            context = ssl.create_default_context()
            await begin_tls(report, streams, context, proxy.host, patience, is_direct=True)
        start = perf_counter()
        try:
            async with asyncio.timeout(patience):
                await _ask(streams, build_connect_request(proxy, uri))
        except TimeoutError:
            report.stop("proxy", "no answer to CONNECT", _SILENT, EXIT_UNREACHABLE)
        except ProxyError as exc:
            report.stop("proxy", escape(str(exc)), _why_not(exc, proxy), EXIT_UNREACHABLE)
        except OSError as exc:
            report.stop("proxy", escape(str(exc)), _SILENT, EXIT_UNREACHABLE)
        seconds = perf_counter() - start
        report.ok("proxy", f"opened a tunnel to {uri.host}:{uri.port}", seconds)
    except BaseException:
        streams.close()
        raise
    return streams


async def open_tunnel_by_socks(
    report: Report, proxy: ProxyURI, uri: WebSocketURI, patience: float
) -> Streams:
    """Return the streams to the server, through a SOCKS proxy."""
    start = perf_counter()
    try:
        async with asyncio.timeout(patience):
            sock = await connect_socks(proxy, uri, None)
    except ImportError as exc:
        problem = Problem("Something is not installed.", "client", f"{exc}.")
        report.stop("proxy", str(exc), problem, EXIT_USAGE)
    except TimeoutError:
        report.stop("proxy", "no answer", _SILENT, EXIT_UNREACHABLE)
    except (ProxyError, OSError) as exc:
        report.stop("proxy", escape(str(exc)), _SOCKS_REFUSED, EXIT_UNREACHABLE)
    report.ok("proxy", f"opened a tunnel to {uri.host}:{uri.port}", perf_counter() - start)
    return Streams(*await asyncio.open_connection(sock=sock))


async def _ask(streams: Streams, request: bytes) -> None:
    streams.writer.write(request)
    answer = AnswerReader()
    while True:
        # One byte at a time: what follows the answer is the server's.
        piece = await streams.reader.read(1)
        if not piece:
            raise ProxyError("connection closed by the proxy")
        answer.feed(piece)
        if answer.read() is not None:
            return


def _why_not(error: ProxyError, proxy: ProxyURI) -> Problem:
    status = None if error.response is None else error.response.status
    if status == 407:
        has_user = proxy.credentials is not None
        return Problem(
            "The proxy does not accept the user and the password of its URL."
            if has_user
            else "The proxy wants to know who asks.",
            "client",
            "Give them: http://user:password@proxy:port",
        )
    if status in (403, 405):
        return Problem(
            "The proxy does not allow tunnels to that host and port.",
            "proxy",
            "Ask who runs it; many let through port 443 alone. --no-proxy connects without it.",
        )
    if status is not None and status >= 500:
        return Problem(
            "The proxy cannot reach the server, or does not know its name.",
            "network",
            "Check the host of the URL; a name of your own network may need no_proxy.",
        )
    return _SILENT


_SILENT: Final = Problem(
    "What is there does not behave as an HTTP proxy does.",
    "proxy",
    "Check the proxy's URL, its port above all, or connect without it: --no-proxy.",
)
_SOCKS_REFUSED: Final = Problem(
    "The proxy does not open the tunnel, or does not speak SOCKS.",
    "proxy",
    "Check the proxy's URL with its user and password, and whether it can reach the server.",
)
