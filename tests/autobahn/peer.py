"""What the suite examines: an echo server, or a client that echoes until every case is over.

Everything but the limits on a message is the package's default; the suite sends messages of
16 MiB, and one of 4 MiB in 65,536 fragments.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib

import uvloop

from wsproto_async import ConnectionClosed, WebSocket, connect, serve

LIMITS = {"max_size": 2**24, "max_fragments": 2**16}


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def run_server() -> None:
    async with serve(echo, 0, **LIMITS) as server:
        print(server.port, flush=True)
        await server.serve_forever()


async def run_client(uri: str, parallel: int) -> None:
    async with connect(f"{uri}/getCaseCount") as ws:
        count = int(await ws.recv())
    cases = iter(range(1, count + 1))

    async def run_cases() -> None:
        for case in cases:
            async with connect(f"{uri}/runCase?case={case}&agent=wsproto_async", **LIMITS) as ws:
                # Many cases end with an error, which the suite judges.
                with contextlib.suppress(ConnectionClosed):
                    await echo(ws)

    async with asyncio.TaskGroup() as group:
        for _ in range(parallel):
            group.create_task(run_cases())
    async with connect(f"{uri}/updateReports?agent=wsproto_async") as ws:
        await ws.wait_closed()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("loop", choices=["asyncio", "uvloop"])
    parser.add_argument("uri", nargs="?", help="of the suite's server; none to be the server")
    parser.add_argument("--parallel", type=int, default=1, help="how many cases at a time")
    arguments = parser.parse_args()
    run = uvloop.run if arguments.loop == "uvloop" else asyncio.run
    run(run_client(arguments.uri, arguments.parallel) if arguments.uri else run_server())


if __name__ == "__main__":
    main()
