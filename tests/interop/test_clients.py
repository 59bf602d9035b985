"""Real clients against our server: `websockets` and `aiohttp`, over plain TCP and TLS."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import pytest
from peers.aiohttp_peer import connect_aiohttp
from peers.base import CLOSES, SIZES, Closed, Message, Peer, Security, binary_of, text_of
from peers.websockets_peer import connect_websockets

from wsproto_async import (
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    Request,
    Response,
    WebSocket,
    serve,
)

TIME_LIMIT = 20

Link = Callable[..., AbstractAsyncContextManager[Peer]]


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


def make_link(connect: Link, security: Security) -> Link:
    @asynccontextmanager
    async def link(
        handler: Callable, *, client: dict[str, object] | None = None, **options: object
    ) -> AsyncIterator[Peer]:
        async with (
            asyncio.timeout(TIME_LIMIT),
            serve(handler, 0, ssl=security.server, **options) as server,
            connect(security.uri(server.port), security, **(client or {})) as peer,
        ):
            yield peer

    return link


CLIENTS = {"websockets": connect_websockets, "aiohttp": connect_aiohttp}


@pytest.fixture(params=CLIENTS)
def link(request: pytest.FixtureRequest, security: Security) -> Link:
    """Serve a handler and connect either library's client to it."""
    return make_link(CLIENTS[request.param], security)


@pytest.fixture
def fragmenting_link(security: Security) -> Link:
    """The same with `websockets` alone: aiohttp has no way to send fragments."""
    return make_link(connect_websockets, security)


class Outcome:
    """A handler that receives until the connection ends, and keeps how it ended."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.ended = asyncio.get_running_loop().create_future()

    async def handler(self, ws: WebSocket) -> None:
        self.ws = ws
        try:
            while True:
                self.messages.append(await ws.recv())
        except ConnectionClosed as exc:
            self.ended.set_result(exc)

    @property
    def seen(self) -> tuple[int | None, str | None]:
        return self.ws.close_code, self.ws.close_reason


@pytest.mark.parametrize("size", SIZES)
async def test_echoes_every_form_of_length(link: Link, size: int) -> None:
    async with link(echo) as peer:
        for message in (text_of(size), binary_of(size)):
            await peer.send(message)
            assert await peer.recv() == message


async def test_echoes_a_pipeline_in_order(link: Link) -> None:
    messages = [make(n * n % 9973) for n in range(200) for make in (text_of, binary_of)]

    async def send_all(peer: Peer) -> None:
        for message in messages:
            await peer.send(message)

    async with link(echo) as peer, asyncio.TaskGroup() as group:
        group.create_task(send_all(peer))
        assert [await peer.recv() for _ in messages] == messages


async def test_receives_fragments_around_pings(fragmenting_link: Link) -> None:
    async with fragmenting_link(echo) as peer:

        async def fragments() -> AsyncIterator[str]:
            for number, fragment in enumerate(("He", "", "llö ", "wörld")):
                yield fragment
                await peer.ping(b"between %d" % number)

        await peer.send(fragments())
        assert await peer.recv() == "Hellö wörld"


async def test_receives_a_character_split_between_fragments(fragmenting_link: Link) -> None:
    text = "€uro 😀"
    async with fragmenting_link(echo) as peer:
        await peer.ws.send([bytes([byte]) for byte in text.encode()], text=True)
        assert await peer.recv() == text


async def test_sends_fragments_around_pings(link: Link) -> None:
    latencies = []

    async def handler(ws: WebSocket) -> None:
        async def fragments() -> AsyncIterator[str]:
            for fragment in ("He", "", "llö ", "wörld"):
                yield fragment
                latencies.append(await (await ws.ping()))

        await ws.send(fragments())
        await ws.send([b"one", b"", b"two"])

    async with link(handler) as peer:
        assert await peer.recv() == "Hellö wörld"
        assert await peer.recv() == b"onetwo"
    assert len(latencies) == 4
    assert all(0 <= latency < TIME_LIMIT for latency in latencies)


@pytest.mark.parametrize("payload", [b"", b"payload", bytes(range(125))])
async def test_answers_pings(link: Link, payload: bytes) -> None:
    async with link(echo) as peer:
        await peer.ping(payload)


async def test_chooses_a_subprotocol(link: Link) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send(str(ws.subprotocol))

    client = {"subprotocols": ["chat.v1", "chat.v0"]}
    async with link(handler, client=client, subprotocols=["chat.v2", "chat.v1"]) as peer:
        assert await peer.recv() == peer.subprotocol == "chat.v1"


async def test_lets_the_application_choose_the_subprotocol(link: Link) -> None:
    def last(ws: WebSocket, offered: Sequence[str]) -> str:
        return offered[-1]

    async with link(echo, client={"subprotocols": ["a", "b"]}, select_subprotocol=last) as peer:
        assert peer.subprotocol == "b"


async def test_needs_no_subprotocol(link: Link) -> None:
    async with link(echo, subprotocols=["chat.v1"]) as peer:
        assert peer.subprotocol is None


async def test_exchanges_headers(link: Link) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send(ws.request.headers["x-trace"])

    def process_response(ws: WebSocket, request: Request, response: Response) -> None:
        response.headers["X-Served-By"] = "us"

    client = {"headers": {"X-Trace": "abc 123"}}
    async with link(handler, client=client, process_response=process_response) as peer:
        assert await peer.recv() == "abc 123"
        assert peer.headers["x-served-by"] == "us"
        assert peer.headers["server"] == "wsproto_async"


@pytest.mark.parametrize(("code", "reason"), CLOSES)
async def test_client_closes(link: Link, code: int, reason: str) -> None:
    outcome = Outcome()
    async with link(outcome.handler) as peer:
        await peer.send("last words")
        assert await peer.close(code, reason) == code
        exc = await outcome.ended
    assert outcome.messages == ["last words"]
    assert type(exc) is (ConnectionClosedOK if code in (1000, 1001) else ConnectionClosedError)
    assert (exc.code, exc.reason) == (code, reason) == outcome.seen


@pytest.mark.parametrize(("code", "reason"), CLOSES)
async def test_server_closes(link: Link, code: int, reason: str) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send("last words")
        await ws.close(code, reason)
        closed.set_result((ws.close_code, ws.close_reason))

    closed = asyncio.get_running_loop().create_future()
    async with link(handler) as peer:
        assert await peer.recv() == "last words"
        with pytest.raises(Closed) as closing:
            await peer.recv()
        assert closing.value.seen == (code, reason)
        assert await closed == (code, reason)


async def test_handler_that_returns_closes_with_1000(link: Link) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.send("all")

    async with link(handler) as peer:
        assert await peer.recv() == "all"
        with pytest.raises(Closed) as closing:
            await peer.recv()
        assert closing.value.seen == (1000, "")


@pytest.mark.logs_errors
async def test_handler_that_raises_closes_with_1011(
    link: Link, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(ws: WebSocket) -> None:
        raise LookupError("a secret of the application")

    async with link(handler) as peer:
        with pytest.raises(Closed) as closing:
            await peer.recv()
    code, reason = closing.value.seen
    assert code == 1011
    assert "secret" not in reason
    [record] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[0] is LookupError


async def test_client_is_cut_off(link: Link) -> None:
    outcome = Outcome()
    async with link(outcome.handler) as peer:
        await peer.send("one")
        await peer.ping(b"arrived")
        peer.abort()
        exc = await outcome.ended
    assert outcome.messages == ["one"]
    assert type(exc) is ConnectionClosedError
    assert (exc.code, exc.reason, exc.received) == (1006, "", None)
    assert outcome.seen == (1006, "")


async def test_server_cuts_off(link: Link) -> None:
    async def handler(ws: WebSocket) -> None:
        await ws.recv()
        ws.abort()
        await ws.wait_closed()
        codes.append(ws.close_code)

    codes: list[int | None] = []
    async with link(handler) as peer:
        await peer.send("go")
        with pytest.raises(Closed) as closing:
            await peer.recv()
        assert closing.value.seen == (1006, "")
    assert codes == [1006]


@pytest.mark.parametrize("size", [1001, 5_000_000])
async def test_refuses_a_message_over_max_size(link: Link, size: int) -> None:
    outcome = Outcome()
    async with link(outcome.handler, max_size=1000) as peer:
        await peer.send(binary_of(1000))
        sending = asyncio.create_task(peer.send(binary_of(size)))
        with pytest.raises(Closed) as closing:
            await peer.recv()
        assert closing.value.seen[0] == 1009
        await asyncio.wait([sending])  # in vain, or not, as the library likes
        exc = await outcome.ended
    assert outcome.messages == [binary_of(1000)]
    assert type(exc) is ConnectionClosedError
    assert exc.sent.code == 1009


async def test_refuses_fragments_over_max_size(fragmenting_link: Link) -> None:
    async with fragmenting_link(echo, max_size=1000) as peer:
        await peer.send([b"x" * 600, b"x" * 400])
        assert await peer.recv() == b"x" * 1000
        await peer.send([b"x" * 600, b"x" * 401])
        with pytest.raises(Closed) as closing:
            await peer.recv()
        assert closing.value.seen[0] == 1009


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
async def test_answers_plain_http(security: Security, asynchronous: bool) -> None:
    def answer(ws: WebSocket, request: Request) -> Response | None:
        if request.path != "/health":
            return None
        return Response(200, headers={"X-Method": request.method}, body=b"fine\n")

    async def answer_later(ws: WebSocket, request: Request) -> Response | None:
        await asyncio.sleep(0)
        return answer(ws, request)

    process_request = answer_later if asynchronous else answer
    async with (
        asyncio.timeout(TIME_LIMIT),
        serve(echo, 0, ssl=security.server, process_request=process_request) as server,
        aiohttp.ClientSession() as session,
    ):
        for method, body in (("GET", b"fine\n"), ("HEAD", b"")):
            uri = security.uri(server.port, "/health", scheme="http")
            async with session.request(method, uri, ssl=security.client or True) as response:
                assert response.status == 200
                assert response.headers["X-Method"] == method
                assert response.headers["Content-Length"] == "5"
                assert response.headers["Connection"] == "close"
                assert await response.read() == body

        uri = security.uri(server.port, "/", scheme="http")
        async with session.get(uri, ssl=security.client or True) as response:
            assert response.status == 426
            assert response.headers["Upgrade"] == "websocket"

        async with connect_websockets(security.uri(server.port), security) as peer:
            await peer.send("still a WebSocket server")
            assert await peer.recv() == "still a WebSocket server"


async def test_survives_a_client_that_distrusts_its_certificate(tls: Security) -> None:
    async with asyncio.timeout(TIME_LIMIT), serve(echo, 0, ssl=tls.server) as server:
        uri = tls.uri(server.port)
        with pytest.raises(ssl.SSLCertVerificationError):
            async with connect_websockets(uri, Security(client=ssl.create_default_context())):
                pass
        async with connect_websockets(uri, tls) as peer:
            await peer.send("trusted")
            assert await peer.recv() == "trusted"
