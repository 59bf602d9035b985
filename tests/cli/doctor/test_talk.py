"""An open connection: Pings, and the closing handshake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

CLOSE_1000 = b"\x03\xe8"


def test_messages_meanwhile_do_no_harm(doctor: Callable, talking: Callable) -> None:
    async def talk(peer: Any) -> None:
        await peer.accept()
        peer.send_frame(1, b"welcome")
        peer.send_frame(9, b"are you there")
        assert await peer.read_frame() == (9, b"doctor 0")
        assert await peer.read_frame() == (10, b"are you there")
        peer.send_frame(10, b"unsolicited")
        peer.send_frame(10, b"doctor 0")
        await peer.answer_pings(2)
        peer.send_frame(2, b"x")
        assert await peer.read_frame() == (8, CLOSE_1000)
        peer.send_frame(8, CLOSE_1000)

    assert doctor(talking(talk)).status == 0


@pytest.mark.parametrize("first", [b"\x82\x7f", b"\x02\x7f"])
def test_messages_may_be_of_any_size(doctor: Callable, talking: Callable, first: bytes) -> None:
    size = 3 << 20

    async def talk(peer: Any) -> None:
        await peer.accept()
        peer.writer.write(first + size.to_bytes(8, "big") + bytes(size))
        if first[0] == 0x02:  # to be continued
            peer.writer.write(b"\x00\x00" * 20_000 + b"\x80\x00")
        await peer.answer_pings()
        peer.send_frame(8, (await peer.read_frame())[1])

    assert doctor(talking(talk)).status == 0


def test_what_is_in_messages_is_checked(doctor: Callable, talking: Callable) -> None:
    async def talk(peer: Any) -> None:
        await peer.accept()
        peer.send_frame(1, b"\xff")
        await peer.reader.read()

    found = doctor(talking(talk))
    assert (found.status, found.last["text"]) == (1, "a frame that is none")
    assert "text is not UTF-8" in found.last["problem"]["why"]


@pytest.mark.parametrize(
    ("frame", "text", "why"),
    [
        ((8, b"\x11\x50who\x1b"), r"closed with 4432 (private use) who\x1b", "as soon as it was"),
        ((8, b""), "closed with 1005 (no status received)", "as soon as it was open"),
        ((3, b""), "a frame that is none", "has broken the protocol: "),
        (None, "cut off", "cut the connection off as soon as it was open"),
    ],
)
def test_it_ends_at_once(
    doctor: Callable, talking: Callable, frame: tuple[int, bytes] | None, text: str, why: str
) -> None:
    async def talk(peer: Any) -> None:
        await peer.accept()
        if frame is not None:
            peer.send_frame(*frame)
            await peer.reader.read()

    found = doctor(talking(talk))
    assert (found.status, found.last["step"], found.side) == (1, "ping", "server")
    assert found.last["text"] == text
    assert why in found.last["problem"]["why"]


def test_no_pong(doctor: Callable, talking: Callable) -> None:
    async def talk(peer: Any) -> None:
        await peer.accept()
        await peer.reader.read()

    found = doctor(talking(talk), "--timeout", "0.1")
    assert (found.status, found.last["text"]) == (1, "no pong within 0.1 s")
    assert "RFC 6455 5.5.2" in found.last["problem"]["why"]


@pytest.mark.parametrize(
    ("is_ended", "text"), [(False, "no answer within 0.1 s"), (True, "cut off")]
)
def test_no_answer_to_close(doctor: Callable, talking: Callable, is_ended: bool, text: str) -> None:
    async def talk(peer: Any) -> None:
        await peer.accept()
        await peer.answer_pings()
        assert await peer.read_frame() == (8, CLOSE_1000)
        if not is_ended:
            await peer.reader.read()

    found = doctor(talking(talk), "--timeout", "0.1")
    assert (found.status, found.last["step"], found.last["text"]) == (1, "close", text)
    assert "RFC 6455 5.5.1" in found.last["problem"]["why"]


def test_tcp_is_not_ended(doctor: Callable, talking: Callable) -> None:
    async def talk(peer: Any) -> None:
        await peer.accept()
        await peer.answer_pings()
        peer.send_frame(8, (await peer.read_frame())[1])
        await peer.reader.read()

    found = doctor(talking(talk), "--timeout", "0.1")
    assert (found.status, found.names("warning")) == (0, ["close"])
    assert found.last["text"] == "answered with 1000 (OK)"
    assert "RFC 6455 7.1.1" in found.last["problem"]["why"]
