"""An exception tells the whole story and carries its answer."""

from __future__ import annotations

import re

import pytest

from wsproto_async import exceptions
from wsproto_async.codec.close import Close
from wsproto_async.exceptions import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    HandshakeError,
    InvalidHeader,
    InvalidMessage,
    InvalidOrigin,
    InvalidStatus,
    InvalidSubprotocol,
    InvalidUpgrade,
    ProtocolError,
    WebSocketError,
)
from wsproto_async.handshake.http11 import Response


def printed_tree() -> dict[str, str]:
    """The tree in the module's docstring, as {class: base class}."""
    assert exceptions.__doc__ is not None
    bases: dict[str, str] = {}
    path: list[tuple[int, str]] = [(-1, "Exception")]
    for line in exceptions.__doc__.splitlines():
        if match := re.match(r"    (?:[ │]*[├└]── )?([A-Z]\w+)(?:  |$)", line):
            depth = match.start(1)
            while path[-1][0] >= depth:
                path.pop()
            bases[match[1]] = path[-1][1]
            path.append((depth, match[1]))
    return bases


def test_the_printed_tree_is_the_tree() -> None:
    tree = {name: getattr(exceptions, name).__base__.__name__ for name in exceptions.__all__}
    assert printed_tree() == tree


@pytest.mark.parametrize("name", exceptions.__all__)
def test_every_exception_is_explained(name: str) -> None:
    assert getattr(exceptions, name).__doc__


@pytest.mark.parametrize("name", exceptions.__all__)
def test_every_exception_is_a_web_socket_error(name: str) -> None:
    assert issubclass(getattr(exceptions, name), WebSocketError)


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (HandshakeError, 400),
        (InvalidMessage, 400),
        (InvalidHeader, 400),
        (InvalidUpgrade, 426),
        (InvalidOrigin, 403),
        (InvalidSubprotocol, 500),
    ],
)
def test_a_handshake_error_carries_its_status(kind: type[HandshakeError], status: int) -> None:
    error = kind("what was wrong")
    assert (error.status, list(error.headers), str(error)) == (status, [], "what was wrong")


def test_a_handshake_error_can_carry_another_status_and_its_headers() -> None:
    error = InvalidMessage("no such method", status=405, headers=[("Allow", "GET")])
    assert (error.status, error.headers) == (405, [("Allow", "GET")])
    assert InvalidMessage("other").status == 400, "the class keeps its own status"


def test_invalid_status_brings_the_response() -> None:
    response = Response(403)
    error = InvalidStatus(response)
    assert error.response is response
    assert str(error) == "server answered 403 Forbidden instead of 101"


def test_a_protocol_error_carries_its_close_code() -> None:
    assert ProtocolError("reserved bits are set").code == 1002
    assert ProtocolError("text is not UTF-8", 1007).code == 1007
    assert str(ProtocolError("text is not UTF-8", 1007)) == "text is not UTF-8"


BYE, GONE = Close(1000, "bye"), Close(1001)


@pytest.mark.parametrize("kind", [ConnectionClosed, ConnectionClosedOK, ConnectionClosedError])
@pytest.mark.parametrize(
    ("received", "sent", "received_first", "code", "reason", "text"),
    [
        (None, None, False, 1006, "", "no close frame received or sent"),
        (BYE, None, False, 1000, "bye", "received 1000 (OK) bye; no close frame sent"),
        (None, BYE, False, 1006, "", "no close frame received; sent 1000 (OK) bye"),
        (BYE, GONE, True, 1000, "bye", "received 1000 (OK) bye; then sent 1001 (going away)"),
        (GONE, BYE, False, 1001, "", "sent 1000 (OK) bye; then received 1001 (going away)"),
    ],
)
def test_connection_closed_tells_both_close_frames(
    kind: type[ConnectionClosed],
    received: Close | None,
    sent: Close | None,
    received_first: bool,
    code: int,
    reason: str,
    text: str,
) -> None:
    error = kind(received, sent, received_first=received_first)
    assert (error.received, error.sent, error.received_first) == (received, sent, received_first)
    assert (error.code, error.reason, str(error)) == (code, reason, text)
