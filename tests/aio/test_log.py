"""The log: what peers cause in it is bounded, and disturbs nobody."""

from __future__ import annotations

import logging
import re
import socket
from typing import Any

import pytest
from raw_peer import UPGRADE, RawPeer, head, tcp_peer, until

from wsproto_async import WebSocket, connect, serve
from wsproto_async.aio import log as log_module
from wsproto_async.aio.log import Log, one_line


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(log_module, "monotonic", lambda: now[0])
    return now


def test_lines_are_limited_by_the_second(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "mine")
    log = Log(logging.getLogger("mine"))
    for at in range(150):
        log.info("line %d", at)
        clock[0] += 0.001
    assert [record.message for record in caplog.records] == [f"line {at}" for at in range(100)]
    clock[0] += 1
    log.debug("one more")
    assert [record.message for record in caplog.records][100:] == ["lines left out: 50", "one more"]


def test_what_the_operator_must_know_has_no_limit(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    log = Log(logging.getLogger("mine"))
    for _ in range(150):
        log.warning("!")
    assert len(caplog.records) == 150


def test_what_is_not_written_does_not_count(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mine")
    log = Log(logging.getLogger("mine"))
    for _ in range(150):
        log.debug("?")
    log.info("!")
    assert [record.message for record in caplog.records] == ["!"]


class Broken(logging.Logger):
    """Raises whatever it is asked to write."""

    def isEnabledFor(self, level: int) -> bool:
        return True

    def _log(self, *args: Any, **options: Any) -> None:
        raise RuntimeError("the disk is full")


def test_what_was_left_out_last_is_told_at_the_end(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mine")
    log = Log(logging.getLogger("mine"))
    for _ in range(101):
        log.info("?")
    for _ in range(2):
        log.close()
    assert [record.message for record in caplog.records][100:] == ["lines left out: 1"]


async def test_a_server_tells_it_when_it_closes(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        for _ in range(500):
            server._log.info("?")

    caplog.set_level(logging.INFO, "wsproto_async")
    async with serve(handler, 0) as server, connect(f"ws://127.0.0.1:{server.port}/") as client:
        await client.wait_closed()
    assert caplog.records[-1].message.startswith("lines left out: ")


def test_tracebacks_are_limited_by_the_minute(
    clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    """Then an error is a line, so that another one among them is seen."""
    caplog.set_level(logging.INFO, "mine")
    log = Log(logging.getLogger("mine"))
    for _ in range(9):
        log.exception("failed", "somebody", ValueError("x"))
    log.exception("failed", "somebody", LookupError("the tenth"))
    assert caplog.text.count("LookupError: the tenth") == 1
    assert all(record.exc_info for record in caplog.records)
    caplog.clear()
    for _ in range(150):
        log.exception("failed", "somebody", KeyError("x"))
    assert len(caplog.records) == 100
    assert {(record.levelname, record.message, record.exc_info) for record in caplog.records} == {
        ("ERROR", "failed: somebody KeyError, no traceback", None)
    }
    caplog.clear()
    clock[0] += 60
    log.exception("failed", "somebody", ValueError("x"))
    log.info("!")
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("ERROR", "failed: somebody"),
        ("ERROR", "lines left out: 50"),
        ("INFO", "!"),
    ]


async def test_a_logger_that_raises() -> None:
    async def handler(ws: WebSocket) -> None:
        async for message in ws:
            if message == "fail":
                raise ValueError("mine")
            await ws.send(message)

    logger = Broken("broken")
    async with serve(handler, 0, logger=logger) as server:
        uri = f"ws://127.0.0.1:{server.port}/"
        async with connect(uri, logger=logger) as ws:
            await ws.send("hello")
            assert await ws.recv() == "hello"
            await ws.send("fail")
            with pytest.raises(Exception, match="1011"):
                await ws.recv()
        async with tcp_peer(server.port) as peer:
            await peer.send(b"nonsense\r\n")
            assert (await peer.read_head()).startswith(b"HTTP/1.1 400 ")


async def test_tokens_are_not_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: WebSocket) -> None:
        logging.getLogger("app").info("%r %r", ws, ws.request)
        await ws.send("hello")

    caplog.set_level(logging.DEBUG)
    async with serve(handler, 0) as server:
        uri = f"ws://127.0.0.1:{server.port}/chat?token=s3cret"
        secret = {"Authorization": "Bearer s3cret", "Cookie": "session=s3cret"}
        async with connect(uri, additional_headers=secret) as ws:
            assert await ws.recv() == "hello"
        async with tcp_peer(server.port) as peer:
            await peer.send(
                head(
                    UPGRADE[0].replace("/ ", "/?token=s3cret "),
                    *UPGRADE[1:],
                    "Authorization: Bearer s3cret",
                    "Origin: http://evil.example",
                )
            )
            assert (await peer.read_head()).startswith(b"HTTP/1.1 403 ")
    assert "/chat?..." in caplog.text
    assert "s3cret" not in caplog.text


# Our own transport is told the address with the connection; a loop's asks for it, too late.
GONE = r"(unknown|127\.0\.0\.1(:\d+)?)"


def connect_and_reset(port: int) -> None:
    """Be gone before anybody has looked at the connection."""
    RawPeer(socket.create_connection(("127.0.0.1", port))).reset()


async def test_a_peer_that_has_gone_leaves_a_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "wsproto_async")
    async with serve(lambda ws: None, 0) as server:
        connect_and_reset(server.port)
        line = rf"handshake failed: {GONE} connection closed"
        await until(lambda: re.search(line, caplog.text) is not None)


async def test_a_peer_that_has_gone_is_no_trusted_proxy(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "wsproto_async")
    options = {"trusted_proxies": ["unix"], "proxy_protocol": True}
    async with serve(lambda ws: None, 0, **options) as server:
        connect_and_reset(server.port)
        line = rf"{GONE} is none of the trusted proxies"
        await until(lambda: re.search(line, caplog.text) is not None)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x00\x1b[2J\x7f", r"\x00\x1b[2J\x7f"),
        ("\x85\x9b\u2028\u2029\ud800", r"\x85\x9b\u2028\u2029\ud800"),
        ("a\\nb", r"a\\nb"),
        ("x" * 201, "x" * 200 + "..."),
    ],
)
def test_what_others_say_is_one_line(text: str, line: str) -> None:
    assert one_line(text) == line
    assert one_line(ValueError(text)) == line
