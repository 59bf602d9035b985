"""What uvicorn makes and calls: its settings, reading no further than the application, the end."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from raw_peer import TEXT, UPGRADE, frame, head, raw_peer, tcp_peer, until
from under_uvicorn import Run

from wsproto_async import ConnectionClosedError, InvalidStatus, connect


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] != "websocket.disconnect":
        await send({**event, "type": "websocket.send"})


@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_messages_come_back(run: Run, http: str) -> None:
    async with run(echo, http=http) as server, connect(server.uri) as ws:
        for message in ("grün", b"\x00\xff", "", b"", "x" * 100_000):
            await ws.send(message)
            assert await ws.recv() == message


async def test_fragments_are_one_message(run: Run) -> None:
    async with run(echo) as server, connect(server.uri) as ws:
        await ws.send(["one ", "message"])
        assert await ws.recv() == "one message"


async def test_many_in_flight_stay_in_order(run: Run) -> None:
    async with run(echo) as server, connect(server.uri) as ws:
        for number in range(500):
            await ws.send(str(number))
        assert [await ws.recv() for _ in range(500)] == [str(number) for number in range(500)]


async def test_compression_is_as_configured(run: Run) -> None:
    async with run(echo) as server, connect(server.uri) as ws:
        assert "permessage-deflate" in ws.response.headers["Sec-WebSocket-Extensions"]
        await ws.send("x" * 5000)
        assert await ws.recv() == "x" * 5000
    async with run(echo, ws_per_message_deflate=False) as server, connect(server.uri) as ws:
        assert "Sec-WebSocket-Extensions" not in ws.response.headers


async def test_too_large_message(run: Run) -> None:
    ended: asyncio.Queue[Any] = asyncio.Queue()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await ended.put(await receive())

    async with run(app, ws_max_size=10) as server, connect(server.uri) as ws:
        await ws.send("x" * 11)
        with pytest.raises(ConnectionClosedError):
            await ws.recv()
        assert ws.close_code == 1009
        event = await ended.get()
    assert event["type"] == "websocket.disconnect"
    assert event["code"] == 1009


@pytest.mark.parametrize(
    ("sent", "code"),
    [(frame(3), 1002), (frame(TEXT, b"\xff"), 1007), (b"\xf1\x80", 1002)],
    ids=["opcode", "UTF-8", "reserved bits"],
)
async def test_violations_are_the_application_s_disconnect(
    run: Run, sent: bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    ended: asyncio.Queue[Any] = asyncio.Queue()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await ended.put(await receive())

    async with run(app) as server, raw_peer(server.port) as peer:
        await peer.send(sent)
        async with asyncio.timeout(5):  # who goes on sending has 1 s to read our last words
            assert (await peer.read_close()).close_code == code
            assert await peer.read_eof() == b""
        event = await ended.get()
    assert event["code"] == code
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_nothing_is_read_that_the_application_does_not_take(run: Run) -> None:
    go_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await go_on.wait()
        while (event := await receive())["type"] != "websocket.disconnect":
            await send({**event, "type": "websocket.send"})

    async with run(slow) as server, connect(server.uri) as ws:
        await ws.send("one")
        await until(lambda: server.protocol.is_reading_paused)
        await ws.send("two")
        go_on.set()
        assert await ws.recv() == "one"
        assert await ws.recv() == "two"
        assert not server.protocol.is_reading_paused


@pytest.mark.parametrize(
    ("instead", "status"),
    [
        (("Sec-WebSocket-Version: 12",), 426),
        (("Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: a b"), 400),
        (("Sec-WebSocket-Version: 13", "Sec-WebSocket-Extensions: a; ="), 400),
    ],
)
async def test_bad_requests_are_refused(run: Run, instead: tuple[str, ...], status: int) -> None:
    good = [line for line in UPGRADE if "Version" not in line]
    async with run(echo) as server, tcp_peer(server.port) as peer:
        await peer.send(head(*good, *instead))
        response = await peer.read_eof()
    assert response.startswith(f"HTTP/1.1 {status} ".encode())


async def test_shutdown_closes_with_1012(run: Run) -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        events.append(await receive())
        events.append(await receive())

    async with run(app) as server, connect(server.uri) as ws:
        stopping = asyncio.create_task(server.stop())
        with pytest.raises(ConnectionClosedError):
            await ws.recv()
        assert ws.close_code == 1012
        await stopping
    assert events == [{"type": "websocket.disconnect", "code": 1012}] * 2


async def test_shutdown_refuses_what_is_not_answered_yet(run: Run) -> None:
    events: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        events.append(await receive())
        events.append(await receive())

    async with run(app) as server:
        connecting = asyncio.ensure_future(connect(server.uri)._open())
        await until(lambda: events)
        await server.stop()
        with pytest.raises(InvalidStatus) as caught:
            await connecting
    assert caught.value.response.status == 503
    assert "Retry-After" in caught.value.response.headers
    assert events[1] == {"type": "websocket.disconnect", "code": 1006}


async def test_shutdown_does_not_wait_for_an_answer_to_a_close_frame(run: Run) -> None:
    closed = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        closed.set()

    async with run(app) as server, raw_peer(server.port):
        await closed.wait()
        async with asyncio.timeout(5):  # the Close frame would be waited for 10 s
            await server.stop()


async def test_silent_peer_is_closed_and_not_waited_for(run: Run) -> None:
    options = {"ws_ping_interval": 0.05, "ws_ping_timeout": 0.05}
    async with run(echo, **options) as server, raw_peer(server.port) as peer:
        async with asyncio.timeout(5):  # the Close frame would be waited for 10 s
            close = await peer.read_close()
            assert (close.close_code, close.payload[2:]) == (1011, b"keepalive ping timeout")
            assert await peer.read_eof() == b""


async def test_no_pings_if_none_are_wanted(run: Run) -> None:
    async with run(echo, ws_ping_interval=None) as server, connect(server.uri):
        assert server.protocol.ping_timer is None
        assert server.protocol.ping_sent_at == 0


async def test_over_tls(run: Run, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "cert.pem"))
    context = ssl.create_default_context()
    authority.configure_trust(context)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scope["scheme"]})
        await send({"type": "websocket.send", "bytes": bytes(2**20)})
        await send({"type": "websocket.close", "code": 3000})

    async with run(app, ssl_certfile=tmp_path / "cert.pem") as server:
        uri = f"wss://localhost:{server.port}/"
        async with connect(uri, ssl=context) as ws:
            assert await ws.recv() == "wss"
            assert len(await ws.recv()) == 2**20
            with pytest.raises(ConnectionClosedError) as caught:
                await ws.recv()
    assert caught.value.code == 3000


async def test_peer_that_never_answers_a_close_frame(run: Run) -> None:
    go_on = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await go_on.wait()
        await send({"type": "websocket.close"})

    async with run(app) as server, raw_peer(server.port) as peer:
        protocol = server.protocol
        protocol.close_timeout = 0.05
        go_on.set()
        async with asyncio.timeout(5):
            assert (await peer.read_close()).close_code == 1000
            assert await peer.read_eof() == b""
        await until(lambda: not server.server.server_state.connections)
        assert protocol.close_timer is None


async def test_answer_to_a_close_frame_ends_the_wait_for_it(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})

    async with run(app) as server, connect(server.uri) as ws:
        protocol = server.protocol
        await ws.wait_closed()
        await until(lambda: not server.server.server_state.connections)
        assert protocol.close_timer is None


async def test_shutdown_while_a_response_is_sent(run: Run) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 404, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"x", "more_body": True})
        begun.set()
        await go_on.wait()

    async with run(app) as server, tcp_peer(server.port) as peer:
        await peer.send(head(*UPGRADE))
        await begun.wait()
        stopping = asyncio.create_task(server.stop())
        assert (await peer.read_eof()).endswith(b"1\r\nx\r\n")
        go_on.set()
        await stopping


@pytest.mark.logs_errors  # uvicorn does
async def test_application_that_ignores_the_shutdown_is_cancelled(run: Run) -> None:
    cancelled: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async with run(app, timeout_graceful_shutdown=1) as server, connect(server.uri) as ws:
        await server.stop()
        await ws.wait_closed()
        assert ws.close_code == 1012
    await until(lambda: cancelled)


async def test_pages_of_any_origin_may_connect(run: Run) -> None:
    async with run(echo) as server, connect(server.uri, origin="http://elsewhere.example") as ws:
        await ws.send("hi")
        assert await ws.recv() == "hi"


async def test_other_timeouts_are_as_by_default(run: Run) -> None:
    async with run(echo) as server, connect(server.uri):
        settings = server.protocol.settings
        assert (settings.send_timeout, settings.frame_timeout) == (20, 20)
        assert settings.open_timeout is None


async def test_what_waited_before_the_upgrade_counts(run: Run) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": bytes(2**23)})
        else:
            await receive()
            await send({"type": "websocket.accept"})
            await receive()

    async with run(app) as server, tcp_peer(server.port, small=True) as peer:
        await peer.send(head("GET / HTTP/1.1", "Host: localhost"))
        await until(lambda: server.server.server_state.total_requests)
        await peer.send(head(*UPGRADE))
        await until(server.is_held_up)
        peer.reset()
