"""The WebSocket of the page."""

from __future__ import annotations

import asyncio
import json

import pytest
from asking import TOKEN, echo, feed, numbers
from raw_peer import (
    TEXT,
    UPGRADE,
    close_frame,
    frame,
    frame_header,
    head,
    masked,
    raw_peer,
    tcp_peer,
    until,
    within,
)

from wsproto_async import ConnectionClosedError, Topic, broadcast, connect, serve
from wsproto_async.status import Status
from wsproto_async.status import feed as feed_module

STATUS = Status(token=TOKEN)


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], f"{TOKEN} ", "\u20ac" * 17, "x" * 9999])
async def test_who_does_not_know_the_token_sees_nothing(token: str) -> None:
    async with serve(echo, 0, status=STATUS) as server, feed(server, token) as ws:
        with pytest.raises(ConnectionClosedError):
            await ws.recv()
        assert (ws.close_code, ws.close_reason) == (4401, "the token is needed")


async def test_the_token_may_come_as_bytes() -> None:
    async with (
        serve(echo, 0, status=STATUS) as server,
        connect(f"ws://127.0.0.1:{server.port}/status") as ws,
    ):
        await ws.send(TOKEN.encode())
        await numbers(ws)


async def test_it_has_to_come_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "_PATIENCE", 0.05)
    async with (
        serve(echo, 0, status=STATUS) as server,
        connect(f"ws://127.0.0.1:{server.port}/status") as ws,
    ):
        await within(1, ws.wait_closed())
        assert ws.close_code == 4401


async def test_strangers_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """For one more the oldest goes, and who is known does not count."""
    monkeypatch.setattr(feed_module, "_STRANGERS", 2)
    async with serve(echo, 0, status=STATUS) as server:
        uri = f"ws://127.0.0.1:{server.port}/status"
        async with feed(server) as known:
            await numbers(known)
            async with connect(uri) as one, connect(uri) as two, connect(uri) as three:
                await within(1, one.wait_closed())
                assert one.close_code is None or one.close_code == 1006
                async with feed(server) as four:
                    await within(1, two.wait_closed())
                    await numbers(four)
                await three.send(TOKEN)
                await numbers(three)
            await numbers(known)


@pytest.mark.parametrize("last", [frame(TEXT, b"wrong"), close_frame(1000), b"\xff\x80" + bytes(4)])
async def test_who_was_sent_away_counts_until_it_is_gone(
    last: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets its Close frame, and does not hang up."""
    monkeypatch.setattr(feed_module, "_STRANGERS", 1)
    monkeypatch.setattr(feed_module, "_FAREWELL", 3600.0)
    async with (
        serve(echo, 0, status=STATUS) as server,
        tcp_peer(server.port) as peer,
    ):
        await peer.send(head("GET /status HTTP/1.1", *UPGRADE[1:]))
        await peer.read_head()
        await peer.send(last)
        await peer.read_close()
        async with feed(server) as ws:
            await numbers(ws)
            await until(lambda: len(server._websockets) == 1)


async def test_who_was_sent_away_has_to_go_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "_FAREWELL", 0.05)
    async with (
        serve(echo, 0, status=STATUS, close_timeout=None) as server,
        tcp_peer(server.port) as peer,
    ):
        await peer.send(head("GET /status HTTP/1.1", *UPGRADE[1:]))
        await peer.read_head()
        await peer.send(frame(TEXT, b"wrong"))
        assert (await peer.read_close()).close_code == 4401
        await until(lambda: not server._websockets)


async def test_a_long_token_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "_PATIENCE", 3600.0)
    async with (
        serve(echo, 0, status=STATUS) as server,
        tcp_peer(server.port) as peer,
    ):
        await peer.send(head("GET /status HTTP/1.1", *UPGRADE[1:]))
        await peer.read_head()
        await peer.send(frame_header(TEXT, 2**20) + masked(b"x" * 1025))
        assert (await peer.read_close()).close_code == 4401


async def test_a_broadcast_does_not_reach_it() -> None:
    """Neither the page nor strangers are among the application's connections."""
    async with serve(echo, 0, status=STATUS) as server, feed(server) as page:
        await numbers(page)
        async with (
            connect(f"ws://127.0.0.1:{server.port}/status") as stranger,
            connect(f"ws://127.0.0.1:{server.port}/") as ws,
        ):
            await until(lambda: server.stats().connections == 3)
            assert [each.remote_address for each in server.connections] == [ws.local_address]
            broadcast(server.connections, "secret")
            assert await ws.recv() == "secret"
            await stranger.close()
        assert not server._of_site - server._websockets.keys()


async def test_nothing_can_be_said() -> None:
    async with serve(echo, 0, status=STATUS) as server, feed(server) as ws:
        await numbers(ws)
        await ws.send("restart")
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (1008, "there is nothing to say")


async def test_numbers_come_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed_module, "_PERIOD", 0.02)
    async with serve(echo, 0, status=STATUS, ping_interval=0.05) as server, feed(server) as ws:
        before = await numbers(ws)
        assert before["messages_received"] == 1  # the token
        async with connect(f"ws://127.0.0.1:{server.port}/a?secret") as other:
            await other.send("hello")
            assert await other.recv() == "hello"
            while (now := await numbers(ws))["connections"] != 2:
                pass
            assert now["accepted"] == before["accepted"] + 1
            assert now["messages_received"] == 2
            while sum((await numbers(ws))["round_trips"]) != 2:
                pass
        while (now := await numbers(ws))["connections"] != 1:
            pass
        assert now["closed"] == [[1000, 1]]
        assert now["durations"][0] == sum(now["durations"]) == 1
        assert now["at"] > before["at"]


async def test_what_it_says_of_the_server() -> None:
    async with serve(echo, 0, status=STATUS) as server, feed(server) as ws:
        message = json.loads(await ws.recv())
        assert message["about"].keys() == {"version", "compiled", "python", "loop", "host"}
        assert message["about"]["loop"] in ("asyncio", "uvloop")
        assert message["lag"] >= 0


async def test_topics_and_who_is_behind() -> None:
    async def subscribe(ws):
        await ws.subscribe(ws.path.strip("/") or "t" * 200)
        await ws.wait_closed()

    topic = Topic("*", slow="drop-oldest", max_bytes=2**16)
    async with (
        serve(subscribe, 0, status=STATUS, topics=[topic], write_limit=4096) as server,
        raw_peer(server.port, small=True) as slow,
        connect(f"ws://127.0.0.1:{server.port}/news"),
        connect(f"ws://127.0.0.1:{server.port}/news"),
    ):
        await until(lambda: "news" in server.topics and len(server.topics["news"]) == 2)
        (peer,) = [ws for ws in server.connections if ws.path == "/"]
        while peer.buffered_amount < 4096:
            server.publish("t" * 200, b"x" * 60_000, compress=False)
            await asyncio.sleep(0)
        async with feed(server) as ws:
            found = await numbers(ws)
        assert found["largest"] == [["news", 2], ["t" * 80, 1]]
        assert found["topics"]["subscriptions"] == 3
        assert found["behind"] == 1
        ((name, waiting),) = found["slowest"]
        assert name == f"{slow.name} /"
        assert waiting == found["buffered"] >= 4096


async def test_the_connection_ends_with_the_server() -> None:
    async with serve(echo, 0, status=STATUS) as server, feed(server) as ws:
        await numbers(ws)
        server.close(1012)
        await within(2, server.wait_closed())
        await ws.wait_closed()
        assert ws.close_code == 1012
