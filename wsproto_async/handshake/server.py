"""The server's side of the opening handshake (RFC 6455 4.2), as functions on values."""

from __future__ import annotations

import binascii
import re
from collections.abc import Sequence
from email.utils import formatdate
from hashlib import sha1
from typing import Final

from ..exceptions import HandshakeError, InvalidHeader, InvalidMessage, InvalidUpgrade
from .headers import Headers, parse_list
from .http11 import Request, Response

__all__ = [
    "accept_response",
    "accept_token",
    "begin_response",
    "build_request",
    "check_upgrade",
    "finish_response",
    "refusal",
    "select_subprotocol",
]

_UPGRADE: Final = [("Upgrade", "websocket")]
_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SHA1: Final = sha1(usedforsecurity=False)  # to be copied: finding the algorithm takes longer
_HOST: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=%]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?")
_ABSOLUTE_FORM: Final = re.compile(r"(?:http|ws)s?://([^/?]*)(.*)", re.IGNORECASE)


def build_request(start: tuple[str, str], headers: Headers) -> Request:
    """Check what any HTTP request must fulfil and return it.

    Raises InvalidMessage: no Host or several (RFC 9112 3.2), a target in a form that asks for no
    resource here, or a body: GET needs none, and one that a proxy saw otherwise is smuggled.
    """
    method, target = start
    hosts = headers.get_all("Host")
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        raise InvalidMessage("exactly one valid Host header is required")
    lengths = headers.get_all("Content-Length")
    if "Transfer-Encoding" in headers or (lengths and lengths != ["0"]):
        raise InvalidMessage("request has a body")
    if not target.startswith("/"):
        absolute = _ABSOLUTE_FORM.fullmatch(target)
        if absolute is None:
            raise InvalidMessage("request target is not a path")
        if absolute[1].lower() != hosts[0].lower():
            raise InvalidMessage("Host differs from the authority of the request target")
        target = absolute[2] if absolute[2].startswith("/") else f"/{absolute[2]}"
    return Request(target, headers, method=method)


def check_upgrade(request: Request) -> str:
    """Return Sec-WebSocket-Key of a valid upgrade request (RFC 6455 4.2.1).

    Raises InvalidUpgrade (426) if this is no upgrade to version 13 of the WebSocket protocol and
    InvalidHeader (400) for a bad key.
    """
    headers = request.headers
    if request.method != "GET" or not _has_token(headers, "Upgrade", "websocket"):
        raise InvalidUpgrade("this is a WebSocket server: upgrade to websocket", headers=_UPGRADE)
    if not _has_token(headers, "Connection", "upgrade"):
        raise InvalidUpgrade("Connection lacks the token upgrade", headers=_UPGRADE)
    if headers.get_all("Sec-WebSocket-Version") != ["13"]:
        raise InvalidUpgrade(
            "Sec-WebSocket-Version is not 13",
            headers=[*_UPGRADE, ("Sec-WebSocket-Version", "13")],
        )
    keys = headers.get_all("Sec-WebSocket-Key")
    if len(keys) != 1 or not _is_key(keys[0]):
        raise InvalidHeader("Sec-WebSocket-Key is not 16 bytes in base64, once")
    return keys[0]


def _has_token(headers: Headers, name: str, token: str) -> bool:
    values = headers.get_all(name)
    if len(values) == 1 and values[0].lower() == token:
        return True
    return token in map(str.lower, parse_list(headers, name))


def _is_key(key: str) -> bool:
    try:
        return len(key) == 24 and len(binascii.a2b_base64(key, strict_mode=True)) == 16
    except ValueError:  # not base64, or not even ASCII
        return False


def select_subprotocol(offered: Sequence[str], supported: Sequence[str]) -> str | None:
    """Return the first of ``supported`` that the client offers, None if there is none."""
    for name in supported:
        if name in offered:
            return name
    return None


def accept_token(key: str) -> str:
    """Return Sec-WebSocket-Accept for a Sec-WebSocket-Key (RFC 6455 4.2.2)."""
    hashing = _SHA1.copy()
    hashing.update((key + _GUID).encode())
    return binascii.b2a_base64(hashing.digest(), newline=False).decode()


def accept_response(key: str, subprotocol: str | None, extension: str | None = None) -> Response:
    """Return the 101 that opens the connection."""
    response = Response(101)
    headers = response.headers
    headers.add_checked("Upgrade", "websocket")
    headers.add_checked("Connection", "Upgrade")
    headers.add_checked("Sec-WebSocket-Accept", accept_token(key))
    if subprotocol is not None:
        headers.add_checked("Sec-WebSocket-Protocol", subprotocol)
    if extension is not None:
        headers.add_checked("Sec-WebSocket-Extensions", extension)
    return response


def refusal(error: HandshakeError) -> Response:
    """Return the response that tells a client what was wrong with its handshake."""
    body = str(error).encode("ascii", "backslashreplace").decode()
    return Response(error.status, headers=error.headers, body=f"{body}\n")


def finish_response(response: Response, server_header: str | None) -> Response:
    """Return the response with the header fields that go over the wire with any of its kind.

    ``server_header`` has been checked.
    """
    headers = response.headers
    if response.status != 101:  # which the application may have made for many
        headers = Headers(headers)
    if server_header is not None and "Server" not in headers:
        headers.add_checked("Server", server_header)
    if response.status == 101:
        return response
    # RFC 9110 8.6, 15.4.5: the length of what is not sent would mislead.
    body = b"" if response.status in (204, 304) else response.body
    if response.status not in (204, 304):
        headers["Content-Length"] = str(len(body))
    _add_usual(headers)
    return Response(response.status, response.reason, headers, body)


def begin_response(response: Response, server_header: str | None) -> Response:
    """Return a refusal whose body follows, in chunks if its length is not known, as it is sent.

    ``server_header`` has been checked. Raises ValueError for a status that has no body.
    """
    if response.status in (101, 204, 304):
        raise ValueError(f"a response of status {response.status} has no body")
    headers = Headers(response.headers)
    if server_header is not None and "Server" not in headers:
        headers.add_checked("Server", server_header)
    if "Content-Length" not in headers:
        headers["Transfer-Encoding"] = "chunked"
    _add_usual(headers)
    return Response(response.status, response.reason, headers)


def _add_usual(headers: Headers) -> None:
    # RFC 9110 15.5.22, 7.8: Upgrade stands with the connection option of that name.
    headers["Connection"] = "close, Upgrade" if "Upgrade" in headers else "close"
    if "Date" not in headers:
        headers.add("Date", formatdate(usegmt=True))
