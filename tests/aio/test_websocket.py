"""What a handler, or a client, holds in its hands, and sends; every test runs on both."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from uuid import UUID

import pytest
from raw_peer import BINARY, TEXT, Frame, until
from receiving import MIXED

from wsproto_async import State, WebSocket, connect, serve


async def test_send(link: Callable) -> None:
    async with link() as (ws, peer):
        for message, text, frame in (
            (MIXED, None, Frame(TEXT, MIXED.encode())),
            (MIXED, True, Frame(TEXT, MIXED.encode())),
            (MIXED, False, Frame(BINARY, MIXED.encode())),
            (b"\xff", None, Frame(BINARY, b"\xff")),
            (b"\xff", False, Frame(BINARY, b"\xff")),
            (MIXED.encode(), True, Frame(TEXT, MIXED.encode())),
            (bytearray(b"array"), None, Frame(BINARY, b"array")),
            (memoryview(b"a view")[2:], None, Frame(BINARY, b"view")),
            (memoryview(b"a view"), True, Frame(TEXT, b"a view")),
            ("", None, Frame(TEXT, b"")),
            (b"", None, Frame(BINARY, b"")),
            (bytes(70_000), None, Frame(BINARY, bytes(70_000))),
        ):
            await ws.send(message, text)
            assert await peer.read_frame() == frame
            await ws.send(message, text=text)
            assert await peer.read_frame() == frame


async def test_what_cannot_be_sent(link: Callable) -> None:
    """An iterable of data is told from data, and from what is neither."""
    async with link() as (ws, peer):
        for message, error in (
            (None, "message must be str, bytes-like or an iterable of such, not NoneType"),
            (1, "message must be str, bytes-like or an iterable of such, not int"),
            ({"a": "b"}, "message must be str, bytes-like or an iterable of such, not dict"),
            (object(), "message must be str, bytes-like or an iterable of such, not object"),
            ([1], "data must be str or bytes-like, not int"),
            ([None, "x"], "data must be str or bytes-like, not NoneType"),
            ([["x"]], "data must be str or bytes-like, not list"),
        ):
            with pytest.raises(TypeError, match=f"^{error}$"):
                await ws.send(message)
            assert ws.buffered_amount == 0
        for message, text in (("\ud800", None), (b"\xff", True), (["\ud800", "x"], None)):
            with pytest.raises(UnicodeError):
                await ws.send(message, text)
        await ws.send("next")
        assert await peer.read_frame() == Frame(TEXT, b"next")


async def test_attributes_of_both_ends() -> None:
    opened = asyncio.get_running_loop().create_future()

    async def handler(ws: WebSocket) -> None:
        opened.set_result(ws)
        await ws.wait_closed()

    async with (
        serve(handler, 0, subprotocols=["chat"]) as server,
        connect(
            f"ws://127.0.0.1:{server.port}/room?a=b%20c",
            subprotocols=["other", "chat"],
            additional_headers={"X-Extra": "yes"},
        ) as client,
    ):
        at_server = await opened
        for ws in (at_server, client):
            assert ws.state is State.OPEN
            assert ws.path == "/room?a=b%20c"
            assert ws.request.method == "GET"
            assert ws.headers is ws.request.headers
            assert ws.headers["x-extra"] == "yes"
            assert ws.response.status == 101
            assert ws.subprotocol == ws.response.headers["Sec-WebSocket-Protocol"] == "chat"
            assert ws.close_code is None
            assert ws.close_reason is None
            assert isinstance(ws.id, UUID)
            assert ws.id == ws.id
            assert ws.latency == 0.0
            assert ws.buffered_amount == 0
            assert ws.transport.get_extra_info("socket").fileno() >= 0
            ws.user = "me"  # one may set attributes of one's own
            assert ws.user == "me"
            assert weakref.ref(ws)() is ws
        assert at_server.id != client.id
        assert at_server.server is server
        assert client.server is None
        assert at_server.local_address == client.remote_address == ("127.0.0.1", server.port)
        assert at_server.remote_address == client.local_address
        assert repr(client) == (f"<WebSocket /room?... OPEN peer=('127.0.0.1', {server.port})>")
        await client.close()
        assert repr(client) == (f"<WebSocket /room?... CLOSED peer=('127.0.0.1', {server.port})>")


async def test_buffered_amount_counts_what_has_not_left(link: Callable) -> None:
    async with link(small_buffers=True) as (ws, peer):
        await ws.send(bytes(2**20))
        before = ws.buffered_amount
        assert 0 < before <= 2**20 + 14
        reading = asyncio.create_task(peer.read_frame())
        await until(lambda: ws.buffered_amount == 0)
        assert (await reading).payload == bytes(2**20)


async def test_states_are_those_of_browsers(link: Callable) -> None:
    async with link() as (ws, peer):
        states = [ws.state]
        closing = asyncio.create_task(ws.close())
        await asyncio.sleep(0)
        states.append(ws.state)
        await peer.answer_close()
        await closing
        states.append(ws.state)
        assert states == [State.OPEN, State.CLOSING, State.CLOSED] == [1, 2, 3]
