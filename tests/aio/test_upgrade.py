"""What the application's hooks may say in the opening handshake."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest
from raw_peer import UPGRADE, close_frame, head, tcp_peer

from wsproto_async import InvalidState, Request, Response, State, WebSocket, connect, serve


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes
    opened: list[WebSocket]
    name: str


async def ask(*lines: str, **options: Any) -> Answer:
    """Send a request to a server with those options, an upgrade by default."""
    opened: list[WebSocket] = []

    async def handler(ws: WebSocket) -> None:
        opened.append(ws)

    async with serve(handler, 0, **options) as server, tcp_peer(server.port) as peer:
        await peer.send(head(*(lines or UPGRADE)))
        status_line, *fields = (await peer.read_head()).decode().strip().split("\r\n")
        status = int(status_line.split()[1])
        if status == 101:
            await peer.read_close()
            await peer.send(close_frame(1000))
        body = await peer.read_eof()
        headers = {name.lower(): value for name, _, value in (f.partition(": ") for f in fields)}
        return Answer(status, headers, body, opened, peer.name)


OFFER = (*UPGRADE, "Sec-WebSocket-Protocol: one, two")
HEALTH = ("GET /health HTTP/1.1", "Host: localhost")


def both(function: Callable) -> list[Callable]:
    """A hook as a function and as a coroutine function."""

    async def as_coroutine(*args: Any) -> Any:
        await asyncio.sleep(0)
        return function(*args)

    return [function, as_coroutine]


# process_request


@pytest.mark.parametrize("hook", both(lambda ws, request: None))
async def test_a_request_that_may_go_on(hook: Callable) -> None:
    answer = await ask(process_request=hook)
    assert answer.status == 101
    assert len(answer.opened) == 1


@pytest.mark.parametrize(
    "hook", both(lambda ws, request: Response(200, headers={"X-Path": request.path}, body="fine"))
)
async def test_a_request_that_the_application_answers(hook: Callable) -> None:
    """It need not be an upgrade."""
    for lines in (HEALTH, ("GET /health HTTP/1.1", *UPGRADE[1:])):
        answer = await ask(*lines, process_request=hook)
        assert answer.status == 200
        assert answer.headers["x-path"] == "/health"
        assert answer.headers["content-length"] == "4"
        assert answer.headers["connection"] == "close"
        assert answer.body == b"fine"
        assert answer.opened == []
    answer = await ask("HEAD /health HTTP/1.1", "Host: localhost", process_request=hook)
    assert (answer.status, answer.headers["content-length"], answer.body) == (200, "4", b"")


async def test_what_process_request_is_given() -> None:
    def hook(ws: WebSocket, request: Request) -> None:
        assert ws.request is request
        assert ws.state is State.CONNECTING
        assert ws.response is None
        assert ws.path == request.path == "/"
        assert request.headers["upgrade"] == "websocket"
        assert ws.server.stats().handshakes == 1
        ws.user = "me"

    answer = await ask(process_request=hook)
    assert answer.status == 101
    assert answer.opened[0].user == "me"


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    ("result", "error"),
    [
        ("nonsense", "TypeError: process_request returned str, not Response or None"),
        (False, "TypeError: process_request returned bool, not Response or None"),
        ((200, "OK"), "TypeError: process_request returned tuple, not Response or None"),
        (Response(101), "ValueError: process_request returned 101: return None to accept"),
        (LookupError("mine"), "LookupError: mine"),
    ],
    ids=repr,
)
async def test_a_process_request_that_fails(
    result: Any, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(ws: WebSocket, request: Request) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    for function in both(hook):
        caplog.clear()
        answer = await ask(process_request=function)
        assert (answer.status, answer.body) == (500, b"internal server error\n")
        assert answer.opened == []
        (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert (record.name, record.message) == (
            "wsproto_async.server",
            f"opening handshake failed: {answer.name} /",
        )
        assert error in caplog.text
        assert caplog.text.count("Traceback") == 1


async def test_the_connection_cannot_be_used_yet() -> None:
    async def hook(ws: WebSocket, request: Request) -> None:
        calls = [ws.recv(), ws.send("x"), ws.send(["x"]), ws.ping(), ws.pong()]
        for call in (*calls, anext(ws.recv_streaming())):
            with pytest.raises(InvalidState, match=r"^the opening handshake has not completed$"):
                await call

    answer = await ask(process_request=hook)
    assert answer.status == 101


@pytest.mark.parametrize("end", [WebSocket.close, WebSocket.abort])
async def test_a_hook_that_ends_the_connection(end: Callable) -> None:
    async def hook(ws: WebSocket, request: Request) -> None:
        ended = end(ws)
        if ended is not None:
            await ended
        assert ws.state is State.CLOSED

    async with (
        serve(lambda ws: None, 0, process_request=hook) as server,
        tcp_peer(server.port) as peer,
    ):
        await peer.send(head(*UPGRADE))
        with pytest.raises((EOFError, ConnectionResetError)):
            await peer.read_head()


# process_response


def add_a_field(ws: WebSocket, request: Request, response: Response) -> None:
    assert ws.request is request
    assert ws.state is State.CONNECTING
    response.headers.add("X-Added", str(response.status))


def replace_it(ws: WebSocket, request: Request, response: Response) -> Response:
    return Response(404, headers={"X-Was": str(response.status)}, body="not here")


@pytest.mark.parametrize("hook", both(add_a_field))
async def test_a_response_that_is_changed(hook: Callable) -> None:
    answer = await ask(process_response=hook)
    assert answer.status == 101
    assert answer.headers["x-added"] == "101"
    assert answer.opened[0].response.headers["X-Added"] == "101"
    answer = await ask(*HEALTH, process_response=hook)
    assert answer.status == 426
    assert answer.headers["x-added"] == "426"


@pytest.mark.parametrize("hook", both(replace_it))
async def test_a_response_that_is_replaced(hook: Callable) -> None:
    for lines, was in ((UPGRADE, "101"), (HEALTH, "426")):
        answer = await ask(*lines, process_response=hook)
        assert (answer.status, answer.headers["x-was"], answer.body) == (404, was, b"not here")
        assert answer.opened == []


async def test_process_response_is_not_asked_about_the_applications_own_response() -> None:
    answer = await ask(
        *HEALTH,
        process_request=lambda ws, request: Response(200),
        process_response=replace_it,
    )
    assert answer.status == 200


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    ("result", "error"),
    [
        (1, "TypeError: process_response returned int, not Response or None"),
        (b"", "TypeError: process_response returned bytes, not Response or None"),
        (LookupError("mine"), "LookupError: mine"),
    ],
    ids=repr,
)
async def test_a_process_response_that_fails(
    result: Any, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(ws: WebSocket, request: Request, response: Response) -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    for function in both(hook):
        answer = await ask(process_response=function)
        assert (answer.status, answer.opened) == (500, [])
        assert error in caplog.text
        caplog.clear()


# select_subprotocol


@pytest.mark.parametrize("chosen", ["one", "two", None])
async def test_selecting_a_subprotocol(chosen: str | None) -> None:
    def select(ws: WebSocket, offered: Sequence[str]) -> str | None:
        assert list(offered) == ["one", "two"]
        assert ws.state is State.CONNECTING
        return chosen

    answer = await ask(*OFFER, select_subprotocol=select, subprotocols=["ignored"])
    assert answer.status == 101
    assert answer.headers.get("sec-websocket-protocol") == chosen
    assert answer.opened[0].subprotocol == chosen


@pytest.mark.logs_errors
@pytest.mark.parametrize(
    ("lines", "result", "error"),
    [
        (OFFER, "three", "ValueError: subprotocol 'three' was not offered: ['one', 'two']"),
        (UPGRADE, "one", "ValueError: subprotocol 'one' was not offered: []"),
        (OFFER, LookupError("mine"), "LookupError: mine"),
    ],
    ids=["unoffered", "nothing offered", "raises"],
)
async def test_a_selection_that_fails(
    lines: Sequence[str], result: Any, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    def select(ws: WebSocket, offered: Sequence[str]) -> str:
        if isinstance(result, Exception):
            raise result
        return result

    answer = await ask(*lines, select_subprotocol=select)
    assert (answer.status, answer.body) == (500, b"internal server error\n")
    assert "sec-websocket-protocol" not in answer.headers
    assert answer.opened == []
    assert error in caplog.text


# Refusals


@pytest.mark.parametrize(
    ("lines", "status", "message"),
    [
        (HEALTH, 426, "/health 426 this is a WebSocket server: upgrade to websocket"),
        (
            (*UPGRADE, "Origin: https://evil.example"),
            403,
            "/ 403 origin https://evil.example is not allowed by the parameter origins",
        ),
        (
            (*UPGRADE, "Origin: https://\xe9vil.example"),
            403,
            "/ 403 origin https://\\xe9vil.example is not allowed by the parameter origins",
        ),
    ],
)
async def test_a_refusal_leaves_one_line(
    lines: Sequence[str], status: int, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wsproto_async")
    answer = await ask(*lines)
    assert answer.status == status
    refusals = [record for record in caplog.records if "refused" in record.message]
    assert [(record.levelname, record.message) for record in refusals] == [
        ("INFO", f"refused: {answer.name} {message}")
    ]


async def test_hooks_and_the_client_agree() -> None:
    """The same through our own client: what the hooks did is what it sees."""
    opened: list[WebSocket] = []

    async def handler(ws: WebSocket) -> None:
        opened.append(ws)

    async with serve(
        handler,
        0,
        process_request=lambda ws, request: None,
        process_response=add_a_field,
        select_subprotocol=lambda ws, offered: offered[-1],
    ) as server:
        uri = f"ws://127.0.0.1:{server.port}/"
        async with connect(uri, subprotocols=["one", "two"]) as client:
            assert client.subprotocol == "two"
            assert client.response.headers["X-Added"] == "101"
    assert opened[0].subprotocol == "two"
