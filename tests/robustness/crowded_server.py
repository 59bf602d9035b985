"""A server with few file descriptors: `crowded_server.py asyncio|uvloop [certificate]`.

It prints its port. What it logs goes to its standard error. For a line on its standard input it
prints the CPU seconds that it has used.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import ssl
import sys
import time

import uvloop

from wsproto_async import WebSocket, serve

ROOM = 8  # connections


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def main(certificate: str | None) -> None:
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, str)  # its thread is there
    async with serve(echo, 0, ssl=context, ping_interval=None, close_timeout=0.2) as server:
        await asyncio.sleep(0)
        lowest = os.dup(0)
        os.close(lowest)
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + ROOM, hard))
        print(server.port, flush=True)
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(time.process_time(), flush=True)


if __name__ == "__main__":
    logging.basicConfig(format="%(levelname)s %(name)s %(message)s", level=logging.INFO)
    runner = {"asyncio": asyncio, "uvloop": uvloop}[sys.argv[1]]
    runner.run(main(sys.argv[2] if len(sys.argv) > 2 else None))
