"""`ws`, `undici` and `faye-websocket` of npm, and Chromium: driven in one process of Node."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import subprocess
import threading
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from .base import Closed, Handler, Message, Security

DRIVER = Path(__file__).parent.parent / "node" / "peers.mjs"


class Node:
    """The process of node/peers.mjs: see there for what goes over its pipes."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", DRIVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._numbers = itertools.count()
        self._calls: dict[int, Future[Any]] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._process.stdout:
            answer = json.loads(line)
            call = self._calls.pop(answer["id"])
            if "error" in answer:
                call.set_exception(RuntimeError(answer["error"]))
            else:
                call.set_result(answer["result"])

    def call(self, target: int, name: str, *args: Any) -> Future[Any]:
        number = next(self._numbers)
        call = self._calls[number] = Future()
        call.set_running_or_notify_cancel()  # what was asked for cannot be taken back
        request = {"id": number, "target": target, "name": name, "args": args}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return call

    async def ask(self, target: int, name: str, *args: Any) -> Any:
        return await asyncio.wrap_future(self.call(target, name, *args))


@functools.cache
def node() -> Node:
    """Start the process at the first use; it ends when the tests do, and with them its stdin."""
    return Node()


def pack(message: Message) -> str | dict[str, str]:
    """A message as the driver takes and gives it."""
    return message if isinstance(message, str) else {"base64": b64encode(message).decode()}


def unpack(message: str | dict[str, str]) -> Message:
    return message if isinstance(message, str) else b64decode(message["base64"])


def client_options(uri: str, security: Security, **options: Any) -> dict[str, Any]:
    found = {"url": uri, **options}
    if security.certificates:
        found["ca"] = security.certificates.authority
    return found


class NodePeer:
    def __init__(self, number: int, opened: Mapping[str, Any]) -> None:
        self.number = number
        self.subprotocol = opened["protocol"] or None

    async def _ask(self, name: str, *args: Any) -> Any:
        return await node().ask(self.number, name, *args)

    async def send(self, message: Message) -> None:
        await self._ask("send", pack(message))

    async def send_fragments(self, fragments: Sequence[Message]) -> None:
        await self._ask("fragments", [pack(fragment) for fragment in fragments])

    async def recv(self) -> Message:
        received = await self._ask("recv")
        if isinstance(received, dict) and "closed" in received:
            raise Closed(*received["closed"].values())
        return unpack(received)

    async def ping(self, payload: bytes) -> None:
        assert unpack(await self._ask("ping", pack(payload))) == payload

    async def close(self, code: int, reason: str) -> int:
        await self._ask("close", code, reason)
        return (await self._ask("closed"))["code"]

    def abort(self) -> None:
        node().call(self.number, "abort")


@asynccontextmanager
async def connect_node(
    uri: str, security: Security, *, subprotocols: Iterable[str] = (), library: str
) -> AsyncIterator[NodePeer]:
    options = client_options(uri, security, protocols=list(subprotocols))
    number = await node().ask(0, "connect", library, options)
    yield NodePeer(number, await node().ask(number, "opened"))
    if library == "chromium":
        await node().ask(number, "release")


@asynccontextmanager
async def serve_node(
    handler: Handler, security: Security, *, subprotocols: Iterable[str] = ()
) -> AsyncIterator[int]:
    async def run() -> None:
        number = await node().ask(server, "accept")
        await handler(NodePeer(number, await node().ask(number, "opened")))

    options: dict[str, Any] = {"protocols": list(subprotocols)}
    if security.certificates:
        options |= {"key": security.certificates.key, "cert": security.certificates.chain}
    server = await node().ask(0, "listen", options)
    running = asyncio.create_task(run())
    try:
        yield await node().ask(server, "port")
    finally:
        running.cancel()
        await node().ask(server, "release")
