"""The opening handshake: what the server answers, header by header.

What is right is not decided here: each header is put into an answer that is right otherwise, and
the client's own checks say what they say.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, Final, NoReturn

from ...exceptions import HandshakeError, InvalidRedirect, InvalidStatus
from ...extensions.permessage_deflate import PerMessageDeflate
from ...handshake.client import check_response, generate_key
from ...handshake.extensions import finalize_extension
from ...handshake.headers import Headers, HeadersLike
from ...handshake.http11 import Response
from ...handshake.redirect import follow_redirect, is_redirect
from ...handshake.server import accept_response
from ...handshake.uri import WebSocketURI
from ...sansio.client import ClientConnection
from ..exits import EXIT_REFUSED, EXIT_UNREACHABLE
from ..failure import body_text
from ..text import escape
from .refusals import explain_bytes, explain_status, named_software
from .report import Problem, Report
from .tls import Streams

__all__ = ["Offer", "shake_hands"]

_READ_SIZE: Final = 65536

# The rules that each header of the answer has to fulfil: RFC 6455 4.1, of the client, 2 to 6.
_SECTIONS: Final = {
    "Upgrade": "RFC 6455 4.1, 4.2.2",
    "Connection": "RFC 6455 4.1, 4.2.2",
    "Sec-WebSocket-Accept": "RFC 6455 4.1, 4.2.2",
    "Sec-WebSocket-Protocol": "RFC 6455 4.1, 11.3.4",
    "Sec-WebSocket-Extensions": "RFC 6455 9.1, RFC 7692 7.1",
}
_NEEDED: Final = ("Upgrade", "Connection", "Sec-WebSocket-Accept")


class Offer:
    """What the client asks for; a connection's worth of it is ``connection``."""

    def __init__(
        self,
        uri: WebSocketURI,
        *,
        subprotocols: list[str],
        compression: bool,
        origin: str | None,
        headers: HeadersLike,
    ) -> None:
        self.uri = uri
        self.subprotocols = subprotocols
        self.extensions = [PerMessageDeflate()] if compression else []
        self.key = generate_key()
        self.connection = ClientConnection(
            uri,
            subprotocols=subprotocols,
            extensions=self.extensions,
            origin=origin,
            additional_headers=headers,
            user_agent_header="wsproto_async doctor",
            key=self.key,
            max_size=None,
            max_fragments=None,
        )


async def shake_hands(
    report: Report, streams: Streams, offer: Offer, patience: float
) -> WebSocketURI | None:
    """Open the connection; return None, or where the server sends us instead."""
    connection = offer.connection
    connection.send_request()
    start = perf_counter()
    received = bytearray()
    event: object = None
    is_in_time = True
    try:
        async with asyncio.timeout(patience):
            streams.writer.write(connection.data_to_send())
            while event is None:
                data = await streams.reader.read(_READ_SIZE)
                received += data
                if data:
                    connection.receive_data(data)
                else:
                    connection.receive_eof()
                event = connection.next_event()
    except TimeoutError:
        is_in_time = False
    except OSError:  # reset: what has come counts
        pass
    if event is None:
        connection.receive_eof()
        event = connection.next_event()
    seconds = perf_counter() - start
    response = connection.response
    if response is None:
        _report_no_answer(report, offer, bytes(received), patience if not is_in_time else None)
    if isinstance(connection.error, InvalidStatus):
        return _report_refusal(report, offer, connection.error, seconds)
    _report_headers(report, offer, response, seconds)
    if connection.error is not None:
        report.give_up()
    _report_agreement(report, offer, response)
    return None


def _report_no_answer(
    report: Report, offer: Offer, received: bytes, patience: float | None
) -> NoReturn:
    if patience is not None and not received:
        report.stop(
            "HTTP",
            f"no answer within {patience:g} s",
            Problem(
                "The server has taken the connection and does not answer the request.",
                "server",
                "Check that the port is the server's, and that it is not stuck or overloaded"
                + ("." if offer.uri.secure else "; on a port for TLS, take a wss: URL."),
            ),
            EXIT_UNREACHABLE,
        )
    if patience is not None and b"HTTP/".startswith(received[:5]):
        report.stop(
            "HTTP",
            f"no complete answer within {patience:g} s",
            Problem(
                "The server has begun to answer the request, and has not come to the end.",
                "server",
                "See if it is stuck or overloaded; --timeout gives it more time.",
            ),
            EXIT_UNREACHABLE,
        )
    if received[:5] == b"HTTP/":
        report.stop(
            "HTTP",
            f"a bad answer: {escape(str(offer.connection.error))}",
            Problem(
                "The answer breaks the rules of HTTP/1.1 (RFC 9112).",
                "server",
                "Correct the server, or the proxy that has changed its answer.",
            ),
            EXIT_REFUSED,
        )
    text, problem = explain_bytes(received, offer.uri)
    report.stop("HTTP", text, problem, EXIT_REFUSED)


def _report_refusal(
    report: Report, offer: Offer, error: InvalidStatus, seconds: float
) -> WebSocketURI:
    response = error.response
    text = f"{response.status} {escape(response.reason)}".rstrip() + named_software(response)
    details = {"http_status": response.status, "headers": _escaped(response.headers)}
    if is_redirect(error):
        location = escape(response.headers["Location"])
        text += f", to {location}"
        try:
            target = follow_redirect(offer.uri, error)
        except InvalidRedirect as exc:
            problem = Problem(
                f"The {escape(str(exc))}.",
                "server",
                f"Connect to where the server wants us, if that is right: {location}",
            )
            report.stop("HTTP", text, problem, EXIT_REFUSED, **details)
        problem = Problem(
            "Browsers follow no redirect of a WebSocket; this client does.",
            "client",
            f"Connect to {escape(str(target))} at once.",
        )
        report.warn("HTTP", text, problem, seconds, **details)
        return target
    body = body_text(response)
    text += f": {body}" if body else ""
    origin = offer.connection.request.headers.get("Origin")
    problem = explain_status(response, offer.uri, origin)
    report.stop("HTTP", text, problem, EXIT_REFUSED, **details)


def _report_headers(report: Report, offer: Offer, response: Response, seconds: float) -> None:
    text = f"101 {escape(response.reason)}{named_software(response)}"
    report.ok("HTTP", text, seconds, http_status=101, headers=_escaped(response.headers))
    for name, section in _SECTIONS.items():
        if name not in response.headers and name not in _NEEDED:
            continue
        value = escape(response.headers.get(name, "(missing)"))
        text = f"{name}: {value} ({section})"
        details: dict[str, Any] = {"header": name, "section": section}
        fault = _fault(name, offer, response)
        if fault is None:
            report.ok("header", text, **details)
        else:
            report.fail("header", text, _explain_fault(name, fault), EXIT_REFUSED, **details)


def _fault(name: str, offer: Offer, response: Response) -> HandshakeError | None:
    """Return what the client says of one header of the answer, None if that is right."""
    headers = accept_response(offer.key, None).headers
    del headers[name]
    for value in response.headers.get_all(name):
        headers.add_checked(name, value)
    try:
        check_response(Response(101, headers=headers), offer.key, offer.subprotocols)
        finalize_extension(headers, offer.extensions)
    except HandshakeError as exc:
        return exc
    return None


def _explain_fault(name: str, fault: HandshakeError) -> Problem:
    why = f"{escape(str(fault))}."
    why = why[0].upper() + why[1:]
    if name == "Sec-WebSocket-Accept":
        return Problem(
            f"{why} It has to be the base64 of the SHA-1 of our key and a fixed text.",
            "server",
            "Correct the server; or a cache between has given us the answer to somebody else.",
        )
    if name in _NEEDED:
        return Problem(
            why,
            "server",
            "Correct the server, or the proxy that has changed its answer: proxies have to pass "
            "Upgrade and Connection back as well.",
        )
    return Problem(why, "server", "Have the server choose among what the client offers.")


def _report_agreement(report: Report, offer: Offer, response: Response) -> None:
    chosen = offer.connection.subprotocol
    if chosen is not None:
        report.ok("subprotocol", escape(chosen), subprotocol=chosen)
    elif offer.subprotocols:
        problem = Problem(
            "The server has chosen none of those offered: browsers then close the connection.",
            "server",
            "Offer one that the server supports, or none.",
        )
        report.warn("subprotocol", f"none of {', '.join(offer.subprotocols)}", problem)
    accepted = response.headers.get("Sec-WebSocket-Extensions")
    if accepted:
        report.ok("compression", escape(accepted), extensions=accepted)
    elif offer.extensions:
        report.ok("compression", "none: the server has not accepted it", extensions="")


def _escaped(headers: Headers) -> list[tuple[str, str]]:
    return [(name, escape(value)) for name, value in headers.pairs()]
