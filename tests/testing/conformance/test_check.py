"""check_server(): servers that are right, wrong in one thing or in all, or not there."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trustme

from wsproto_async import WebSocket, basic_auth, serve
from wsproto_async.testing import Finding, check_server
from wsproto_async.testing.conformance.rfc import section_of
from wsproto_async.testing.conformance.rows import ROWS


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


@pytest.mark.parametrize("options", [{}, {"compression": None}, {"max_size": 1000}])
async def test_our_server_is_right(options: dict[str, Any]) -> None:
    limit = {name: options[name] for name in options if name == "max_size"}
    async with serve(echo, 0, **options) as server:
        found = await check_server(f"ws://localhost:{server.port}/?x=1", patience=20, **limit)
    assert [str(finding) for finding in found] == []


@pytest.mark.one_loop
async def test_over_tls() -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(trusting)
    async with serve(echo, 0, ssl=context) as server:
        url = f"wss://localhost:{server.port}/"
        assert await check_server(url, patience=20) == []
        assert await check_server(url, patience=20, ssl=trusting) == []


@pytest.mark.one_loop
async def test_a_limit_that_is_not_kept() -> None:
    async with serve(echo, 0, max_size=None) as server:
        found = await check_server(f"ws://localhost:{server.port}/", max_size=1000, patience=5)
    assert {finding.section for finding in found} == {"RFC 6455 10.4"}


@contextlib.asynccontextmanager
async def listening(accept: Any) -> AsyncIterator[str]:
    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


@contextlib.asynccontextmanager
async def proxy(port: int, *, to_client: Any) -> AsyncIterator[str]:
    """In front of a right server, something that spoils what it says."""

    async def pump(reader: Any, writer: Any, change: Any) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(2**16):
                writer.write(change(data))
                await writer.drain()
        writer.close()

    async def accept(reader: Any, writer: Any) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, far_writer, bytes), pump(far_reader, writer, to_client))

    async with listening(accept) as url:
        yield url


@pytest.mark.one_loop
@pytest.mark.parametrize(
    ("said", "changed", "sections"),
    [
        (b"Sec-WebSocket-Accept: ", b"Sec-WebSocket-Accept: x", {"RFC 6455 4.2.2"}),
        (b"Upgrade: websocket", b"Upgrade: other", {"RFC 6455 4.2.2"}),
        (b"\x8a\x00", b"\x8a\x01x", {"RFC 6455 5.4"}),  # a pong that says something else
    ],
)
async def test_a_server_that_is_wrong_in_one_thing(
    said: bytes, changed: bytes, sections: set[str]
) -> None:
    async with (
        serve(echo, 0) as server,
        proxy(server.port, to_client=lambda data: data.replace(said, changed)) as url,
    ):
        found = await check_server(url, patience=5)
    assert {finding.section for finding in found} == sections, "\n".join(map(str, found))


@pytest.mark.one_loop
async def test_a_server_that_takes_everything() -> None:
    """It opens whatever it is asked for, echoes one text, and never looks at anything else."""

    async def accept(reader: Any, writer: Any) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
            await reader.read(100)
            writer.write(b"\x81\x0cstill there?")
            while await reader.read(2**16):
                pass
        writer.close()

    async with listening(accept) as url:
        found = await check_server(url, patience=0.05)
    sections = {finding.section for finding in found}
    assert sections >= {
        *("RFC 6455 4.2.1", "RFC 6455 4.4", "RFC 6455 5.1", "RFC 6455 5.2", "RFC 6455 5.4"),
        *("RFC 6455 5.5", "RFC 6455 5.5.1", "RFC 6455 7.4", "RFC 6455 8.1"),
    }
    [no_key] = [finding for finding in found if finding.title == "no key"]
    assert b"Sec-WebSocket-Key" not in no_key.sent
    assert no_key.expected == "an HTTP error, or the end"
    assert no_key.got.startswith("101")


async def test_a_sterner_server_is_right() -> None:
    """1008 for 1002, and 403 for 400: the RFC leaves that to the server."""

    def change(data: bytes) -> bytes:
        return data.replace(b"\x03\xea", b"\x03\xf0").replace(b"1.1 400", b"1.1 403")

    async with serve(echo, 0) as server, proxy(server.port, to_client=change) as url:
        found = await check_server(url, patience=20)
    assert [str(finding) for finding in found] == []


@pytest.mark.one_loop
async def test_a_server_that_wants_to_know_who_it_is() -> None:
    guard = basic_auth(realm="test", credentials=("user", "password"))
    options: dict[str, Any] = {"process_request": guard, "max_connections_per_address": 3}
    async with serve(echo, 0, host="::1", **options) as server:
        url = f"ws://[::1]:{server.port}/"
        headers = {"Authorization": "Basic dXNlcjpwYXNzd29yZA=="}
        found = await check_server(url, headers=headers, patience=20, at_once=3)
        assert [str(finding) for finding in found] == []
        with pytest.raises(ConnectionError, match="401"):
            await check_server(url)
    with pytest.raises(ValueError, match="at_once"):
        await check_server(url, at_once=0)


@pytest.mark.one_loop
@pytest.mark.parametrize(
    ("start", "frame", "told"),
    [
        (b"HTTP/1.1 101 Yes\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
         b"\xc1\x04\xff\xff\xff\xff", "cannot be decompressed"),
        ("HTTP/1.1 ²²² Yes\r\n\r\n".encode("latin-1"), b"", "no HTTP response"),
        (b"HTTP/1.1 400 No\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n", b"", "400"),
    ],
)  # fmt: skip
async def test_a_server_that_talks_nonsense(start: bytes, frame: bytes, told: str) -> None:
    """It is right in the first connection only."""
    connections = 0

    async def accept(reader: Any, writer: Any) -> None:
        nonlocal connections
        connections += 1
        with contextlib.suppress(OSError, EOFError):
            await reader.readuntil(b"\r\n\r\n")
            if connections == 1:
                writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                await reader.read(100)
                writer.write(b"\x81\x0cstill there?")
            else:
                writer.write(start + frame)
            await reader.read(2**16)
        writer.close()

    before = asyncio.all_tasks()
    async with listening(accept) as url:
        found = await check_server(url, patience=0.05)
    assert any(told in finding.got for finding in found)
    assert {task for task in asyncio.all_tasks() - before if "check" in repr(task)} == set()


@pytest.mark.parametrize("scheme", ["ws", "wss"])
async def test_a_server_that_is_silent(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        url = f"{scheme}://127.0.0.1:{sock.getsockname()[1]}/"
        what = "TLS" if scheme == "wss" else "opening"
        with pytest.raises(TimeoutError, match=rf"^no {what} handshake within 0.1 s$"):
            await check_server(url, patience=0.1)


async def test_no_echo() -> None:
    async with serve(WebSocket.wait_closed, 0) as server:
        with pytest.raises(ValueError, match="echo"):
            await check_server(f"ws://localhost:{server.port}/", patience=0.2)


async def test_nobody_there() -> None:
    async with listening(lambda reader, writer: None) as url:
        pass
    with pytest.raises(OSError):
        await check_server(url)


@pytest.mark.parametrize("url", ["http://localhost/", "ws:///", "localhost:80", "ws://a@b/"])
async def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match="ws://host:port/path"):
        await check_server(url)


def test_a_finding_can_be_read() -> None:
    finding = Finding("RFC 6455 5.2", "RSV1 on a text", b"\xc1" * 100, "the end", "101, alive")
    assert str(finding).splitlines() == [
        "RFC 6455 5.2: RSV1 on a text",
        "  sent: '" + r"\xc1" * 64 + "' and 36 more bytes",
        "  expected: the end",
        "  got: 101, alive",
    ]


def test_the_rfcs_ask_for_much() -> None:
    """Each section that is named has rows, and what is named by its title is there."""
    from wsproto_async.testing.conformance import rfc

    sections = [section for row in ROWS if (section := section_of(row)) is not None]
    assert len(sections) > 250
    assert set(sections) == {*rfc._BY_ID, *rfc._BY_TITLE.values()}
    names = {(row.id, row.title) for row in ROWS}
    assert {*rfc._BY_TITLE, *rfc._LEFT_OPEN} <= names
