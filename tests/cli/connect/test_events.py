"""Messages, as lines for a person."""

from __future__ import annotations

import tracemalloc

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


def test_small_json_takes_little_memory() -> None:
    """Though it would be hundreds of megabytes with all of its lines and all that they indent."""
    message = "[" * 900 + ",".join("1" * 300_000) + "]" * 900
    tracemalloc.start()
    try:
        lines = message_lines(message)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    shown = "\n".join(lines[:-1])
    assert len(shown) == 20_000
    left_out = len(message) - len("".join(shown.split()))
    assert lines[-1] == f"... {left_out:,} more characters"
