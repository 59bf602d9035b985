"""The example that streams answers token by token, over the wire."""

from __future__ import annotations

import json

import pytest
from started import Start, expect_close, hear, say

from wsproto_async import WebSocket, connect

pytestmark = pytest.mark.one_loop


async def read_answer(ws: WebSocket) -> tuple[str, str]:
    """Return the answer, and how it ended."""
    tokens = []
    while "token" in (told := await hear(ws)):
        tokens.append(told["token"])
    return "".join(tokens), told["end"]


async def test_one_answer_after_another(start: Start) -> None:
    async with connect(start("tokens/server.py", "--rate", "10000").uri) as ws:
        for subject in ("backpressure", "grüße", "limits"):
            await say(ws, kind="ask", prompt=f"and {subject}?")
            answer, end = await read_answer(ws)
            assert answer.startswith(f" On {subject}. ")
            assert answer.count(".") >= 7
            assert end == "complete"


async def begin(ws: WebSocket, subject: str) -> None:
    """Ask, and read the three tokens that come at once."""
    await say(ws, kind="ask", prompt=subject)
    assert [(await hear(ws))["token"] for _ in range(3)] == [" On", f" {subject}", "."]


async def test_stop_ends_the_answer_at_once(start: Start) -> None:
    """At one token in some hours, only what cancels can end it."""
    async with connect(start("tokens/server.py", "--rate", "0.0001").uri) as ws:
        await say(ws, kind="stop")  # nothing is under way: nothing happens
        await begin(ws, "limits")
        await say(ws, kind="stop")
        await say(ws, kind="stop")
        assert await hear(ws) == {"end": "stopped"}
        await begin(ws, "queues")
        await say(ws, kind="ask", prompt="streams")
        assert await hear(ws) == {"end": "stopped"}
        assert await hear(ws) == {"token": " On"}


@pytest.mark.parametrize("is_cut_off", [False, True])
async def test_end_of_the_connection_ends_the_answer(start: Start, is_cut_off: bool) -> None:
    example = start("tokens/server.py", "--rate", "0.0001")
    ws = await connect(example.uri)
    await begin(ws, "limits")
    if is_cut_off:
        ws.abort()
    else:
        await ws.close()
    assert "3 tokens" in await example.logs("answered with")


async def test_other_messages_are_refused(start: Start) -> None:
    uri = start("tokens/server.py").uri
    for message in (
        "hello",
        b'{"kind": "stop"}',
        "[" * 8000,
        '{"kind": "ask"}',
        '{"kind": "ask", "prompt": ""}',
        json.dumps({"kind": "ask", "prompt": "x" * 2001}),
    ):
        async with connect(uri) as ws:
            await ws.send(message)
            await expect_close(ws, 1008)
    async with connect(uri) as ws:
        await ws.send("x" * (2**14 + 1))
        await expect_close(ws, 1009)
