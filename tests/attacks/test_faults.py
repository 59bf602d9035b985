"""What an application or its surroundings do to a server, and its connections have to survive."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import ssl

import pytest
import trustme
from raw_peer import TEXT, frame, raw_peer, tcp_peer, within

from wsproto_async import WebSocket, broadcast, connect, serve
from wsproto_async.testing.conformance.wire import Wire

WIRE = Wire(host="localhost")


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def test_what_a_request_asks_for_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """H50: targets and headers carry tokens; whether the request is accepted or refused."""
    caplog.set_level(logging.DEBUG)
    secret = "s3cr3t"
    lines = [f"Authorization: Bearer {secret}", f"Cookie: token={secret}"]
    async with serve(echo, 0) as server:
        for more in ([], ["Sec-WebSocket-Protocol: a b"], [f"X: {secret}\0"]):
            async with tcp_peer(server.port) as peer:
                await peer.send(WIRE.request(f"GET /?token={secret} HTTP/1.1", *lines, *more))
                await peer.read_head()
    assert secret not in caplog.text


class Raising(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise RuntimeError("no log")


@pytest.mark.logs_errors
async def test_a_logger_that_raises() -> None:
    """N21: who is refused or closed gets the answer, and others notice nothing."""

    async def handler(ws: WebSocket) -> None:
        async for message in ws:
            if message == "raise":
                raise RuntimeError("as told")
            await ws.send(message)

    logger = logging.Logger("raising", logging.DEBUG)
    async with serve(handler, 0, close_timeout=0.2, logger=logger) as server:
        logger.addHandler(Raising())
        async with raw_peer(server.port) as good:
            for data in (b"nonsense\r\n\r\n", WIRE.request("", "Origin: http://evil.example")):
                async with tcp_peer(server.port) as bad:
                    await bad.send(data)
                    assert (await bad.read_head()).startswith(b"HTTP/1.1 4")
                    await within(0.2, bad.read_eof())
            for data in (b"\xc1", frame(TEXT, b"raise")):
                async with raw_peer(server.port) as bad:
                    await bad.send(data)
                    await bad.read_close()
                    assert await within(0.2, bad.read_eof()) == b""
            await good.send(frame(TEXT, b"still there?"))
            assert (await good.read_message()).payload == b"still there?"
        logger.handlers.clear()


async def test_a_call_from_another_thread() -> None:
    """N29: it raises, and harms nothing."""
    opened: asyncio.Future[WebSocket] = asyncio.get_running_loop().create_future()

    async def handler(ws: WebSocket) -> None:
        opened.set_result(ws)
        await echo(ws)

    def call(ws: WebSocket) -> None:
        for coroutine in (ws.send("from elsewhere"), ws.recv(), ws.ping(), ws.close()):
            with pytest.raises(RuntimeError, match="another thread"):
                asyncio.run(coroutine)
        with pytest.raises(RuntimeError, match="another thread"):
            ws.abort()
        with pytest.raises(RuntimeError, match="another thread"):
            broadcast([ws], "from elsewhere")

    async with serve(handler, 0) as server, raw_peer(server.port) as peer:
        await asyncio.to_thread(call, await opened)
        await peer.send(frame(TEXT, b"hello"))
        assert await peer.read_message() == (TEXT, b"hello", True)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the program openssl")
@pytest.mark.parametrize("command", ["R", "K"], ids=["renegotiation", "key update"])
async def test_new_keys_over_and_over(command: str) -> None:
    """N13: renegotiation (TLS 1.2) is refused, new keys (TLS 1.3) are taken, others go on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority = trustme.CA()
    authority.issue_cert("127.0.0.1").configure_cert(context)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(client)
    version = "-tls1_2" if command == "R" else "-tls1_3"
    async with (
        serve(echo, 0, ssl=context, close_timeout=0.2, open_timeout=1) as server,
        connect(f"wss://127.0.0.1:{server.port}", ssl=client) as ws,
    ):
        program = await asyncio.create_subprocess_exec(
            *("openssl", "s_client", version, "-connect", f"127.0.0.1:{server.port}"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert program.stdin is not None
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                if program.stdin.is_closing():
                    break  # it has been refused, and has ended
                program.stdin.write(f"{command}\n".encode())
                await program.stdin.drain()
                await ws.send("still there?")
                assert await ws.recv() == "still there?"
        program.stdin.close()
        async with asyncio.timeout(20):
            await program.wait()
