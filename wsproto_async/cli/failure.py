"""Why there is no connection: one line, and the exit status that goes with it."""

from __future__ import annotations

import os
import socket
import ssl

from ..exceptions import HandshakeError, InvalidMessage, InvalidStatus, ProxyError
from ..handshake.http11 import Response
from ..handshake.uri import parse_uri
from .exits import EXIT_REFUSED, EXIT_TLS, EXIT_UNREACHABLE, EXIT_USAGE
from .text import escape

__all__ = ["CONNECT_ERRORS", "body_text", "explain", "os_text", "tls_text"]

# What connect() raises; ImportError if SOCKS is not installed.
CONNECT_ERRORS = (HandshakeError, OSError, ValueError, ImportError)

_LONGEST_BODY = 200  # characters


def explain(error: Exception, url: str) -> tuple[str, int]:
    """Return what to say about one of CONNECT_ERRORS, and the exit status."""
    uri = parse_uri(url)
    match error:
        case ProxyError():
            return f"no way through the proxy: {escape(str(error))}", EXIT_UNREACHABLE
        case InvalidStatus():
            return _refused(error), EXIT_REFUSED
        case InvalidMessage():
            text = f"the handshake with {uri.authority} failed: {escape(str(error))}"
            return f"{text}; wsproto-async doctor tells what is there", EXIT_REFUSED
        case HandshakeError():
            return f"the handshake with {uri.authority} failed: {escape(str(error))}", EXIT_REFUSED
        case ssl.SSLError():
            return f"TLS with {uri.authority} failed: {tls_text(error)}", EXIT_TLS
        case socket.gaierror():
            text = f"there is no address for its name: {error.strerror}"
            return f"{uri.authority} cannot be reached: {text}", EXIT_UNREACHABLE
        case UnicodeError():  # a label over 63 characters, for one
            return f"{uri.authority} cannot be reached: that is no name", EXIT_UNREACHABLE
        case OSError():
            return f"{uri.authority} cannot be reached: {os_text(error)}", EXIT_UNREACHABLE
        case _:
            return str(error), EXIT_USAGE


def os_text(error: OSError) -> str:
    """Return what a network's error says, in the same words from every event loop."""
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there (connection refused)"
    if isinstance(error, TimeoutError) and not error.errno:
        return str(error) or "no answer in time"
    return os.strerror(error.errno) if error.errno else str(error)


def tls_text(error: ssl.SSLError) -> str:
    """Return what an error of TLS says, without what only OpenSSL's authors can use."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not trusted: {error.verify_message}"
    if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return "what answers does not speak TLS; is it a ws: URL?"
    return (error.reason or str(error)).replace("_", " ").lower()


def _refused(error: InvalidStatus) -> str:
    body = body_text(error.response)
    return f"the {escape(str(error))}" + (f": {body}" if body else "")


def body_text(response: Response) -> str:
    """Return the first line of a body that is text, and not too much of it."""
    kind = response.headers.get("Content-Type", "text/plain")
    if not kind.startswith("text/plain") and "json" not in kind:
        return ""  # a page of HTML says nothing in one line
    body = response.body if isinstance(response.body, bytes) else response.body.encode()
    lines = body.decode("utf-8", "replace").strip().splitlines()
    line = escape(lines[0].strip()) if lines else ""
    return line if len(line) <= _LONGEST_BODY else f"{line[:_LONGEST_BODY]}..."
