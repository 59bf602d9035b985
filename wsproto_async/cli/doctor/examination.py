"""The course of an examination: each step needs the one before."""

from __future__ import annotations

import argparse
import asyncio
import ssl

from ...handshake.headers import Headers
from ...handshake.proxy import ProxyURI, parse_proxy, system_proxy
from ...handshake.redirect import MAX_REDIRECTS, public_headers
from ...handshake.uri import WebSocketURI, parse_uri
from ..exits import EXIT_REFUSED, EXIT_USAGE
from ..text import escape
from .handshake import Offer, shake_hands
from .network import connect_to, resolve
from .report import Problem, Report, Stopped
from .talk import talk
from .tls import Streams, begin_tls
from .tunnel import open_tunnel, open_tunnel_by_socks

__all__ = ["examine"]


async def examine(report: Report, arguments: argparse.Namespace, context: ssl.SSLContext) -> None:
    """Go through a handshake, with the options that the command line has."""
    uri, headers = parse_uri(arguments.url), Headers(arguments.header)
    try:
        for _ in range(MAX_REDIRECTS + 1):
            report.heading(escape(str(uri)))
            target = await _examine_one(report, arguments, context, uri, headers)
            if target is None:
                return
            if target.origin != uri.origin:
                headers = public_headers(headers)
            uri = target
        problem = Problem(
            "The server sends us from place to place.", "server", "Correct its redirects."
        )
        report.stop("HTTP", f"over {MAX_REDIRECTS} redirects", problem, EXIT_REFUSED)
    except Stopped:
        return


async def _examine_one(
    report: Report,
    arguments: argparse.Namespace,
    context: ssl.SSLContext,
    uri: WebSocketURI,
    headers: Headers,
) -> WebSocketURI | None:
    """Return where the server sends us, None at the end."""
    patience: float = arguments.timeout
    proxy = _find_proxy(report, arguments.proxy, uri)
    streams = await _reach(report, proxy, uri, patience)
    try:
        if uri.secure:
            is_direct = proxy is None
            await begin_tls(report, streams, context, uri.host, patience, is_direct=is_direct)
        offer = Offer(
            uri,
            subprotocols=list(dict.fromkeys(arguments.subprotocol)),
            compression=not arguments.no_compression,
            origin=arguments.origin,
            headers=headers,
        )
        target = await shake_hands(report, streams, offer, patience)
        if target is None:
            await talk(report, streams, offer.connection, patience)
        return target
    finally:
        streams.close()


def _find_proxy(report: Report, wanted: str | bool | None, uri: WebSocketURI) -> ProxyURI | None:
    if wanted is None:
        return None
    try:
        proxy = system_proxy(uri) if wanted is True else parse_proxy(str(wanted))
    except ValueError as exc:
        problem = Problem(
            "The environment names a proxy that is none.",
            "client",
            "Correct https_proxy, http_proxy or all_proxy, or connect without: --no-proxy.",
        )
        report.stop("proxy", str(exc), problem, EXIT_USAGE)
    if proxy is not None:
        whose = "the environment's" if wanted is True else "--proxy"
        report.ok("proxy", f"{proxy.scheme}://{proxy.host}:{proxy.port} ({whose})")
    return proxy


async def _reach(
    report: Report, proxy: ProxyURI | None, uri: WebSocketURI, patience: float
) -> Streams:
    if proxy is None:
        addresses = await resolve(report, uri.host, uri.port, patience)
        sock = await connect_to(report, addresses, patience, "server")
        return Streams(*await asyncio.open_connection(sock=sock))
    addresses = await resolve(report, proxy.host, proxy.port, patience)
    sock = await connect_to(report, addresses, patience, "proxy")
    if not proxy.is_socks:
        return await open_tunnel(report, sock, proxy, uri, patience)
    sock.close()  # what speaks SOCKS connects by itself
    return await open_tunnel_by_socks(report, proxy, uri, patience)
