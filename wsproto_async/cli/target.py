"""What to connect to, and how: the options of all commands that do."""

from __future__ import annotations

import argparse
import ssl
from collections.abc import Callable
from typing import Any, Final, TypeVar

from ..handshake.headers import check_field, is_token
from ..handshake.proxy import parse_proxy
from ..handshake.uri import parse_uri
from .exits import UsageError
from .numbers import seconds

__all__ = ["CLOSE_TIMEOUT", "add_to", "client_context", "connect_options"]

CLOSE_TIMEOUT: Final = 3.0  # seconds: who waits for the end of a command is a person

# What the handshake is made of: with another value the answer is judged by what was not asked.
_NO_HEADERS: Final = {
    "connection": "",
    "sec-websocket-accept": "",
    "sec-websocket-extensions": "; --no-compression offers none",
    "sec-websocket-key": "",
    "sec-websocket-protocol": "; take --subprotocol",
    "sec-websocket-version": "",
    "upgrade": "",
}

Parsed = TypeVar("Parsed")


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the URL, and the options that tell how to connect to it."""
    parser.add_argument("url", metavar="URL", type=_checked(_url), help="ws:// or wss://")
    group = parser.add_argument_group("how to connect")
    add = group.add_argument
    add(
        "-H",
        "--header",
        action="append",
        default=[],
        type=_checked(_header),
        metavar="'NAME: VALUE'",
        help="sent with the request, in place of ours of that name; may be repeated",
    )
    add(
        "--origin", type=_checked(_origin), metavar="ORIGIN", help="as of a page: https://a.example"
    )
    add(
        "--subprotocol",
        action="append",
        default=[],
        type=_checked(_subprotocol),
        metavar="NAME",
        help="offered, the most preferred first; may be repeated",
    )
    add("--no-compression", action="store_true", help="offer no permessage-deflate")
    exclusive = group.add_mutually_exclusive_group()
    exclusive.add_argument(
        "--cacert", metavar="FILE", help="trust these authorities, PEM, in place of the system's"
    )
    exclusive.add_argument(
        "--insecure", action="store_true", help="wss: with whatever certificate; for tests alone"
    )
    exclusive = group.add_mutually_exclusive_group()
    exclusive.add_argument(
        "--proxy",
        type=_checked(_proxy),
        default=True,
        metavar="URL",
        help="http, https or socks; default: the environment's",
    )
    exclusive.add_argument(
        "--no-proxy", action="store_const", const=None, dest="proxy", help="connect directly"
    )
    add(
        "--timeout",
        type=seconds(0.001),
        default=10.0,
        metavar="S",
        help="seconds until the connection is open, default 10",
    )


def connect_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what :func:`wsproto_async.connect` takes; raises UsageError."""
    return {
        "uri": arguments.url,
        "ssl": client_context(arguments) if parse_uri(arguments.url).secure else None,
        "subprotocols": list(dict.fromkeys(arguments.subprotocol)),
        "compression": None if arguments.no_compression else "deflate",
        "origin": arguments.origin,
        "additional_headers": arguments.header,
        "proxy": arguments.proxy,
        "open_timeout": arguments.timeout,
        "close_timeout": CLOSE_TIMEOUT,
    }


def client_context(arguments: argparse.Namespace) -> ssl.SSLContext:
    """Return how to begin TLS; raises UsageError."""
    try:
        context = ssl.create_default_context(cafile=arguments.cacert)
    except OSError as exc:  # ssl.SSLError is one
        why = f"no certificates in {arguments.cacert}: {exc.strerror or exc}"
        raise UsageError(why) from None
    if arguments.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _checked(parse: Callable[[str], Parsed]) -> Callable[[str], Parsed]:
    """Let argparse print what a ValueError says."""

    def checked(text: str) -> Parsed:
        try:
            text.encode()  # bytes that are no characters come as surrogates
        except UnicodeEncodeError:
            raise argparse.ArgumentTypeError(f"{text!r} is not UTF-8") from None
        try:
            return parse(text)
        except ValueError as exc:
            raise argparse.ArgumentTypeError(str(exc)) from None

    return checked


def _url(text: str) -> str:
    parse_uri(text)
    return text


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise ValueError(f"{text!r} is not of the form 'Name: value'")
    value = value.strip(" \t")
    check_field(name, value)
    hint = _NO_HEADERS.get(name.lower())
    if hint is not None:
        raise ValueError(f"{name} is the handshake's own{hint}")
    return name, value


def _origin(text: str) -> str:
    check_field("Origin", text)
    return text


def _subprotocol(text: str) -> str:
    if not is_token(text):
        raise ValueError(f"{text!r} is no token")
    return text


def _proxy(text: str) -> str:
    parse_proxy(text)
    return text
