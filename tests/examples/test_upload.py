"""The example that takes files, over the wire."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from pathlib import Path

import pytest
from started import TIMEOUT, Example, Start, expect_close, hear

from wsproto_async import WebSocket, connect

pytestmark = pytest.mark.one_loop

CONTENT = bytes(range(256)) * 20_000  # 5 MB


@pytest.fixture
def example(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Example:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return start("upload/server.py")


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def expect_no_files(folder: Path) -> None:
    async with asyncio.timeout(TIMEOUT):
        while files(folder):  # noqa: ASYNC110 - another process removes them
            await asyncio.sleep(0.01)


async def hear_end(ws: WebSocket) -> tuple[list[int], str]:
    """Return how much had been received each time, and the hash at the end."""
    received = []
    while "received" in (told := await hear(ws)):
        received.append(told["received"])
    return received, told["sha256"]


async def test_file_in_one_message_or_in_many(example: Example, tmp_path: Path) -> None:
    uri = f"{example.uri}upload?size={len(CONTENT)}"
    parts = [CONTENT[at : at + 70_000] for at in range(0, len(CONTENT), 70_000)]
    for messages in ([CONTENT], parts):
        async with connect(uri) as ws:
            for message in messages:
                await ws.send(message)
            received, digest = await hear_end(ws)
            await expect_close(ws, 1000)
        assert received == sorted(set(received))
        assert 10 < len(received) <= 100
        assert 0.98 * len(CONTENT) < received[-1] <= len(CONTENT)
        assert digest == sha256(CONTENT).hexdigest()
    assert [path.read_bytes() == CONTENT for path in files(tmp_path)] == [True, True]
    example.interrupt()
    example.wait()
    assert files(tmp_path) == []


@pytest.mark.parametrize("is_cut_off", [False, True])
async def test_nothing_is_left_of_what_is_cancelled(
    example: Example, tmp_path: Path, is_cut_off: bool
) -> None:
    ws = await connect(f"{example.uri}upload?size={len(CONTENT)}")
    await ws.send(CONTENT[:100_000])
    await hear(ws)
    assert len(files(tmp_path)) == 1
    if is_cut_off:
        ws.abort()
    else:
        await ws.close()
    await expect_no_files(tmp_path)


async def test_what_cannot_be_taken_is_refused(example: Example, tmp_path: Path) -> None:
    for query, code in [
        ("", 1008),
        ("size=", 1008),
        ("size=-1", 1008),
        ("size=1e3", 1008),
        (f"size={'9' * 400}", 1008),
        (f"size={2**30 + 1}", 1009),
    ]:
        async with connect(f"{example.uri}upload?{query}") as ws:
            await expect_close(ws, code)
    for message in ("text", bytes(1001)):
        async with connect(f"{example.uri}upload?size=1000") as ws:
            await ws.send(message)
            await expect_close(ws, 1008)
    await expect_no_files(tmp_path)


async def test_full_disk_is_said(example: Example) -> None:
    uri = f"{example.uri}upload?size={2**30}"
    async with connect(uri), connect(uri), connect(uri), connect(uri) as fourth:
        async with connect(uri) as fifth:
            await expect_close(fifth, 1013)
        await fourth.close()
        async with asyncio.timeout(TIMEOUT):
            while True:  # what it had been promised is free again
                async with connect(uri) as ws:
                    await ws.send(bytes(2**24))
                    if "received" in str(await anext(ws, "")):
                        return
