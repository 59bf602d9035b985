"""Messages and ends, as lines."""

from __future__ import annotations

import pytest

from wsproto_async import Close, ConnectionClosedError, ConnectionClosedOK
from wsproto_async.cli.connect.events import describe_close, message_lines, status_of


@pytest.mark.parametrize(
    ("message", "lines"),
    [
        ("", [""]),
        ("one\ntwo\x1b[2K\r", ["one", r"two\x1b[2K\r"]),
        ('{"a": "\x9b"}', ["{", r'  "a": "\x9b"', "}"]),
        (b"", ["binary, 0 bytes"]),
        (b"\x1b", ["binary, 1 byte", f"00000000  1b{' ' * 48}|.|"]),
        ("x" * 20_001, ["x" * 20_000, "... 1 more character"]),
    ],
)
def test_messages(message: str | bytes, lines: list[str]) -> None:
    assert message_lines(message) == lines


def test_a_large_binary_message_is_cut() -> None:
    lines = message_lines(bytes(5000))
    assert len(lines) == 66
    assert (lines[0], lines[-1]) == ("binary, 5,000 bytes", "... 3,976 more bytes")


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
