"""How a connection that was open ended."""

from __future__ import annotations

import pytest

from wsproto_async import Close, ConnectionClosedError, ConnectionClosedOK
from wsproto_async.cli.ending import describe_close, status_of

OK = Close(1000, "done\x1b")


@pytest.mark.parametrize(
    ("end", "status", "text"),
    [
        (
            ConnectionClosedOK(OK, OK, received_first=True),
            0,
            r"the server closed the connection with 1000 (OK) done\x1b",
        ),
        (ConnectionClosedOK(OK, OK), 0, r"this side closed the connection with 1000 (OK) done\x1b"),
        (
            ConnectionClosedError(Close(1011), Close(1011), received_first=True),
            1,
            "the server closed the connection with 1011 (internal error)",
        ),
        (ConnectionClosedError(None, None), 1, "the connection was cut off"),
        (
            ConnectionClosedError(None, Close(1002, "bad")),
            1,
            "this side closed the connection with 1002 (protocol error) bad, without an answer",
        ),
    ],
)
def test_ends(end: ConnectionClosedError | ConnectionClosedOK, status: int, text: str) -> None:
    assert (status_of(end), describe_close(end)) == (status, text)
