"""The example of a dashboard, over the wire."""

from __future__ import annotations

import pytest
from started import Start, expect_close, hear

from wsproto_async import connect

pytestmark = pytest.mark.one_loop


async def test_samples_tell_what_happens_and_what_has_happened(start: Start) -> None:
    uri = start("dashboard/server.py").uri
    async with connect(uri) as first:
        samples = [await hear(first)]
        while samples[-1]["connections"] < 1:
            samples.append(await hear(first))
        for _ in range(100):
            await first.send("hello")
        received = 0.0
        while received < 99:  # in one sample, or in two
            samples.append(await hear(first))
            received += samples[-1]["received"] * (samples[-1]["at"] - samples[-2]["at"])
        assert received < 110
        assert samples[-1]["sent"] > 0
        assert all(sample["cpu"] >= 0 and sample["lag"] >= 0 for sample in samples)

        async with connect(uri) as second:
            history = [await hear(second) for _ in samples]
            assert history[: len(samples)] == samples


async def test_only_hello_is_counted(start: Start) -> None:
    uri = start("dashboard/server.py").uri
    for message, code in [("bye", 1008), (b"hello", 1008), ("hello" * 4, 1009)]:
        async with connect(uri) as ws:
            await ws.send(message)
            await expect_close(ws, code)
