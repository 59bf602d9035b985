"""Clients of npm against our server: `ws`, and `undici`, which is Node's own WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from peers.base import CLOSES, SIZES, Message, Security, binary_of, text_of
from peers.node_peer import client_options, node, pack, unpack

from wsproto_async import (
    ConnectionClosed,
    ConnectionClosedError,
    Request,
    Response,
    WebSocket,
    serve,
)

pytestmark = pytest.mark.node

TIME_LIMIT = 30

Run = Callable[..., Awaitable[list]]


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@pytest.fixture
def run(security: Security) -> Run:
    """Serve a handler, run steps of one client against it, and give the steps' results."""

    async def run(
        library: str,
        handler: Callable,
        *steps: tuple,
        client: dict | None = None,
        **options: object,
    ) -> list:
        async with (
            asyncio.timeout(TIME_LIMIT),
            serve(handler, 0, ssl=security.server, **options) as server,
        ):
            settings = client_options(security.uri(server.port), security, **(client or {}))
            peer = await node().ask(0, "connect", library, settings)
            return [await node().ask(peer, *step) for step in steps]

    return run


@pytest.fixture(params=["ws", "undici"])
def library(request: pytest.FixtureRequest) -> str:
    return request.param


class Outcome:
    """A handler that receives until the connection ends, and keeps how it ended."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.end: ConnectionClosed | None = None

    async def handler(self, ws: WebSocket) -> None:
        try:
            while True:
                self.messages.append(await ws.recv())
        except ConnectionClosed as exc:
            self.end = exc


@pytest.mark.parametrize("make", [text_of, binary_of])
async def test_bounces_every_form_of_length(run: Run, library: str, make: Callable) -> None:
    async def handler(ws: WebSocket) -> None:
        for message in messages:
            await ws.send(message)
            bounced.append(await ws.recv())

    messages = [make(size) for size in SIZES]
    bounced: list[Message] = []
    await run(library, handler, ("opened",), *[("bounce",)] * len(messages), ("closed",))
    assert bounced == messages


async def test_echoes_a_pipeline_in_order(run: Run, library: str) -> None:
    messages = [make(n * n % 1009) for n in range(40) for make in (text_of, binary_of)]
    sends = [("send", pack(message)) for message in messages]
    results = await run(library, echo, ("opened",), *sends, *[("recv",)] * len(messages))
    assert [unpack(result) for result in results[1 + len(sends) :]] == messages


async def test_receives_fragments_around_pings(run: Run) -> None:
    parts = ("He", "", "llö ", "wörld")
    results = await run("ws", echo, ("opened",), ("fragmentsAndPings", parts, False), ("recv",))
    assert results[2] == "Hellö wörld"


async def test_receives_a_character_split_between_fragments(run: Run) -> None:
    parts = [pack(bytes([byte])) for byte in "€uro 😀".encode()]
    results = await run("ws", echo, ("opened",), ("fragmentsAndPings", parts, False), ("recv",))
    assert results[2] == "€uro 😀"


async def test_sends_fragments_around_pings(run: Run, library: str) -> None:
    latencies = []

    async def handler(ws: WebSocket) -> None:
        async def fragments() -> AsyncIterator[str]:
            for fragment in ("He", "", "llö ", "wörld"):
                yield fragment
                latencies.append(await (await ws.ping()))

        await ws.send(fragments())
        await ws.send([b"one", b"", b"two"])
        await ws.wait_closed()

    _, text, binary, _, closed = await run(
        library, handler, ("opened",), ("recv",), ("recv",), ("close", 1000, "done"), ("closed",)
    )
    assert text == "Hellö wörld"
    assert unpack(binary) == b"onetwo"
    assert closed["code"] == 1000
    assert len(latencies) == 4


@pytest.mark.parametrize("payload", [b"", b"payload", bytes(range(125))])
async def test_answers_pings(run: Run, library: str, payload: bytes) -> None:
    _, pong = await run(library, echo, ("opened",), ("ping", pack(payload)))
    assert unpack(pong) == payload


async def test_chooses_a_subprotocol(run: Run, library: str) -> None:
    client = {"protocols": ["chat.v1", "chat.v0"]}
    [opened] = await run(
        library, echo, ("opened",), client=client, subprotocols=["chat.v2", "chat.v1"]
    )
    assert opened["protocol"] == "chat.v1"


async def test_needs_no_subprotocol(run: Run, library: str) -> None:
    [opened] = await run(library, echo, ("opened",), subprotocols=["chat.v1"])
    assert opened["protocol"] == ""


async def test_receives_headers(run: Run, library: str) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send(ws.request.headers["x-trace"])

    client = {"headers": {"X-Trace": "abc 123"}}
    results = await run(library, handler, ("opened",), ("recv",), client=client)
    assert results[1] == "abc 123"


async def test_sends_headers(run: Run) -> None:
    def process_response(ws: WebSocket, request: Request, response: Response) -> None:
        response.headers["X-Served-By"] = "us"

    [opened] = await run("ws", echo, ("opened",), process_response=process_response)
    assert opened["headers"]["x-served-by"] == "us"


@pytest.mark.parametrize(("code", "reason"), CLOSES[::2])
async def test_client_closes(run: Run, library: str, code: int, reason: str) -> None:
    if library == "undici" and 1001 <= code < 3000:
        code += 3000  # a page may not send the codes that the protocol itself uses
    outcome = Outcome()
    results = await run(
        library,
        outcome.handler,
        ("opened",),
        ("send", "last words"),
        ("close", code, reason),
        ("closed",),
    )
    assert results[-1]["code"] == code
    assert outcome.messages == ["last words"]
    assert (outcome.end.code, outcome.end.reason) == (code, reason)


async def test_client_closes_without_a_code(run: Run, library: str) -> None:
    outcome = Outcome()
    results = await run(library, outcome.handler, ("opened",), ("close",), ("closed",))
    assert results[-1]["code"] == 1005
    assert (outcome.end.code, outcome.end.reason) == (1005, "")


@pytest.mark.parametrize(("code", "reason"), CLOSES[::2])
async def test_server_closes(run: Run, library: str, code: int, reason: str) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send("last words")
        await ws.close(code, reason)
        closed.append((ws.close_code, ws.close_reason))

    closed: list[tuple[int, str]] = []
    results = await run(library, handler, ("opened",), ("recv",), ("closed",))
    assert results[1:] == ["last words", {"code": code, "reason": reason}]
    assert [code for code, _ in closed] == [code]


@pytest.mark.logs_errors
async def test_handler_that_raises_closes_with_1011(run: Run, library: str) -> None:
    async def handler(ws: WebSocket) -> None:
        raise LookupError("a secret of the application")

    results = await run(library, handler, ("opened",), ("closed",))
    assert results[1]["code"] == 1011
    assert "secret" not in results[1]["reason"]


async def test_client_is_cut_off(run: Run) -> None:
    outcome = Outcome()
    await run("ws", outcome.handler, ("opened",), ("ping", pack(b"ok")), ("abort",), ("closed",))
    assert type(outcome.end) is ConnectionClosedError
    assert (outcome.end.code, outcome.end.received) == (1006, None)


async def test_server_cuts_off(run: Run, library: str) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.recv()
        ws.abort()

    results = await run(library, handler, ("opened",), ("send", "go"), ("closed",))
    assert results[-1]["code"] == 1006


async def test_refuses_a_message_over_max_size(run: Run, library: str) -> None:
    outcome = Outcome()
    results = await run(
        library,
        outcome.handler,
        ("opened",),
        ("send", "x" * 1000),
        ("send", "y" * 1001),
        ("closed",),
        max_size=1000,
    )
    assert results[-1]["code"] == 1009
    assert outcome.messages == ["x" * 1000]
    assert outcome.end.sent.code == 1009


async def test_sees_the_upgrade_refused(run: Run, library: str) -> None:
    def process_request(ws: WebSocket, request: Request) -> Response:
        return Response(503, body=b"later\n")

    [opened] = await run(library, echo, ("opened",), process_request=process_request)
    assert "protocol" not in opened
    if library == "ws":
        assert opened == {"status": 503}
