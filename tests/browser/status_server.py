"""A server with a status, and with ``--busy`` clients of its own, for the tests of that page."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
from contextlib import suppress

from wsproto_async import Server, Topic, WebSocket, WebSocketError, connect, serve
from wsproto_async.status import Status

TOKEN = "token-for-the-tests"


async def handler(ws: WebSocket) -> None:
    room = ws.path.strip("/")
    if room:
        await ws.subscribe(room)
    async for message in ws:
        await ws.send(message)


async def be_a_client(server: Server, uri: str) -> None:
    while server.is_serving():
        with suppress(OSError, WebSocketError):  # the server has stopped
            async with connect(uri, max_size=None) as ws:
                for _ in range(random.randrange(1, 40)):
                    await ws.send("x" * random.randrange(1, 4000))
                    await ws.recv()
                    await asyncio.sleep(random.random() / 4)
                await ws.close(random.choice([1000, 1000, 1000, 1001, 4000]))


async def take_nothing(uri: str) -> None:
    """Subscribe, and let what is published wait."""
    async with connect(uri, max_size=None) as ws:
        await ws.wait_closed()


async def publish(server: Server) -> None:
    while True:
        for topic in list(server.topics):
            server.publish(topic, os.urandom(1_000_000 if topic == "slow" else 100))
        await asyncio.sleep(0.5)


async def main(port: int, is_busy: bool, broker: str | None) -> None:
    serving = serve(
        handler,
        port,
        ping_interval=0.1,
        max_connections=None,
        write_limit=2**20,
        send_timeout=None,
        broker=broker,
        topics=[Topic("slow", slow="drop-oldest", max_bytes=2**22)],
        status=Status(token=TOKEN, metrics="/metrics"),
    )
    async with serving as server, asyncio.TaskGroup() as tasks:
        uri = f"ws://127.0.0.1:{server.port}/"
        clients = []
        if is_busy:
            rooms = ["", "news", "prices/oak", "prices/elm", "a-room-with-quite-a-long-name"]
            clients = [
                tasks.create_task(be_a_client(server, uri + rooms[number % number_of]))
                for number_of in (1, 2, 3, 5)
                for number in range(30)
            ]
            clients += [tasks.create_task(take_nothing(uri + "slow")) for _ in range(3)]
            clients.append(tasks.create_task(publish(server)))
        await server.serve_forever()
        for client in clients:
            client.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--broker")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.port, arguments.busy, arguments.broker))
