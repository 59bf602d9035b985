"""Answers that open no connection: what each of them means, and what helps."""

from __future__ import annotations

from typing import Final

from ...handshake.http11 import Response
from ...handshake.uri import WebSocketURI
from ..text import escape
from .report import Problem

__all__ = ["explain_bytes", "explain_status", "named_software"]

_UPGRADE_LOST: Final = (
    "a proxy before the server may drop Upgrade and Connection: it has to pass them on, in "
    "HTTP/1.1 (nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
    'proxy_set_header Connection "upgrade";)'
)


def explain_status(response: Response, uri: WebSocketURI, origin: str | None) -> Problem:
    """Return what a status other than 101 means, which is not followed as a redirect."""
    status = response.status
    body = response.body if isinstance(response.body, bytes) else response.body.encode()
    if status == 400 and b"HTTPS port" in body:
        return Problem(
            "The port is one for TLS, and was spoken to without.",
            "client",
            f"Take a wss: URL: wss://{uri.authority}{uri.path}",
        )
    if 200 <= status < 300:
        return Problem(
            "This is a web page, and no WebSocket endpoint: the request was answered as any other.",
            "server",
            f"Check the path ({uri.path}). If it is right, {_UPGRADE_LOST}.",
        )
    if 300 <= status < 400:
        return Problem(
            "The server sends us elsewhere, and does not say where.", "server", "Check the URL."
        )
    if status == 403:
        return _forbidden(origin, uri)
    if status == 426:
        return _upgrade_required(response)
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return _BY_STATUS[500]
    return _BY_STATUS[400]


def _forbidden(origin: str | None, uri: WebSocketURI) -> Problem:
    if origin is not None:
        return Problem(
            f"The server does not let pages of {escape(origin)} connect, or not this user.",
            "server",
            "Add that origin to those that it allows (in this package: serve(origins=[...])), "
            "or connect from a page of the server's own.",
        )
    scheme = "https" if uri.secure else "http"
    return Problem(
        "The server does not let us in: without credentials, or without an Origin, which only "
        "browsers send.",
        "server",
        f"Try --origin {scheme}://{uri.authority} or -H 'Authorization: ...'; a firewall for web "
        "applications may refuse as well.",
    )


def _upgrade_required(response: Response) -> Problem:
    versions = response.headers.get("Sec-WebSocket-Version", "13")
    if "13" not in [version.strip() for version in versions.split(",")]:
        return Problem(
            f"The server speaks another version of the protocol: {escape(versions)}, not 13.",
            "server",
            "Bring the server up to RFC 6455, which is of 2011.",
        )
    return Problem(
        "The server has seen a request without Upgrade: websocket, and we have sent one with it.",
        "proxy",
        f"Something between has changed the request: {_UPGRADE_LOST}.",
    )


_BY_STATUS: Final = {
    400: Problem(
        "The server, or a proxy before it, does not take the request for a valid one.",
        "server",
        f"Its log may tell why. Else {_UPGRADE_LOST}.",
    ),
    401: Problem(
        "The server wants to know who asks.",
        "client",
        "Give credentials: wss://user:password@host/ or -H 'Authorization: Bearer ...' or "
        "-H 'Cookie: ...'.",
    ),
    404: Problem(
        "There is nothing at that path.", "client", "Check the path of the URL, and its host."
    ),
    405: Problem(
        "What is at that path takes no GET, so it is no WebSocket endpoint.",
        "client",
        "Check the path of the URL.",
    ),
    407: Problem(
        "A proxy wants to know who asks.", "client", "Give --proxy http://user:password@host"
    ),
    421: Problem(
        "The server does not answer for that host.",
        "server",
        "Check the host of the URL; in this package, serve(allowed_hosts=[...]) has the list.",
    ),
    429: Problem("We have asked too often.", "client", "Wait, as long as Retry-After says."),
    500: Problem(
        "The server has failed, in the application or before it.", "server", "Read its log."
    ),
    502: Problem(
        "A proxy has got no valid answer from the server behind it.",
        "proxy",
        f"Check that the server behind it runs, and where the proxy looks for it. Else "
        f"{_UPGRADE_LOST}.",
    ),
    503: Problem(
        "The server is overloaded, is being restarted, or is not there behind its proxy.",
        "server",
        "Try again; if it stays so, see if the server runs, and how many connections it allows.",
    ),
    504: Problem(
        "A proxy has waited in vain for the server behind it.",
        "proxy",
        "Check that the server behind it runs and answers, and that no firewall is between them.",
    ),
}

# What others say first, and who they are.
_OTHERS: Final = (
    (b"SSH-", "SSH"),
    (b"220 ", "SMTP or FTP"),
    (b"220-", "SMTP or FTP"),
    (b"* OK", "IMAP"),
    (b"+OK", "POP3"),
    (b"-ERR", "Redis"),
    (b"RFB ", "VNC"),
    (b"AMQP", "AMQP"),
)


def explain_bytes(data: bytes, uri: WebSocketURI) -> tuple[str, Problem]:
    """Return what an answer is that is no HTTP/1.1, and what that means."""
    if not data:
        return "hung up without an answer", Problem(
            "What listens there has closed the connection at our request.",
            "server",
            "Check that the port is right"
            + ("" if uri.secure else ", and that it is not one for TLS (then take a wss: URL)")
            + "; a proxy hangs up when the server behind it does.",
        )
    if data[:2] in (b"\x15\x03", b"\x16\x03"):
        return "a TLS record", Problem(
            "The port is one for TLS, and was spoken to without.",
            "client",
            f"Take a wss: URL: wss://{uri.authority}{uri.path}",
        )
    if data.startswith(b"PRI * HTTP/2") or data[:4] == b"\x00\x00\x12\x04":
        return "HTTP/2", Problem(
            "The server speaks HTTP/2 alone, where WebSockets begin in another way.",
            "server",
            "Have it speak HTTP/1.1 as well.",
        )
    for beginning, name in _OTHERS:
        if data.startswith(beginning):
            return f"this is {name}", Problem(
                f"What listens there speaks {name}, not HTTP.", "client", "Check the port."
            )
    shown = escape(data[:40].decode("latin-1"))
    return f"no HTTP: {shown}", Problem(
        "What listens there does not speak HTTP/1.1 as it should (RFC 9112).",
        "server",
        "Check the port; if it is right, the server is at fault.",
    )


def named_software(response: Response) -> str:
    """Return who says that it has answered, for a line; empty if nobody does."""
    said = [
        f"{name}: {response.headers[name]}"
        for name in ("Server", "Via")
        if name in response.headers
    ]
    return escape(f" ({', '.join(said)})") if said else ""
