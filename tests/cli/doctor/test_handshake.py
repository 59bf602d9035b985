"""What the server answers, header by header."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def bad_header(found: Any) -> dict[str, Any]:
    (step,) = (step for step in found.steps if step["state"] == "failed")
    return step


@pytest.mark.parametrize(
    ("headers", "text", "why"),
    [
        (
            {"Upgrade": None},
            "Upgrade: (missing) (RFC 6455 4.1, 4.2.2)",
            "Upgrade is not websocket.",
        ),
        (
            {"Upgrade": "h2c"},
            "Upgrade: h2c (RFC 6455 4.1, 4.2.2)",
            "Upgrade is not websocket.",
        ),
        (
            {"Connection": "close"},
            "Connection: close (RFC 6455 4.1, 4.2.2)",
            "Connection lacks the token upgrade.",
        ),
        (
            {"Sec_WebSocket_Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo= (RFC 6455 4.1, 4.2.2)",
            "Sec-WebSocket-Accept does not answer the key. It has to be the base64 of the SHA-1 of "
            "our key and a fixed text.",
        ),
        (
            {"Sec_WebSocket_Protocol": "super"},
            "Sec-WebSocket-Protocol: super (RFC 6455 4.1, 11.3.4)",
            "Server chose subprotocol super, not offered.",
        ),
        (
            {"Sec_WebSocket_Extensions": "x-zip; a=1"},
            "Sec-WebSocket-Extensions: x-zip; a=1 (RFC 6455 9.1, RFC 7692 7.1)",
            "Server chose extension x-zip, not offered.",
        ),
        (
            {"Sec_WebSocket_Extensions": "permessage-deflate; server_max_window_bits=99"},
            "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99 "
            "(RFC 6455 9.1, RFC 7692 7.1)",
            "Server answered permessage-deflate with parameter server_max_window_bits=99.",
        ),
    ],
)
def test_a_header_that_is_wrong(
    doctor: Callable, talking: Callable, headers: dict[str, str | None], text: str, why: str
) -> None:
    async def talk(peer: Any) -> None:
        await peer.accept(**headers)

    found = doctor(talking(talk), "--subprotocol", "chat")
    step = bad_header(found)
    assert found.status == 5
    assert (step["step"], step["text"], step["problem"]["why"]) == ("header", text, why)
    assert step["problem"]["side"] == "server"
    assert "ping" not in found.names()
    # The others are told as well, and are right.
    assert found.names().count("header") >= 2


def test_every_header_that_is_wrong(doctor: Callable, talking: Callable) -> None:
    async def talk(peer: Any) -> None:
        await peer.accept(Upgrade="x", Connection="x", Sec_WebSocket_Accept="x")

    assert doctor(talking(talk)).names("failed") == ["header"] * 3


def test_what_is_agreed_on(doctor: Callable, server: Callable) -> None:
    async def handler(ws: Any) -> None:
        await ws.wait_closed()

    port = server(handler, subprotocols=["chat"])
    found = doctor(f"ws://127.0.0.1:{port}/", "--subprotocol", "other", "--subprotocol", "chat")
    steps = {step["step"]: step["text"] for step in found.steps}
    assert (found.status, steps["subprotocol"]) == (0, "chat")
    assert steps["compression"].startswith("permessage-deflate")

    found = doctor(f"ws://127.0.0.1:{port}/", "--subprotocol", "other")
    assert (found.status, found.names("warning")) == (0, ["subprotocol"])


def test_no_compression(doctor: Callable, server: Callable) -> None:
    async def handler(ws: Any) -> None:
        await ws.wait_closed()

    port = server(handler, compression=None)
    found = doctor(f"ws://127.0.0.1:{port}/")
    assert "none: the server has not accepted it" in [step["text"] for step in found.steps]
    assert "compression" not in doctor(f"ws://127.0.0.1:{port}/", "--no-compression").names()


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"", "no answer within 0.1 s"),
        (b"HTT", "no complete answer within 0.1 s"),
        (b"HTTP/1.1 101 Sure\r\n", "no complete answer within 0.1 s"),
    ],
)
def test_no_answer_in_time(doctor: Callable, talking: Callable, answer: bytes, text: str) -> None:
    async def talk(peer: Any) -> None:
        await peer.read_request()
        peer.writer.write(answer)
        await peer.reader.read()

    found = doctor(talking(talk), "--timeout", "0.1")
    assert (found.status, found.last["step"], found.side) == (3, "HTTP", "server")
    assert found.last["text"] == text


def test_no_http_in_time(doctor: Callable, talking: Callable) -> None:
    async def talk(peer: Any) -> None:
        await peer.read_request()
        peer.writer.write(b"RFB 003.008")
        await peer.reader.read()

    found = doctor(talking(talk), "--timeout", "0.1")
    assert (found.status, found.last["text"]) == (5, "this is VNC")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "without an Origin"),
        (("-H", "Origin: https://a.example"), "pages of https://a.example"),
    ],
)
def test_an_origin_in_a_header(
    doctor: Callable, answering: Callable, arguments: tuple[str, ...], why: str
) -> None:
    found = doctor(answering(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"), *arguments)
    assert why in found.last["problem"]["why"]


def test_a_refusal_whose_body_does_not_end(doctor: Callable, talking: Callable) -> None:
    async def talk(peer: Any) -> None:
        await peer.read_request()
        peer.writer.write(b"HTTP/1.1 503 No\r\n\r\nbusy\x1b[2J")
        await peer.reader.read()

    found = doctor(talking(talk), "--timeout", "0.1")
    assert (found.status, found.last["text"]) == (5, r"503 No: busy\x1b[2J")


def test_a_reset(doctor: Callable, talking: Callable) -> None:
    async def talk(peer: Any) -> None:
        await peer.read_request()
        peer.writer.transport.abort()

    found = doctor(talking(talk))
    assert (found.status, found.last["text"]) == (5, "hung up without an answer")
