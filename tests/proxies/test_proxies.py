"""nginx, HAProxy and Caddy with the very files and commands of the documentation, ports apart."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from ports import Port
from raw_peer import until

from wsproto_async import ConnectionClosedError, InvalidStatus, Server, WebSocket, connect, serve

pytestmark = [pytest.mark.proxies, pytest.mark.one_loop]

PAGE = Path(__file__).parent.parent.parent / "docs" / "proxies.md"
# Name and text of each file, and what starts the proxy.
BLOCKS = re.findall(
    r"^```(?:nginx|caddyfile|text)\n# (\S+)\n(.*?)^```\n\n```sh\n(?:sudo )?([^\n]+)\n```$",
    PAGE.read_text(),
    re.M | re.S,
)
PROXIES = [pytest.param(*block, id=f"{block[0]} {number}") for number, block in enumerate(BLOCKS)]

CLIENT = "127.0.0.7"  # another loopback address than the proxy's own


async def answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionRefusedError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


@asynccontextmanager
async def proxied(
    name: str, text: str, command: str, folder: Path
) -> AsyncIterator[tuple[str, Server]]:
    """A server behind a proxy; gives the URI of the proxy."""

    async def handler(ws: WebSocket) -> None:
        await ws.send(ws.remote_address[0])
        async for message in ws:
            if message == "close":
                await ws.close(3001, "as you wish")
                return
            await ws.send(message)

    async with serve(
        handler,
        0,
        trusted_proxies=["127.0.0.1"],
        proxy_protocol="send-proxy" in text,
        readiness="/readyz",
        max_size=2**22,
    ) as server:
        reserved = Port()
        port = reserved.number
        text = text.replace("8080", str(port)).replace("8765", str(server.port))
        (folder / name).write_text(text)
        with (folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_shell(
                f"exec {command}", cwd=folder, stdout=log, stderr=log
            )
        try:
            async with asyncio.timeout(20):
                while not await answers(port):
                    assert process.returncode is None, (folder / "log").read_text()
                    await asyncio.sleep(0.02)
            yield f"ws://localhost:{port}/", server
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


@pytest.mark.parametrize(("name", "text", "command"), PROXIES)
async def test_documented_file(name: str, text: str, command: str, tmp_path: Path) -> None:
    async with proxied(name, text, command, tmp_path) as (uri, server):
        origin = uri.replace("ws:", "http:").rstrip("/")
        options = {"local_addr": (CLIENT, 0), "max_size": None, "proxy": None}
        async with connect(uri, origin=origin, **options) as ws:
            assert await ws.recv() == CLIENT
            for message in ("grün", b"\x00", "x" * 2**21):
                await ws.send(message)
                assert await ws.recv() == message
            assert await (await ws.ping()) > 0
            await ws.send("close")
            with pytest.raises(ConnectionClosedError) as caught:
                await ws.recv()
            assert (caught.value.code, caught.value.reason) == (3001, "as you wish")
        with pytest.raises(InvalidStatus) as refused:
            await connect(uri, origin="http://elsewhere.example", **options)
        assert refused.value.response.status == 403
        ws = await connect(uri, **options)
        ws.abort()
        await until(lambda: not server.connections)


def test_all_are_there() -> None:
    names = [name for name, _, _ in BLOCKS]
    assert names == ["nginx.conf", "haproxy.cfg", "haproxy.cfg", "Caddyfile"]
