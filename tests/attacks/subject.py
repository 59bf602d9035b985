"""The servers that the rows are run against, in a process of its own if need be.

``subject.py asyncio|uvloop LIMITS`` prints its port. For "begin" on its standard input it begins
to measure, for "report" it prints what it has held since.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import resource
import socket
import ssl
import sys
import tracemalloc
from collections.abc import Iterable, Sequence
from typing import Any

import uvloop

import wsproto_async
from wsproto_async import Request, Response, WebSocket, serve

CREDENTIALS = ("user", "password")


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def push(ws: WebSocket) -> None:
    while True:
        await ws.send(bytes(10_000))


async def raise_as_told(ws: WebSocket) -> None:
    match await ws.recv():
        case "raise":
            raise RuntimeError("as told")
        case "memory":
            raise MemoryError
        case "cancel":
            raise asyncio.CancelledError


def raise_for_a_path(ws: WebSocket, request: Request) -> Response | None:
    if request.path == "/raise":
        raise RuntimeError("as told")
    return None


def health(ws: WebSocket, request: Request) -> Response | None:
    return Response(200, body="fine\n") if request.path == "/health" else None


async def never_decide(ws: WebSocket, request: Request) -> Response | None:
    await asyncio.get_running_loop().create_future()
    return None


def pick_what_was_not_offered(ws: WebSocket, offered: Sequence[str]) -> str:
    return "other"


def _basic_auth() -> Any:
    return wsproto_async.basic_auth(realm="rows", credentials=CREDENTIALS)


def options(needs: Iterable[str], tls: ssl.SSLContext | None = None) -> dict[str, Any]:
    """What to call serve with, so that the server has what a row needs."""
    found: dict[str, Any] = {"handler": echo, "port": 0, "close_timeout": 0.2, "open_timeout": 5.0}
    for need in needs:
        match need:
            case "tls":
                found["ssl"] = tls
            case "max_size":
                found["max_size"] = 1000
            case "max_fragments":
                found["max_fragments"] = 8
            case "open_timeout" | "frame_timeout" | "send_timeout":
                found[need] = 0.3
            case "ping_timeout":
                found["ping_interval"] = found["ping_timeout"] = 0.2
            case "pushing":
                found["handler"] = push
            case "raising":
                found["handler"], found["process_request"] = raise_as_told, raise_for_a_path
            case "health":
                found["process_request"] = health
            case "undecided":
                found["process_request"] = never_decide
            case "wrong_subprotocol":
                found["select_subprotocol"] = pick_what_was_not_offered
            case "basic_auth":
                found["process_request"] = _basic_auth()
            case "allowed_hosts":
                found["allowed_hosts"] = ["localhost"]
            case "proxy_protocol":
                found["trusted_proxies"], found["proxy_protocol"] = ["127.0.0.0/8"], True
            case "max_connections" | "max_connections_per_address":
                found[need] = 1
            case "max_handshakes":
                found[need] = 5
    return found


class _Errors(logging.Handler):
    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


async def main(limits: dict[str, Any]) -> None:
    errors = _Errors(logging.ERROR)
    logging.getLogger().addHandler(errors)
    loop = asyncio.get_running_loop()
    if "files" in limits:
        count = limits.pop("files")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))
    # What a peer does not read is to stay here, not in the kernel.
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    sock.bind(("127.0.0.1", 0))
    server = await serve(push if limits.pop("pushes", False) else echo, sock=sock, **limits)
    print(server.port, flush=True)
    objects = 0
    while command := await loop.run_in_executor(None, sys.stdin.readline):
        if command == "begin\n":
            gc.collect()
            objects = len(gc.get_objects())
            tracemalloc.start()
            report: dict[str, int] = {}
        else:
            peak = tracemalloc.get_traced_memory()[1]
            gc.collect()
            kept = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            grown = len(gc.get_objects()) - objects
            report = {"peak": peak, "kept": kept, "objects": grown, "errors": errors.count}
        print(json.dumps(report), flush=True)


if __name__ == "__main__":
    loops = {"asyncio": asyncio, "uvloop": uvloop}
    loops[sys.argv[1]].run(main(json.loads(sys.argv[2])))
