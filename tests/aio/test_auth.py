"""Basic authentication."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from raw_peer import UPGRADE, head, tcp_peer

from wsproto_async import InvalidStatus, Request, Response, WebSocket, basic_auth, connect, serve


async def handler(ws: WebSocket) -> None:
    await ws.send(ws.username)


def basic(text: str | bytes) -> str:
    return "Basic " + base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


async def status_for(hook: Any, *values: str) -> int:
    async with serve(handler, 0, process_request=hook) as server, tcp_peer(server.port) as peer:
        await peer.send(head(*UPGRADE, *(f"Authorization: {value}" for value in values)))
        return int((await peer.read_head())[9:12])


ONE = {"credentials": ("ann", "pass:word")}
TWO = {"credentials": [("ann", "pass:word"), ("bob", "ünïcode")]}


@pytest.mark.parametrize(
    ("credentials", "value"),
    [
        (ONE, basic("ann:pass:word")),
        (ONE, basic("ann:pass:word").replace("Basic", "BASIC")),
        (ONE, basic("ann:pass:word").replace(" ", "  ")),
        (TWO, basic("ann:pass:word")),
        (TWO, basic("bob:ünïcode")),
        ({"check_credentials": lambda user, password: password == user[::-1]}, basic("ab:ba")),
    ],
)
async def test_who_is_let_in(credentials: dict[str, Any], value: str) -> None:
    assert await status_for(basic_auth(**credentials), value) == 101


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("",),
        ("Basic",),
        ("Basic ",),
        ("Basic !",),
        (basic("ann"),),
        (basic("ann:"),),
        (basic("ann:pass"),),
        (basic("ann:pass:wor"),),
        (basic("ann:pass:words"),),
        (basic("ANN:pass:word"),),
        (basic("bob:pass:word"),),
        (basic(":"),),
        (basic(b"ann:\xff"),),
        (basic("ann:pass:word") + "=",),
        (basic("ann:pass:word").replace("Basic", "Bearer"),),
        (basic("ann:pass:word"), basic("ann:pass:word")),
        (basic("ann:pass:word") + ", " + basic("ann:pass:word"),),
    ],
)
async def test_who_is_not(values: tuple[str, ...]) -> None:
    assert await status_for(basic_auth(**TWO), *values) == 401


async def test_the_challenge_and_the_client() -> None:
    async def check(username: str, password: str) -> bool:
        return (username, password) == ("ann", "secret")

    hook = basic_auth('my "realm"', check_credentials=check)
    async with serve(handler, 0, process_request=hook) as server:
        async with connect(f"ws://ann:secret@127.0.0.1:{server.port}/") as ws:
            assert await ws.recv() == "ann"
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://ann:wrong@127.0.0.1:{server.port}/")
        response = caught.value.response
        assert response.status == 401
        assert response.headers["WWW-Authenticate"] == (
            'Basic realm="my \\"realm\\"", charset="UTF-8"'
        )


async def test_hooks_in_turn() -> None:
    """The first that answers answers; one that is not let in gets no page."""

    async def page(ws: WebSocket, request: Request) -> Response | None:
        return Response(200, body=f"hello {ws.username}") if request.path == "/page" else None

    hooks = [basic_auth(**ONE), page]
    assert await status_for(hooks, basic("ann:pass:word")) == 101
    async with serve(handler, 0, process_request=hooks) as server:
        for lines, status, body in [
            ((f"Authorization: {basic('ann:pass:word')}",), b"200", b"hello ann"),
            ((), b"401", b"authentication is required\n"),
        ]:
            async with tcp_peer(server.port) as peer:
                await peer.send(head("GET /page HTTP/1.1", "Host: localhost", *lines))
                assert (await peer.read_head())[9:12] == status
                assert await peer.read_eof() == body


@pytest.mark.parametrize("arguments", [{}, {**ONE, "check_credentials": lambda user, word: True}])
def test_exactly_one_of_both(arguments: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="either"):
        basic_auth("realm", **arguments)


def test_a_realm_that_no_header_can_hold() -> None:
    with pytest.raises(ValueError, match="WWW-Authenticate"):
        basic_auth("a\r\nSet-Cookie: b", **ONE)
