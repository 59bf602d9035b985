"""A server for test_thousand_clients.py in a process of its own: `echo_server.py asyncio|uvloop`.

It prints its port, and for each line on its standard input, what it holds; the last line comes
after it has closed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys

import uvloop
from raw_peer import open_sockets

from wsproto_async import Server, WebSocket, serve


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


def holdings(server: Server) -> dict[str, int]:
    gc.collect()
    now = asyncio.get_running_loop().time()
    kinds = (asyncio.TimerHandle, uvloop.loop.TimerHandle)
    return {
        "tasks": len(asyncio.all_tasks()) - 1,
        "connections": len(server.connections),
        "websockets": sum(isinstance(thing, WebSocket) for thing in gc.get_objects()),
        "sockets": open_sockets(),
        "timers": sum(
            isinstance(thing, kinds) and not thing.cancelled() and thing.when() > now
            for thing in gc.get_objects()
        ),
    }


async def main() -> None:
    loop = asyncio.get_running_loop()
    before = open_sockets()
    server = await serve(echo, 0, ping_interval=600)
    print(server.port, flush=True)
    while await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(holdings(server)), flush=True)
    server.close()
    await server.wait_closed()
    report = holdings(server)
    report["sockets"] -= before
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 20_000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    {"asyncio": asyncio, "uvloop": uvloop}[sys.argv[1]].run(main())
