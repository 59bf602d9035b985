"""Wrong calls raise where they are made; nothing is written, and the connection lives on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from raw_peer import CLOSE, PONG, TEXT, Frame, close_frame, frame, raw_peer

from wsproto_async import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedOK,
    State,
    WebSocket,
    serve,
)

SURROGATE = "lone \ud800 surrogate"
Wrong = Callable[[WebSocket], Awaitable[object]]

WRONG: dict[str, tuple[Wrong, type[Exception]]] = {
    "send None": (lambda ws: ws.send(None), TypeError),
    "send 1": (lambda ws: ws.send(1), TypeError),
    "send 1.5": (lambda ws: ws.send(1.5), TypeError),
    "send True": (lambda ws: ws.send(True), TypeError),
    "send an object": (lambda ws: ws.send(object()), TypeError),
    "send {}": (lambda ws: ws.send({}), TypeError),
    "send a dict": (lambda ws: ws.send({"type": "hello"}), TypeError),
    "send nothing": (lambda ws: ws.send(), TypeError),
    "send a lone surrogate": (lambda ws: ws.send(SURROGATE), UnicodeEncodeError),
    "send one as binary": (lambda ws: ws.send(SURROGATE, text=False), UnicodeEncodeError),
    "send bad UTF-8 as text": (lambda ws: ws.send(b"\xff", text=True), UnicodeDecodeError),
    "send a list that begins with None": (lambda ws: ws.send([None]), TypeError),
    "send a list that begins with 1": (lambda ws: ws.send([1, "a"]), TypeError),
    "send a list of lists": (lambda ws: ws.send([["a"]]), TypeError),
    "send a list that begins with a surrogate": (
        lambda ws: ws.send([SURROGATE, "a"]),
        UnicodeEncodeError,
    ),
    "ping with 126 bytes": (lambda ws: ws.ping(b"x" * 126), ValueError),
    "ping with a number": (lambda ws: ws.ping(5), TypeError),
    "ping with a surrogate": (lambda ws: ws.ping(SURROGATE), UnicodeEncodeError),
    "pong with 126 bytes": (lambda ws: ws.pong(b"x" * 126), ValueError),
    "pong with None": (lambda ws: ws.pong(None), TypeError),
    "close with a reason of 124 bytes": (lambda ws: ws.close(1000, "r" * 124), ValueError),
    "close with 42 characters of 3 bytes": (lambda ws: ws.close(1000, "€" * 42), ValueError),
    "close with a surrogate": (lambda ws: ws.close(1000, SURROGATE), ValueError),
    **{
        f"close with {code}": (lambda ws, code=code: ws.close(code), ValueError)
        for code in (-1, 0, 999, 1004, 1006, 1015, 1016, 2999, 5000, 65536)
    },
    "close with text": (lambda ws: ws.close("1000"), (TypeError, ValueError)),
    "close with None": (lambda ws: ws.close(None), (TypeError, ValueError)),
    "close with bytes": (lambda ws: ws.close(1000, b"bye"), (TypeError, AttributeError)),
}


async def error_of(wrong: Wrong, ws: WebSocket) -> Exception | None:
    try:
        await wrong(ws)
    except Exception as exc:
        return exc
    return None


async def run_against_peer(handler: Callable) -> None:
    """Run a handler that has to end with an echo; the peer may see nothing before it."""
    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        await peer.send(frame(TEXT, b"still alive"))
        assert await peer.read_message() == Frame(TEXT, b"still alive")
        assert (await peer.read_message()).close_code == 1000


@pytest.mark.parametrize(
    ("wrong", "error"), [pytest.param(*case, id=name) for name, case in WRONG.items()]
)
async def test_wrong_arguments(wrong: Wrong, error: type[Exception]) -> None:
    async def handler(ws: WebSocket) -> None:
        errors.append(await error_of(wrong, ws))
        states.append(ws.state)
        await ws.send(await ws.recv())

    errors: list[Exception | None] = []
    states: list[State] = []
    await run_against_peer(handler)
    assert isinstance(errors[0], error)
    assert str(errors[0])
    assert states == [State.OPEN]


async def iterate(ws: WebSocket) -> None:
    async for _ in ws:
        pass


async def stream(ws: WebSocket) -> None:
    async for _ in ws.recv_streaming():
        pass


@pytest.mark.parametrize("second", [WebSocket.recv, iterate, stream])
async def test_two_receivers_at_once(second: Wrong) -> None:
    async def handler(ws: WebSocket) -> None:
        first = asyncio.create_task(ws.recv())
        await asyncio.sleep(0)
        errors.extend([await error_of(second, ws) for _ in range(3)])
        # Only now may the peer's message be asked for: it was not the second one's to take.
        await ws.send("go")
        await ws.send(await first)

    errors: list[Exception | None] = []
    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        assert await peer.read_message() == Frame(TEXT, b"go")
        await peer.send(frame(TEXT, b"for the first"))
        assert await peer.read_message() == Frame(TEXT, b"for the first")
    assert [type(error) for error in errors] == [ConcurrencyError] * 3


async def test_two_pings_with_the_same_payload() -> None:
    async def handler(ws: WebSocket) -> None:
        first = await ws.ping(b"same")
        errors.append(await error_of(lambda ws: ws.ping(b"same"), ws))
        await first
        await (await ws.ping(b"same"))
        await ws.send(await ws.recv())

    errors: list[Exception | None] = []
    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        for _ in range(2):
            ping = await peer.read_message()
            assert ping.payload == b"same"
            await peer.send(frame(PONG, ping.payload))
        await peer.send(frame(TEXT, b"still alive"))
        assert await peer.read_message() == Frame(TEXT, b"still alive")
    assert [type(error) for error in errors] == [ConcurrencyError]


async def fail_after_one() -> AsyncIterator[str]:
    yield "half"
    raise LookupError


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: ["half", None], TypeError),
        (lambda: ["half", b"binary"], TypeError),
        (lambda: ["half", SURROGATE], UnicodeEncodeError),
        (fail_after_one, LookupError),
    ],
    ids=["None", "other kind", "surrogate", "raises"],
)
async def test_half_a_message_cannot_be_taken_back(make: Callable, error: type) -> None:
    """An error in the middle of a fragmented message ends the connection with 1011."""

    async def handler(ws: WebSocket) -> None:
        errors.append(await error_of(lambda ws: ws.send(make()), ws))
        errors.append(await error_of(lambda ws: ws.send("next"), ws))

    errors: list[Exception | None] = []
    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        while (seen := await peer.read_frame()).opcode != CLOSE:
            assert not seen.fin
        assert seen.close_code == 1011
        await peer.send(close_frame(1011))
        assert await peer.read_eof() == b""
    assert isinstance(errors[0], error)
    assert isinstance(errors[1], ConnectionClosed)


async def test_calls_after_the_end() -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.close()
        calls: list[Wrong] = [WebSocket.recv, stream, lambda ws: ws.send("x"), WebSocket.ping]
        calls += [WebSocket.pong, lambda ws: ws.send(["x", "y"])]
        errors.extend([await error_of(call, ws) for call in calls])
        await iterate(ws)
        await ws.close(4000, "again")
        ws.abort()
        await ws.wait_closed()
        ended.set_result((ws.state, ws.close_code, ws.buffered_amount))

    errors: list[Exception | None] = []
    ended = asyncio.get_running_loop().create_future()
    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        assert (await peer.read_message()).close_code == 1000
        await peer.send(close_frame(1000))
        assert await peer.read_eof() == b""
        peer.finish()
        assert await ended == (State.CLOSED, 1000, 0)
    assert [type(error) for error in errors] == [ConnectionClosedOK] * 6


@pytest.mark.parametrize("call", ["send", "ping", "pong", "recv", "close"])
async def test_calls_on_a_connection_that_is_cut_off_meanwhile(call: str) -> None:
    """Never an undocumented error: ConnectionClosed, or nothing in the case of close()."""

    async def handler(ws: WebSocket) -> None:
        arguments = ["x"] if call == "send" else []
        error = None
        while error is None and call != "close":
            error = await error_of(lambda ws: getattr(ws, call)(*arguments), ws)
            await asyncio.sleep(0)
        ended.set_result(error or await error_of(WebSocket.close, ws))

    ended = asyncio.get_running_loop().create_future()
    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        peer.reset()
        error = await asyncio.wait_for(ended, 10)
    assert error is None if call == "close" else isinstance(error, ConnectionClosed)
