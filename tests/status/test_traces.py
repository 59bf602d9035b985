"""Spans, as OpenTelemetry's SDK exports them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from raw_peer import PATIENCE, PING, raw_peer, until

from wsproto_async import ConnectionClosedError, WebSocket, connect, serve
from wsproto_async.status.traces import traced

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Traces:
    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    async def span(self) -> ReadableSpan:
        """The one span that has ended."""
        await until(lambda: self._exporter.get_finished_spans())
        (span,) = self._exporter.get_finished_spans()
        return span


@pytest.fixture
def traces() -> Iterator[Traces]:
    traces = Traces()
    yield traces
    traces.provider.shutdown()


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def test_a_span_of_a_connection(traces: Traces) -> None:
    async with serve(traced(echo, traces.provider), 0, subprotocols=["chat"]) as server:
        async with connect(
            f"ws://127.0.0.1:{server.port}/room?token=secret",
            additional_headers={"traceparent": f"00-{TRACE}-{SPAN}-01"},
            subprotocols=["chat"],
            user_agent_header="tests",
        ) as ws:
            await ws.send("hello")
            await ws.recv()
            host, port = ws.local_address
            await ws.close(1000, "good\u00a0bye")
        span = await traces.span()
        bytes_received, bytes_sent = server.stats()[8:10]
    assert (span.name, span.kind) == ("GET", SpanKind.SERVER)
    assert span.parent is not None
    assert (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, SPAN)
    assert span.instrumentation_scope.name == "wsproto_async"
    assert span.status.status_code is StatusCode.UNSET
    assert span.end_time - span.start_time < PATIENCE * 1e9
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.response.status_code": 101,
        "network.protocol.name": "websocket",
        "network.protocol.version": "13",
        "network.transport": "tcp",
        "network.peer.address": host,
        "network.peer.port": port,
        "client.address": host,
        "client.port": port,
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "url.path": "/room",
        "url.scheme": "ws",
        "user_agent.original": "tests",
        "websocket.subprotocol": "chat",
        "websocket.close.code": 1000,
        "websocket.close.reason_length": 9,
        "websocket.messages.received": 1,
        "websocket.messages.sent": 1,
        "websocket.bytes.received": bytes_received,
        "websocket.bytes.sent": bytes_sent,
    }


async def test_it_is_current_in_the_handler_and_in_its_tasks(traces: Traces) -> None:
    seen = []

    async def look() -> None:
        seen.append(trace.get_current_span())

    async def handler(ws: WebSocket) -> None:
        await look()
        await ws.recv()
        await asyncio.create_task(look())

    async with serve(traced(handler, traces.provider), 0) as server:
        async with connect(f"ws://127.0.0.1:{server.port}/") as ws:
            await ws.send("go on")
            await ws.wait_closed()
        span = await traces.span()
    assert [each.get_span_context() for each in seen] == [span.get_span_context()] * 2
    assert span.parent is None
    assert not trace.get_current_span().get_span_context().is_valid


async def test_it_ends_with_the_connection_and_not_with_the_handler(traces: Traces) -> None:
    async def handler(ws: WebSocket) -> None:
        pass

    async with (
        serve(traced(handler, traces.provider), 0) as server,
        raw_peer(server.port) as peer,
    ):
        await peer.read_close()
        await asyncio.sleep(0)
        assert not traces._exporter.get_finished_spans()
        peer.sock.close()
        span = await traces.span()
    assert span.attributes["websocket.close.code"] == 1006
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.logs_errors
async def test_a_handler_that_raises_is_an_error(traces: Traces) -> None:
    async def handler(ws: WebSocket) -> None:
        raise ValueError("no such room")

    async with serve(traced(handler, traces.provider), 0) as server:
        async with connect(f"ws://127.0.0.1:{server.port}/") as ws:
            await ws.wait_closed()
            assert ws.close_code == 1011
        span = await traces.span()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "ValueError: no such room"
    assert span.attributes["error.type"] == "ValueError"
    (event,) = span.events
    assert event.attributes["exception.type"] == "ValueError"


async def test_a_closure_by_1011_is_an_error(traces: Traces) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.close(1011, "the database is away")

    async with serve(traced(handler, traces.provider), 0) as server:
        async with connect(f"ws://127.0.0.1:{server.port}/") as ws:
            await ws.wait_closed()
        span = await traces.span()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "the database is away"
    assert span.attributes["error.type"] == "1011"
    assert not span.events


async def test_what_the_peer_does_is_no_error(traces: Traces) -> None:
    """It breaks the protocol, it is cut off, or it closes with 1011 itself."""

    async def handler(ws: WebSocket) -> None:
        with pytest.raises(ConnectionClosedError):
            await ws.recv()
        await ws.recv()  # the handler leaves the error to the server

    for data in (b"\xff\x80" + bytes(4), b"", b"\x88\x82" + bytes(4) + b"\x03\xf3"):
        traces._exporter.clear()
        async with (
            serve(traced(handler, traces.provider), 0) as server,
            raw_peer(server.port) as peer,
        ):
            if data:
                await peer.send(data)
                await peer.read_close()
            peer.sock.close()
            span = await traces.span()
        assert span.status.status_code is StatusCode.UNSET
        assert "error.type" not in span.attributes


async def test_a_peer_that_is_silent_is_no_error(traces: Traces) -> None:
    handling = traced(echo, traces.provider)
    async with (
        serve(handling, 0, ping_interval=0.02, ping_timeout=0.02) as server,
        raw_peer(server.port) as peer,
    ):
        assert (await peer.read_frame()).opcode == PING
        close = await peer.read_close()
        assert close.close_code == 1011
        peer.sock.close()
        span = await traces.span()
    assert span.status.status_code is StatusCode.UNSET
    assert "error.type" not in span.attributes


@pytest.mark.logs_errors
async def test_a_handler_that_fails_when_the_peer_has_closed_is_an_error(traces: Traces) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.wait_closed()
        raise ValueError("cannot clean up")

    async with serve(traced(handler, traces.provider), 0) as server:
        async with connect(f"ws://127.0.0.1:{server.port}/"):
            pass
        span = await traces.span()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == "ValueError: cannot clean up"
    assert span.attributes["error.type"] == "ValueError"
    assert span.attributes["websocket.close.code"] == 1000


async def test_it_ends_no_sooner_than_the_handler(traces: Traces) -> None:
    may_end = asyncio.Event()

    async def handler(ws: WebSocket) -> None:
        await may_end.wait()

    async with serve(traced(handler, traces.provider), 0) as server:
        async with connect(f"ws://127.0.0.1:{server.port}/"):
            pass
        await until(lambda: not server._websockets)
        assert not traces._exporter.get_finished_spans()
        may_end.set()
        await traces.span()


async def test_a_cancelled_handler_ends_its_span(traces: Traces) -> None:
    async def handler(ws: WebSocket) -> None:
        await asyncio.sleep(3600)

    async with serve(traced(handler, traces.provider), 0) as server:
        async with connect(f"ws://127.0.0.1:{server.port}/"):
            server.close(grace=0)
            await server.wait_closed()
        span = await traces.span()
    assert span.status.status_code is StatusCode.UNSET


@pytest.mark.parametrize("value", ["garbage", f"00-{TRACE}-{SPAN}-01, 00-{TRACE}-{SPAN}-01"])
async def test_a_traceparent_that_is_none_begins_a_trace(traces: Traces, value: str) -> None:
    async with serve(traced(echo, traces.provider), 0) as server:
        headers = {"traceparent": value}
        async with connect(f"ws://127.0.0.1:{server.port}/", additional_headers=headers):
            pass
        assert (await traces.span()).parent is None
