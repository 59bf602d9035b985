"""A server as a whole program, for test_signals.py: `program.py run|asyncio|uvloop`.

It prints its port, and "ready" for each connection; whatever else it prints is a failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys

import uvloop

from wsproto_async import WebSocket, run, serve


async def handler(ws: WebSocket) -> None:
    print("ready", flush=True)
    async for message in ws:
        await ws.send(message)


async def main(sock: socket.socket) -> None:
    """What an application does that wants to stop by itself on SIGTERM; SIGINT cancels."""
    async with serve(handler, 0, sock=sock) as server:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, server.close)
        await server.wait_closed()


if __name__ == "__main__":
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    print(sock.getsockname()[1], flush=True)
    if sys.argv[1] == "run":
        run(handler, 0, sock=sock)
    else:
        with contextlib.suppress(KeyboardInterrupt):
            {"asyncio": asyncio, "uvloop": uvloop}[sys.argv[1]].run(main(sock))
    print("stopped", flush=True)
