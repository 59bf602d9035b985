"""Examinations, and servers that say what a test tells them to."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from wsproto_async.handshake.server import accept_token


class Diagnosis(NamedTuple):
    """The exit status, and the steps of the report."""

    status: int
    steps: list[dict[str, Any]]

    @property
    def last(self) -> dict[str, Any]:
        return self.steps[-1]

    @property
    def side(self) -> str:
        return self.last["problem"]["side"]

    def names(self, state: str = "ok") -> list[str]:
        return [step["step"] for step in self.steps if step["state"] == state]


@pytest.fixture
def doctor(run: Callable) -> Callable[..., Diagnosis]:
    """Examine, for ``--json``, directly."""

    def doctor(url: str, *arguments: str) -> Diagnosis:
        if not any(each.startswith("--proxy") for each in arguments):
            arguments += ("--no-proxy",)
        status, out, err = run("doctor", url, "--json", *arguments)
        assert err == ""
        assert out.isascii() and out.count("\n") == 1
        report = json.loads(out)
        assert (report["url"], report["status"]) == (url, status)
        assert report["healthy"] is (status == 0)
        assert bool(status) is any(step["state"] == "failed" for step in report["steps"])
        for step in report["steps"]:
            texts = [step["text"], *step.get("problem", {}).values()]
            assert all(map(str.isprintable, texts)), texts
            assert ("problem" in step) is (step["state"] != "ok")
        return Diagnosis(status, report["steps"])

    return doctor


class Peer:
    """One connection, as a raw server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def read_request(self) -> str:
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def accept(self, **headers: str | None) -> None:
        """Answer 101, with other values for headers, None for none."""
        request = await self.read_request()
        key = re.search(r"Sec-WebSocket-Key: (.*)\r\n", request)[1]
        answer = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Accept": accept_token(key),
        }
        answer |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{name}: {value}\r\n" for name, value in answer.items() if value is not None]
        self.writer.write(f"HTTP/1.1 101 Sure\r\n{''.join(lines)}\r\n".encode())

    async def read_frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of a short frame."""
        first, second = await self.reader.readexactly(2)
        mask = await self.reader.readexactly(4)
        payload = await self.reader.readexactly(second & 0x7F)
        return first & 15, bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))

    def send_frame(self, opcode: int, payload: bytes = b"") -> None:
        self.writer.write(bytes([0x80 | opcode, len(payload)]) + payload)

    async def answer_pings(self, count: int = 3) -> None:
        for _ in range(count):
            opcode, payload = await self.read_frame()
            assert opcode == 9
            self.send_frame(10, payload)


@pytest.fixture
def talking(raw_server: Callable) -> Callable[..., str]:
    """Start a raw server; gives its URL."""

    def talking(talk: Callable[[Peer], Any], **options: Any) -> str:
        port = raw_server(lambda reader, writer: talk(Peer(reader, writer)), **options)
        scheme = "wss" if options.get("tls") else "ws"
        return f"{scheme}://127.0.0.1:{port}/"

    return talking


@pytest.fixture
def answering(talking: Callable) -> Callable[[bytes], str]:
    """Start a server that answers each request with the same bytes."""

    def answering(answer: bytes) -> str:
        async def talk(peer: Peer) -> None:
            await peer.read_request()
            peer.writer.write(answer)

        return talking(talk)

    return answering
