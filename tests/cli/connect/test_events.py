"""Messages, as lines for a person."""

from __future__ import annotations

import pytest

from wsproto_async.cli.connect.events import message_lines


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
