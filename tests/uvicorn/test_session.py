"""The application's side: what it is told, what it may say when, and how what it leaves ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from raw_peer import PING, PONG, TEXT, UPGRADE, frame, head, raw_peer, tcp_peer, until
from under_uvicorn import Run

from wsproto_async import (
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidStatus,
    WebSocket,
    connect,
)

ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close"}


# What it is told


async def test_scope(run: Run) -> None:
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await receive()
        await send(ACCEPT)

    async with run(app, root_path="/site") as server:
        uri = f"{server.uri}caf%C3%A9%2Fx?a=%20b&c"
        async with connect(
            uri, subprotocols=["one", "two"], additional_headers={"X-Name": "Zoë"}
        ) as ws:
            port = ws.local_address[1]
            with pytest.raises(ConnectionClosedError):
                await ws.recv()
    (scope,) = scopes
    assert scope["type"] == "websocket"
    assert scope["asgi"]["spec_version"] == "2.4"
    assert scope["scheme"] == "ws"
    assert scope["path"] == "/site/café/x"
    assert scope["raw_path"] == b"/site/caf%C3%A9%2Fx"
    assert scope["query_string"] == b"a=%20b&c"
    assert scope["subprotocols"] == ["one", "two"]
    assert scope["server"] == ("127.0.0.1", server.port)
    assert scope["client"] == ("127.0.0.1", port)
    assert (b"x-name", "Zoë".encode("latin-1")) in scope["headers"]
    assert "websocket.http.response" in scope["extensions"]


async def test_the_connection_itself_is_an_extension(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        ws: WebSocket = scope["extensions"]["wsproto_async"]["websocket"]
        await receive()
        await send(ACCEPT)
        latency = await (await ws.ping())
        await ws.send(f"{ws.path} {latency > 0} {ws.subprotocol}")
        await receive()

    async with run(app) as server, connect(f"{server.uri}x") as ws:
        assert await ws.recv() == "/x True None"


async def test_disconnect_has_the_peer_s_code_and_comes_again(run: Run) -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        events.extend([await receive(), await receive()])

    async with run(app) as server:
        async with connect(server.uri) as ws:
            await ws.close(3000, "enough")
        await until(lambda: events)
    assert events == [{"type": "websocket.disconnect", "code": 3000, "reason": "enough"}] * 2


async def test_connection_that_is_cut_off_is_1006(run: Run) -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        events.append(await receive())

    async with run(app) as server:
        async with raw_peer(server.port) as peer:
            peer.reset()
        await until(lambda: events)
    assert events == [{"type": "websocket.disconnect", "code": 1006}]


async def test_connection_that_is_cut_off_before_the_answer(run: Run) -> None:
    events: list[Any] = []
    errors: list[Exception] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        events.extend([await receive(), await receive()])
        try:
            await send(ACCEPT)
        except OSError as exc:
            errors.append(exc)

    async with run(app) as server:
        async with tcp_peer(server.port) as peer:
            await peer.send(head(*UPGRADE))
            await until(lambda: server.server.server_state.tasks)
            peer.reset()
        await until(lambda: errors)
    assert events[1] == {"type": "websocket.disconnect", "code": 1006}


async def test_messages_before_the_peer_s_close_are_received_first(run: Run) -> None:
    go_on = asyncio.Event()
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await go_on.wait()
        events.extend([await receive(), await receive()])

    async with run(app) as server, connect(server.uri) as ws:
        await ws.send("last")
        await ws.close()
        go_on.set()
        await until(lambda: events)
    assert [event["type"] for event in events] == ["websocket.receive", "websocket.disconnect"]


async def test_cancelling_receive_loses_no_message(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        for _ in range(3):
            receiving = asyncio.create_task(receive())
            await asyncio.sleep(0)
            receiving.cancel()
            await asyncio.gather(receiving, return_exceptions=True)
        await send({"type": "websocket.send", "text": "go"})
        await send({"type": "websocket.send", "text": (await receive())["text"]})

    async with run(app) as server, connect(server.uri) as ws:
        assert await ws.recv() == "go"
        await ws.send("hello")
        assert await ws.recv() == "hello"


async def test_receive_before_the_answer_waits_for_messages(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        receiving = asyncio.create_task(receive())
        await asyncio.sleep(0)
        await send(ACCEPT)
        await send({"type": "websocket.send", "text": (await receiving)["text"]})

    async with run(app) as server, connect(server.uri) as ws:
        await ws.send("first")
        assert await ws.recv() == "first"


# What it answers


async def test_accept(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        headers = [(b"x-a", b"1"), (b"x-a", b"2")]
        await send({**ACCEPT, "subprotocol": "two", "headers": headers})
        await receive()

    async with run(app) as server, connect(server.uri, subprotocols=["one", "two"]) as ws:
        assert ws.subprotocol == "two"
        assert ws.response.headers.get_all("X-A") == ["1", "2"]
        assert ws.response.headers.get_all("Server") == ["uvicorn"]
        assert len(ws.response.headers.get_all("Date")) == 1


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    "accept",
    [
        {**ACCEPT, "headers": [(b"x", b"a\r\nb")]},
        {"type": "websocket.send", "text": "too early"},
        {"type": "websocket.http.response.start", "status": 700, "headers": []},
        {"type": "websocket.http.response.start", "status": 101, "headers": []},
        {"type": "nonsense"},
    ],
)
async def test_answers_that_cannot_be_are_500(
    run: Run, accept: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(accept)

    async with run(app) as server:
        with pytest.raises(InvalidStatus) as caught:
            await connect(server.uri)
    assert caught.value.response.status == 500
    assert "Exception in ASGI application" in caplog.text


@pytest.mark.logs_errors
async def test_returning_without_an_answer_is_500(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()

    async with run(app) as server:
        with pytest.raises(InvalidStatus) as caught:
            await connect(server.uri)
    assert caught.value.response.status == 500
    assert "without completing handshake" in caplog.text


async def test_close_in_place_of_accept_is_403(run: Run) -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(CLOSE)
        events.append(await receive())
        with pytest.raises((RuntimeError, OSError)):
            await send(ACCEPT)
        events.append(None)

    async with run(app) as server:
        with pytest.raises(InvalidStatus) as caught:
            await connect(server.uri)
        await until(lambda: len(events) == 2)
    assert caught.value.response.status == 403
    assert events[0] == {"type": "websocket.disconnect", "code": 1006}


# The open connection


async def test_close(run: Run) -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await send({**CLOSE, "code": 3001, "reason": "done"})
        events.append(await receive())
        with pytest.raises((RuntimeError, OSError)):
            await send({"type": "websocket.send", "text": "late"})
        events.append(None)

    async with run(app) as server, connect(server.uri) as ws:
        with pytest.raises(ConnectionClosedError) as caught:
            await ws.recv()
        await until(lambda: len(events) == 2)
    assert (caught.value.code, caught.value.reason) == (3001, "done")
    assert events[0] == {"type": "websocket.disconnect", "code": 3001, "reason": "done"}


async def test_own_close_is_told_before_the_peer_has_answered(run: Run) -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await send(CLOSE)
        events.append(await receive())

    async with run(app) as server, raw_peer(server.port) as peer:
        assert (await peer.read_close()).close_code == 1000
        async with asyncio.timeout(5):
            await until(lambda: events)
        assert events == [{"type": "websocket.disconnect", "code": 1000, "reason": ""}]


async def test_close_says_1000_by_default(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await send({**CLOSE, "reason": None})

    async with run(app) as server, connect(server.uri) as ws:
        with pytest.raises(ConnectionClosedOK) as caught:
            await ws.recv()
    assert (caught.value.code, caught.value.reason) == (1000, "")


@pytest.mark.parametrize(
    "event",
    [
        {**CLOSE, "code": 1005},
        {**CLOSE, "reason": "x" * 124},
        {"type": "websocket.send", "text": b"bytes"},
        {"type": "websocket.send", "bytes": "text"},
        {"type": "websocket.send"},
        ACCEPT,
        {"type": "websocket.http.response.start", "status": 404, "headers": []},
    ],
)
async def test_what_may_not_be_said_raises(
    run: Run, event: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        with pytest.raises((RuntimeError, TypeError, ValueError)):
            await send(event)
        await send({"type": "websocket.send", "text": "still here"})

    async with run(app) as server, connect(server.uri) as ws:
        assert await ws.recv() == "still here"
    assert "Exception" not in caplog.text


async def test_bytearray_and_memoryview(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await send({"type": "websocket.send", "bytes": bytearray(b"one")})
        await send({"type": "websocket.send", "bytes": memoryview(b"two"), "text": None})

    async with run(app) as server, connect(server.uri) as ws:
        assert [await ws.recv(), await ws.recv()] == [b"one", b"two"]


async def test_sending_to_who_is_gone_raises_oserror(run: Run) -> None:
    errors: list[Exception] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await receive()
        try:
            await send({"type": "websocket.send", "text": "late"})
        except OSError as exc:
            errors.append(exc)

    async with run(app) as server:
        async with connect(server.uri):
            pass
        await until(lambda: errors)


@pytest.mark.logs_errors
@pytest.mark.parametrize("what", [None, 123, ValueError("on purpose")], ids=str)
async def test_an_end_without_a_close_frame_is_1006(
    run: Run, what: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> Any:
        await receive()
        await send(ACCEPT)
        if isinstance(what, Exception):
            raise what
        return what

    async with run(app) as server, connect(server.uri) as ws:
        with pytest.raises(ConnectionClosedError):
            await ws.recv()
        assert ws.close_code == 1006
    assert ("ValueError" in caplog.text) is isinstance(what, Exception)
    assert ("but returned '123'" in caplog.text) is (what == 123)


async def test_uvicorn_s_log(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT if scope["path"] == "/in" else CLOSE)

    caplog.set_level(5)
    async with run(app) as server:
        async with connect(f"{server.uri}in?a=b"):
            pass
        with pytest.raises(InvalidStatus):
            await connect(f"{server.uri}out")
    assert '"WebSocket /in?a=b" [accepted]' in caplog.text
    assert '"WebSocket /out" 403' in caplog.text
    assert "WebSocket connection made" in caplog.text
    assert "WebSocket connection lost" in caplog.text


# What applications do that is not quite what they should


async def test_messages_that_came_before_receive_do_not_stop_the_reading(run: Run) -> None:
    go_on = asyncio.Event()
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await go_on.wait()
        events.append(await receive())
        await go_on.wait()
        while True:  # from now on it only sends
            await send({"type": "websocket.send", "text": "news"})
            await asyncio.sleep(0.001)

    async with run(app) as server, connect(server.uri) as ws:
        await ws.send("one")
        await until(lambda: server.protocol.is_reading_paused)
        go_on.set()
        await until(lambda: events)
        assert await (await ws.ping()) > 0


async def test_silent_peer_is_closed_though_its_message_is_not_taken(run: Run) -> None:
    go_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await go_on.wait()

    options = {"ws_ping_interval": 0.05, "ws_ping_timeout": 0.05}
    async with run(app, **options) as server, raw_peer(server.port) as peer:
        await peer.send(frame(TEXT, b"never taken"))
        await until(lambda: server.protocol.is_reading_paused)
        async with asyncio.timeout(10):
            assert (await peer.read_close()).close_code == 1011
        go_on.set()


async def test_peer_that_answers_pings_stays_though_its_message_is_not_taken(run: Run) -> None:
    go_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await go_on.wait()
        await send({"type": "websocket.send", "text": (await receive())["text"]})

    options = {"ws_ping_interval": 0.05, "ws_ping_timeout": 0.05}
    async with run(app, **options) as server, connect(server.uri) as ws:
        await ws.send("taken late")
        protocol = server.protocol
        for _ in range(3):
            pinged = protocol.ping_sent_at
            await until(lambda pinged=pinged: protocol.ping_sent_at > pinged)  # type: ignore[misc]
        go_on.set()
        assert await ws.recv() == "taken late"


@pytest.mark.parametrize("is_late", [False, True])
async def test_pong_behind_a_message_that_is_not_taken(run: Run, is_late: bool) -> None:
    """Also if another message comes between the ping and its pong."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        ws = scope["extensions"]["wsproto_async"]["websocket"]
        await until(lambda: server.protocol.is_reading_paused)
        pong = await ws.ping(b"?")
        if is_late:
            pinged.set()
        async with asyncio.timeout(10):
            await send({"type": "websocket.send", "text": f"{await pong > 0}"})
        assert (await receive())["text"] == "never taken before"

    pinged = asyncio.Event()
    async with run(app) as server, raw_peer(server.port) as peer:
        await peer.send(frame(TEXT, b"never taken before"))
        assert (await peer.read_frame()).opcode == PING
        if is_late:
            await pinged.wait()
            await peer.send(frame(TEXT, b"another"))
            await until(lambda: server.protocol.connection.frames > 1)
        await peer.send(frame(PONG, b"?"))
        assert (await peer.read_frame()).payload == b"True"


async def test_receive_right_after_another_was_cancelled(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        first = asyncio.create_task(receive())
        await asyncio.sleep(0)
        first.cancel()
        await send({"type": "websocket.send", "text": (await receive())["text"]})

    async with run(app) as server, connect(server.uri) as ws:
        await ws.send("hello")
        assert await ws.recv() == "hello"


async def test_several_tasks_that_receive_get_one_each(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        events = await asyncio.gather(receive(), receive(), receive())
        text = " ".join(sorted(event["text"] for event in events))
        await send({"type": "websocket.send", "text": text})

    async with run(app) as server, connect(server.uri) as ws:
        for message in "abc":
            await ws.send(message)
        assert await ws.recv() == "a b c"


async def test_subprotocol_that_was_not_offered_is_left_out(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({**ACCEPT, "subprotocol": "never offered"})
        await send({"type": "websocket.send", "text": "in"})
        await receive()

    async with run(app) as server, connect(server.uri, subprotocols=["other"]) as ws:
        assert await ws.recv() == "in"
        assert ws.subprotocol is None


async def test_white_space_around_the_values_of_headers(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({**ACCEPT, "headers": [(b"x-a", b" b\t")]})
        await receive()

    headers = [("X-Frame-Options", " DENY")]
    async with run(app, headers=headers) as server, connect(server.uri) as ws:
        assert ws.response.headers["X-A"] == "b"
        assert ws.response.headers["X-Frame-Options"] == "DENY"


async def test_what_the_peer_did_is_no_error_of_the_application_s(run: Run) -> None:
    raised: list[Exception] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        try:
            await send(ACCEPT)
        except OSError as exc:
            raised.append(exc)
            await send(CLOSE)

    extensions = "Sec-WebSocket-Extensions: a; ="
    async with run(app) as server, tcp_peer(server.port) as peer:
        await peer.send(head(*UPGRADE, extensions))
        assert (await peer.read_eof()).startswith(b"HTTP/1.1 400 ")
        await until(lambda: not server.server.server_state.tasks)
    assert raised


async def test_returning_when_the_peer_has_left_is_no_error(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive()

    async with run(app) as server:
        async with tcp_peer(server.port) as peer:
            await peer.send(head(*UPGRADE))
            await until(lambda: server.server.server_state.tasks)
            peer.reset()
        await until(lambda: not server.server.server_state.tasks)


async def test_end_that_the_connection_itself_tells_is_no_error(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await scope["extensions"]["wsproto_async"]["websocket"].recv()

    async with run(app) as server:
        async with connect(server.uri):
            pass
        await until(lambda: not server.server.server_state.tasks)


@pytest.mark.logs_errors
@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError()], ids=repr)
async def test_server_outlives_what_an_application_raises(
    run: Run, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise error

    async with run(app) as server:
        for _ in range(2):
            with pytest.raises(InvalidStatus) as caught:
                await connect(server.uri)
            assert caught.value.response.status == 500
    assert type(error).__name__ in caplog.text


async def test_nothing_comes_after_the_disconnect(run: Run) -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await send(CLOSE)
        events.append(await receive())
        await receive()
        await asyncio.sleep(0.05)
        events.append(await receive())

    async with run(app) as server, raw_peer(server.port) as peer:
        await until(lambda: events)
        await peer.send(frame(TEXT, b"late"))
        await until(lambda: len(events) == 2)
    assert events[0] == events[1]


async def test_shutdown_is_told_before_the_peer_has_answered(run: Run) -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        events.append(await receive())

    async with run(app) as server, raw_peer(server.port) as peer:
        await until(lambda: server.protocol.is_opened)
        stopping = asyncio.create_task(server.stop())
        async with asyncio.timeout(5):  # the peer never answers
            await until(lambda: events)
        assert (await peer.read_close()).close_code == 1012
        peer.finish()
        await stopping
    assert events == [{"type": "websocket.disconnect", "code": 1012}]
