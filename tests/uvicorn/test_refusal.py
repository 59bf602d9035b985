"""Responses of an application's own, in place of a connection: ``websocket.http.response``."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from raw_peer import UPGRADE, head, tcp_peer, until
from under_uvicorn import Run


def start(status: int, *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "websocket.http.response.start", "status": status, "headers": headers}


def body(data: bytes, more_body: bool = False) -> dict[str, Any]:
    return {"type": "websocket.http.response.body", "body": data, "more_body": more_body}


async def refused(run: Run, *events: dict[str, Any]) -> bytes:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        for event in events:
            await send(event)

    async with run(app) as server, tcp_peer(server.port) as peer:
        await peer.send(head(*UPGRADE))
        return await peer.read_eof()


async def test_response_in_one(run: Run) -> None:
    response = await refused(run, start(401, (b"x-a", b"b")), body(b"who are you?"))
    assert response.startswith(b"HTTP/1.1 401 Unauthorized\r\nx-a: b\r\n")
    assert b"\r\nContent-Length: 12\r\n" in response
    assert response.endswith(b"\r\n\r\nwho are you?")


async def test_response_in_chunks(run: Run) -> None:
    response = await refused(
        run, start(500), body(b"one", True), body(b"", True), body(b"two", True), body(b"")
    )
    assert b"\r\nTransfer-Encoding: chunked\r\n" in response
    assert response.endswith(b"\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")


async def test_response_in_parts_of_a_known_length(run: Run) -> None:
    length = (b"content-length", b"6")
    response = await refused(run, start(404, length), body(b"one", True), body(b"two"))
    assert b"chunked" not in response
    assert response.endswith(b"\r\n\r\nonetwo")


async def test_long_response_waits_for_the_peer(run: Run) -> None:
    parts: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(start(404))
        for number in range(200):
            await send(body(bytes(100_000), True))
            parts.append(number)
        await send(body(b""))

    async with run(app) as server, tcp_peer(server.port) as peer:
        await peer.send(head(*UPGRADE))
        await until(server.is_held_up)
        assert len(parts) < 200
        response = await peer.read_eof()
    assert response.endswith(b"\r\n0\r\n\r\n")
    assert response.count(b"\r\n186a0\r\n") == 200


async def test_peer_that_leaves_during_a_response(run: Run) -> None:
    errors: list[Exception] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(start(404))
        try:
            while True:
                await send(body(bytes(100_000), True))
        except OSError as exc:
            errors.append(exc)

    async with run(app) as server:
        async with tcp_peer(server.port) as peer:
            await peer.send(head(*UPGRADE))
            await until(server.is_held_up)
            peer.reset()
        await until(lambda: errors)


async def test_response_without_a_body(run: Run) -> None:
    response = await refused(run, start(404))
    assert response.startswith(b"HTTP/1.1 404 ")
    assert b"\r\nContent-Length: 0\r\n" in response


async def test_response_that_breaks_off_is_seen_to(run: Run) -> None:
    response = await refused(run, start(404), body(b"one", True))
    assert response.endswith(b"3\r\none\r\n")


@pytest.mark.logs_errors
async def test_body_that_is_not_as_long_as_it_says(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    length = (b"content-length", b"4")
    response = await refused(run, start(404, length), body(b"one", True), body(b"two"))
    assert response.endswith(b"\r\n\r\none")
    assert "ValueError" in caplog.text


@pytest.mark.logs_errors
async def test_body_that_is_none_leaves_none(run: Run) -> None:
    response = await refused(
        run, start(404), {"type": "websocket.http.response.body", "body": None}
    )
    assert response.startswith(b"HTTP/1.1 404 ")
    assert response.endswith(b"\r\n\r\n")


async def test_status_that_has_no_body(run: Run) -> None:
    length = (b"content-length", b"3")
    response = await refused(run, start(204, length), body(b"one", True), body(b"two"))
    assert response.startswith(b"HTTP/1.1 204 ")
    assert response.endswith(b"\r\n\r\n")
    assert b"ength" not in response


async def test_framing_is_not_the_application_s(run: Run) -> None:
    chunked = (b"transfer-encoding", b"chunked")
    response = await refused(run, start(404, chunked), body(b"one"))
    assert b"chunked" not in response
    assert response.endswith(b"\r\n\r\none")


async def test_nobody_has_left_while_a_response_is_sent(run: Run) -> None:
    receiving: list[asyncio.Task[Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        receiving.append(asyncio.create_task(receive()))
        await send(start(404))
        await send(body(b"one", True))
        await asyncio.sleep(0)
        assert not receiving[0].done()
        await send(body(b"two"))

    async with run(app) as server, tcp_peer(server.port) as peer:
        await peer.send(head(*UPGRADE))
        assert (await peer.read_eof()).endswith(b"two\r\n0\r\n\r\n")
        event = await receiving[0]
    assert event == {"type": "websocket.disconnect", "code": 1006}
