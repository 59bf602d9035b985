"""The examples for FastAPI and Starlette, under uvicorn, over the wire."""

from __future__ import annotations

import http.client
import json

import pytest
from started import Start, expect_close, hear, receive

from wsproto_async import InvalidStatus, connect

pytestmark = pytest.mark.one_loop  # the examples have theirs


async def test_poll(start: Start) -> None:
    example = start("fastapi/server.py")
    none = {"Apple": 0, "Cherry": 0, "Fig": 0, "Pear": 0}
    async with connect(f"{example.uri}votes") as one, connect(f"{example.uri}votes") as two:
        assert await hear(one) == await hear(two) == none
        await one.send("Fig")
        assert await hear(one) == await hear(two) == {**none, "Fig": 1}
        await two.send("Kiwi")
        await expect_close(two, 1008)
        await one.send("x" * 2000)
        await expect_close(one, 1009)
    client = http.client.HTTPConnection("127.0.0.1", example.port)
    client.request("GET", "/votes")
    assert json.loads(client.getresponse().read()) == {**none, "Fig": 1}
    client.request("GET", "/")
    response = client.getresponse()
    assert "sha256-" in response.headers["Content-Security-Policy"]
    assert b"<title>Poll</title>" in response.read()
    client.close()
    with pytest.raises(InvalidStatus) as caught:
        await connect(f"{example.uri}nowhere")
    assert caught.value.response.status == 403


async def test_starlette_echo(start: Start) -> None:
    async with connect(start("starlette_echo.py").uri) as ws:
        assert str(await receive(ws)).endswith(" ms there and back")
        await ws.send("hi")
        assert await receive(ws) == "hi"
