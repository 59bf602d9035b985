"""The end, as exceptions tell it; every test runs on a server and on a client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from raw_peer import CLOSE, within
from receiving import closed_by, stream

from wsproto_async import (
    Close,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    State,
    WebSocket,
)


async def peer_closes(ws: WebSocket, peer: Any, code: int | None, reason: bytes = b"") -> None:
    await peer.send(peer.frame(CLOSE) if code is None else peer.close_frame(code, reason))
    await peer.read_close()
    peer.sock.close()


async def we_close(ws: WebSocket, peer: Any, code: int, answer: int) -> None:
    closing = asyncio.create_task(ws.close(code, "ours"))
    await peer.read_close()
    await peer.send_close(answer, b"theirs")
    if peer.is_client:
        await peer.read_eof()
    peer.sock.close()
    await closing


async def cut_off(ws: WebSocket, peer: Any) -> None:
    peer.sock.close()


async def cut_off_while_closing(ws: WebSocket, peer: Any) -> None:
    closing = asyncio.create_task(ws.close(1000, "ours"))
    await peer.read_close()
    peer.sock.close()
    await closing


async def break_the_rules(ws: WebSocket, peer: Any) -> None:
    await peer.send(b"\xf1\x00")
    await peer.read_close()
    peer.sock.close()


@pytest.mark.parametrize(
    ("end", "kind", "received", "sent", "text"),
    [
        (
            lambda *link: peer_closes(*link, 1000, b"bye"),
            ConnectionClosedOK,
            Close(1000, "bye"),
            Close(1000, "bye"),
            "received 1000 (OK) bye; then sent 1000 (OK) bye",
        ),
        (
            lambda *link: peer_closes(*link, 1001),
            ConnectionClosedOK,
            Close(1001),
            Close(1001),
            "received 1001 (going away); then sent 1001 (going away)",
        ),
        (
            lambda *link: peer_closes(*link, None),
            ConnectionClosedOK,
            Close(1005),
            Close(1005),
            "received 1005 (no status received); then sent 1005 (no status received)",
        ),
        (
            lambda *link: peer_closes(*link, 4000, b"why"),
            ConnectionClosedError,
            Close(4000, "why"),
            Close(4000, "why"),
            "received 4000 (private use) why; then sent 4000 (private use) why",
        ),
        (
            lambda *link: we_close(*link, 1001, 1000),
            ConnectionClosedOK,
            Close(1000, "theirs"),
            Close(1001, "ours"),
            "sent 1001 (going away) ours; then received 1000 (OK) theirs",
        ),
        (
            lambda *link: we_close(*link, 1000, 3000),
            ConnectionClosedError,
            Close(3000, "theirs"),
            Close(1000, "ours"),
            "sent 1000 (OK) ours; then received 3000 (registered) theirs",
        ),
        (
            lambda *link: we_close(*link, 1011, 1000),
            ConnectionClosedError,
            Close(1000, "theirs"),
            Close(1011, "ours"),
            "sent 1011 (internal error) ours; then received 1000 (OK) theirs",
        ),
        (cut_off, ConnectionClosedError, None, None, "no close frame received or sent"),
        (
            cut_off_while_closing,
            ConnectionClosedError,
            None,
            Close(1000, "ours"),
            "no close frame received; sent 1000 (OK) ours",
        ),
        (
            break_the_rules,
            ConnectionClosedError,
            None,
            Close(1002, "reserved bits are set"),
            "no close frame received; sent 1002 (protocol error) reserved bits are set",
        ),
    ],
    ids=[
        "peer 1000",
        "peer 1001",
        "peer without a code",
        "peer 4000",
        "we 1001",
        "we, answered 3000",
        "we 1011",
        "cut off",
        "cut off while closing",
        "protocol error",
    ],
)
async def test_the_exception_tells_the_end(
    link: Callable,
    end: Callable,
    kind: type[ConnectionClosed],
    received: Close | None,
    sent: Close | None,
    text: str,
) -> None:
    async with link() as (ws, peer):
        await end(ws, peer)
        exc = await closed_by(ws)
        assert type(exc) is kind
        assert (exc.received, exc.sent) == (received, sent)
        code, reason = (received.code, received.reason) if received else (1006, "")
        assert (exc.code, exc.reason) == (code, reason)
        assert str(exc) == text
        await within(5, ws.wait_closed())
        assert ws.state is State.CLOSED
        assert (ws.close_code, ws.close_reason) == (code, reason)
        calls = [ws.send("x"), ws.send(["x", "y"]), ws.ping(), ws.pong(), ws.recv()]
        for call in (*calls, stream(ws)):
            with pytest.raises(kind) as caught:
                await call
            assert str(caught.value) == text
