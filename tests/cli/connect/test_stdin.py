"""Standard input, line by line."""

from __future__ import annotations

import asyncio
import os
import sys

import pytest

from wsproto_async.cli.connect.stdin import read_lines


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([b""], []),
        ([b"a\nb\n"], [b"a", b"b"]),
        ([b"a\nb"], [b"a", b"b"]),
        ([b"a\r\n\r\n\n"], [b"a", b"", b""]),
        ([b"a\r", b"\nb", b"c", b"\n\n", b"d"], [b"a", b"bc", b"", b"d"]),
    ],
)
async def test_lines(
    monkeypatch: pytest.MonkeyPatch, pieces: list[bytes], lines: list[bytes]
) -> None:
    given = iter([*pieces, b""])
    monkeypatch.setattr(os, "read", lambda fd, size: next(given))
    monkeypatch.setattr(sys, "stdin", sys.__stdout__)  # any with a descriptor
    assert [line async for line in read_lines()] == lines


async def test_lines_come_as_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading) as file:
        monkeypatch.setattr(sys, "stdin", file)
        lines = read_lines()
        for line in (b"first", b"second", b"x" * 200_000):
            waiting = asyncio.ensure_future(anext(lines))
            await asyncio.to_thread(os.write, writing, line + b"\n")
            assert await waiting == line
        os.close(writing)
        assert [line async for line in lines] == []
