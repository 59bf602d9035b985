"""The example of a shared whiteboard, over the wire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from started import Start, expect_close, hear, say

from wsproto_async import WebSocket, connect

pytestmark = pytest.mark.one_loop

STROKE = {"kind": "stroke", "stroke": 1, "color": 0, "pen": 2, "points": [[0, 0], [3200, 2000]]}


async def enter(ws: WebSocket, secret: int) -> tuple[list[dict[str, Any]], str]:
    """Return what has happened on the board, and who this is."""
    await say(ws, kind="enter", secret=f"{secret:032x}")
    told = [await hear(ws)]
    while told[-1]["kind"] != "entered":
        told.append(await hear(ws))
    return told[:-1], told[-1]["by"]


async def test_what_is_drawn_is_told_to_all_in_one_order(start: Start) -> None:
    uri = start("whiteboard/server.py").uri
    async with connect(uri) as first, connect(uri) as second:
        history, one = await enter(first, 1)
        assert history == []
        _, other = await enter(second, 2)
        assert one != other

        await say(first, **{**STROKE, "kind": "pen"})  # while it is drawn
        assert await hear(second) == {**STROKE, "kind": "pen", "by": one}
        await say(first, **STROKE)
        await say(first, **STROKE)  # as if it did not know that it was heard
        await say(second, kind="undo", stroke=1)  # of its own there is none
        await say(second, **STROKE)
        await say(first, kind="undo", stroke=1)
        done = [
            {**STROKE, "by": one},
            {"kind": "undo", "by": other, "stroke": 1},
            {**STROKE, "by": other},
            {"kind": "undo", "by": one, "stroke": 1},
        ]
        heard = [[await hear(ws) for _ in done] for ws in (first, second)]
        assert heard[0] == heard[1]
        assert sorted(heard[0], key=str) == sorted(done, key=str)

        await first.close()
        assert await hear(second) == {"kind": "lift", "by": one}
        await say(second, kind="clear")
        assert await hear(second) == {"kind": "clear", "by": other}
        async with connect(uri) as late:
            told = await enter(late, 1)
        assert told == ([*heard[0], {"kind": "clear", "by": other}], one)


async def test_who_comes_late_gets_large_strokes_too(start: Start) -> None:
    uri = start("whiteboard/server.py").uri
    points = [[3199, 1999]] * 1000
    async with connect(uri) as ws:
        await enter(ws, 1)
        for number in range(200):  # some 2 MB
            await say(ws, **{**STROKE, "stroke": number, "points": points})
            await hear(ws)
    async with connect(uri, compression=None) as late:
        history, _ = await enter(late, 2)
        assert [each["stroke"] for each in history] == list(range(200))


async def test_what_cannot_be_drawn_is_refused(start: Start) -> None:
    uri = start("whiteboard/server.py").uri
    for message in (
        "hello",
        b"{}",
        '{"kind": "shout"}',
        '{"kind": "undo", "stroke": "1"}',
        '{"kind": "undo", "stroke": -1}',
        *(
            json.dumps({**STROKE, **part})
            for part in (
                {"stroke": 2**32},
                {"color": 6},
                {"color": True},
                {"pen": None},
                {"points": []},
                {"points": [[0, 0]] * 1001},
                {"points": [[0]]},
                {"points": [[0, 2001]]},
                {"points": [[0.5, 0]]},
                {"points": "00"},
            )
        ),
    ):
        async with connect(uri) as ws:
            await enter(ws, 1)
            await ws.send(message)
            await expect_close(ws, 1008)
    for message in ("hello", json.dumps(STROKE), '{"kind": "enter", "secret": "x"}'):
        async with connect(uri) as ws:
            await ws.send(message)
            await expect_close(ws, 1008)
