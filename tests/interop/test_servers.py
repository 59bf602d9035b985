"""Our client against real servers: `websockets` and `aiohttp`, over plain TCP and TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from peers.aiohttp_peer import serve_aiohttp
from peers.base import (
    CLOSES,
    REFUSAL,
    SIZES,
    Closed,
    Handler,
    Peer,
    Security,
    binary_of,
    text_of,
)
from peers.websockets_peer import serve_websockets

from wsproto_async import (
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidStatus,
    State,
    WebSocket,
    connect,
)

TIME_LIMIT = 20

Link = Callable[..., AbstractAsyncContextManager[WebSocket]]
Serve = Callable[..., AbstractAsyncContextManager[int]]


async def echo(peer: Peer) -> None:
    try:
        while True:
            await peer.send(await peer.recv())
    except Closed:
        pass


def make_link(serve: Serve, security: Security) -> Link:
    @asynccontextmanager
    async def link(
        handler: Handler, *, server: dict[str, object] | None = None, **options: object
    ) -> AsyncIterator[WebSocket]:
        async with (
            asyncio.timeout(TIME_LIMIT),
            serve(handler, security, **(server or {})) as port,
            connect(security.uri(port), ssl=security.client, **options) as ws,
        ):
            yield ws

    return link


SERVERS = {"websockets": serve_websockets, "aiohttp": serve_aiohttp}


@pytest.fixture(params=SERVERS)
def serve(request: pytest.FixtureRequest) -> Serve:
    return SERVERS[request.param]


@pytest.fixture
def link(serve: Serve, security: Security) -> Link:
    """Serve a handler with either library and connect our client to it."""
    return make_link(serve, security)


@pytest.fixture
def fragmenting_link(security: Security) -> Link:
    """The same with `websockets` alone: aiohttp has no way to send fragments."""
    return make_link(serve_websockets, security)


class Outcome:
    """A handler that receives until the connection ends, and keeps how it ended."""

    def __init__(self) -> None:
        self.messages: list[str | bytes] = []
        self.ended = asyncio.get_running_loop().create_future()

    async def handler(self, peer: Peer) -> None:
        try:
            while True:
                self.messages.append(await peer.recv())
        except Closed as exc:
            self.ended.set_result(exc.seen)


@pytest.mark.parametrize("size", SIZES)
async def test_echoes_every_form_of_length(link: Link, size: int) -> None:
    async with link(echo) as ws:
        for message in (text_of(size), binary_of(size)):
            await ws.send(message)
            assert await ws.recv() == message


async def test_echoes_a_pipeline_in_order(link: Link) -> None:
    messages = [make(n * n % 9973) for n in range(200) for make in (text_of, binary_of)]

    async def send_all(ws: WebSocket) -> None:
        for message in messages:
            await ws.send(message)

    async with link(echo) as ws, asyncio.TaskGroup() as group:
        group.create_task(send_all(ws))
        assert [await ws.recv() for _ in messages] == messages


async def test_sends_fragments_around_pings(link: Link) -> None:
    latencies = []
    async with link(echo) as ws:

        async def fragments() -> AsyncIterator[str]:
            for number, fragment in enumerate(("He", "", "llö ", "wörld")):
                yield fragment
                latencies.append(await (await ws.ping(b"between %d" % number)))

        await ws.send(fragments())
        assert await ws.recv() == "Hellö wörld"
        await ws.send([b"one", b"", b"two"])
        assert await ws.recv() == b"onetwo"
    assert len(latencies) == 4
    assert all(0 <= latency < TIME_LIMIT for latency in latencies)


async def test_receives_fragments_around_pings(fragmenting_link: Link) -> None:
    async def handler(peer: Peer) -> None:
        async def fragments() -> AsyncIterator[str]:
            for fragment in ("He", "", "llö ", "wörld"):
                yield fragment
                await peer.ping(fragment.encode())

        await peer.send(fragments())

    async with fragmenting_link(handler) as ws:
        assert await ws.recv() == "Hellö wörld"


async def test_streams_a_fragmented_message(fragmenting_link: Link) -> None:
    async def handler(peer: Peer) -> None:
        await peer.ws.send([bytes([byte]) for byte in "€uro 😀".encode()], text=True)
        await peer.send("next")

    async with fragmenting_link(handler) as ws:
        assert "".join([piece async for piece in ws.recv_streaming()]) == "€uro 😀"
        assert await ws.recv() == "next"


@pytest.mark.parametrize("payload", [None, b"", b"payload", bytes(range(125))])
async def test_pings(link: Link, payload: bytes | None) -> None:
    async with link(echo) as ws:
        latency = await (await ws.ping(payload))
        assert 0 <= latency < TIME_LIMIT
        assert ws.latency == latency


@pytest.mark.parametrize("payload", [b"", b"payload", bytes(range(125))])
async def test_answers_pings_without_being_asked_to_receive(link: Link, payload: bytes) -> None:
    async def handler(peer: Peer) -> None:
        await peer.ping(payload)
        answered.set()
        await echo(peer)

    answered = asyncio.Event()
    async with link(handler):
        await answered.wait()


async def test_offers_subprotocols(link: Link) -> None:
    server = {"subprotocols": ["chat.v2", "chat.v1"]}
    async with link(echo, server=server, subprotocols=["chat.v1", "chat.v0"]) as ws:
        assert ws.subprotocol == "chat.v1"


async def test_needs_no_subprotocol(link: Link) -> None:
    async with link(echo) as ws:
        assert ws.subprotocol is None


@pytest.mark.parametrize("form", [dict, list], ids=["mapping", "pairs"])
async def test_exchanges_headers(link: Link, form: type) -> None:
    async def handler(peer: Peer) -> None:
        await peer.send(" ".join(peer.headers[name] for name in ("X-Trace", "User-Agent")))
        await echo(peer)

    async with link(
        handler,
        server={"headers": {"X-Served-By": "them"}},
        additional_headers=form([("X-Trace", "abc 123")]),
        user_agent_header="probe/1",
    ) as ws:
        assert await ws.recv() == "abc 123 probe/1"
        assert ws.response.status == 101
        assert ws.response.headers["x-served-by"] == "them"


@pytest.mark.parametrize(("code", "reason"), CLOSES)
async def test_client_closes(link: Link, code: int, reason: str) -> None:
    outcome = Outcome()
    async with link(outcome.handler) as ws:
        await ws.send("last words")
        await ws.close(code, reason)
        assert ws.close_code == code
        assert ws.state is State.CLOSED
        assert await outcome.ended == (code, reason)
    assert outcome.messages == ["last words"]


@pytest.mark.parametrize(("code", "reason"), CLOSES)
async def test_server_closes(link: Link, code: int, reason: str) -> None:
    async def handler(peer: Peer) -> None:
        await peer.send("last words")
        answered.set_result(await peer.close(code, reason))

    answered = asyncio.get_running_loop().create_future()
    expected = ConnectionClosedOK if code in (1000, 1001) else ConnectionClosedError
    async with link(handler) as ws:
        assert await ws.recv() == "last words"
        with pytest.raises(expected) as closing:
            await ws.recv()
        assert (closing.value.code, closing.value.reason) == (code, reason)
        assert await answered == code
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (code, reason)


async def test_iterates_until_a_clean_end(link: Link) -> None:
    async def handler(peer: Peer) -> None:
        for message in ("one", b"two"):
            await peer.send(message)

    async with link(handler) as ws:
        assert [message async for message in ws] == ["one", b"two"]
        assert ws.close_code == 1000


async def test_server_that_fails_is_1011(fragmenting_link: Link) -> None:
    async def handler(peer: Peer) -> None:
        raise LookupError

    async with fragmenting_link(handler) as ws:
        with pytest.raises(ConnectionClosedError) as closing:
            await ws.recv()
        assert closing.value.code == 1011


async def test_client_cuts_off(link: Link) -> None:
    outcome = Outcome()
    async with link(outcome.handler) as ws:
        await ws.send("one")
        await (await ws.ping())
        ws.abort()
        await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (1006, "")
        code, _ = await outcome.ended
        assert code == 1006
    assert outcome.messages == ["one"]


async def test_server_is_cut_off(link: Link) -> None:
    async def handler(peer: Peer) -> None:
        await peer.recv()
        peer.abort()

    async with link(handler) as ws:
        await ws.send("go")
        with pytest.raises(ConnectionClosedError) as closing:
            await ws.recv()
        assert (closing.value.code, closing.value.received) == (1006, None)
        with pytest.raises(ConnectionClosedError):
            await ws.send("too late")


@pytest.mark.parametrize("size", [1001, 5_000_000])
async def test_refuses_a_message_over_max_size(link: Link, size: int) -> None:
    async def handler(peer: Peer) -> None:
        await peer.send(binary_of(1000))
        try:
            await asyncio.gather(peer.send(binary_of(size)), peer.recv())
        except Closed as exc:
            ended.set_result(exc.seen[0])

    ended = asyncio.get_running_loop().create_future()
    async with link(handler, max_size=1000) as ws:
        assert await ws.recv() == binary_of(1000)
        with pytest.raises(ConnectionClosedError) as closing:
            await ws.recv()
        assert closing.value.sent.code == 1009
        assert await ended == 1009


async def test_sees_its_own_message_refused(link: Link) -> None:
    async with link(echo, server={"max_size": 1000}) as ws:
        await ws.send(b"x" * 900)
        assert await ws.recv() == b"x" * 900
        await ws.send(b"x" * 2000)
        with pytest.raises(ConnectionClosedError) as closing:
            await ws.recv()
        assert closing.value.code == 1009


async def test_sees_the_upgrade_refused(serve: Serve, security: Security) -> None:
    async with asyncio.timeout(TIME_LIMIT), serve(echo, security) as port:
        with pytest.raises(InvalidStatus) as refusal:
            await connect(security.uri(port, "/refused"), ssl=security.client)
        assert refusal.value.response.status == 403
        assert refusal.value.response.body == REFUSAL.encode()


async def test_distrusts_an_unknown_certificate(serve: Serve, tls: Security) -> None:
    async with asyncio.timeout(TIME_LIMIT), serve(echo, tls) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await connect(tls.uri(port))
