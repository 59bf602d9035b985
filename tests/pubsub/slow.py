"""A process that stands still until it is told to go on, and then reads what it has missed."""

from __future__ import annotations

import asyncio
import sys

from process import Process, Recorder

from wsproto_async.pubsub import Position, Retention
from wsproto_async.pubsub.hub import HubBroker


async def main(path: str) -> None:
    process = Process(HubBroker(path), Recorder())
    await process.broker.start(process.recorder)
    await process.broker.subscribe("news")
    kept = Retention(100, 300.0)
    before = (await process.broker.read("news", None, kept)).position
    print("standing still", flush=True)
    sys.stdin.readline()
    await process.told("lost", "made")
    position = (await process.broker.read("news", None, kept)).position
    missed = await process.broker.read("news", Position(position.epoch, before.offset), kept)
    print(*process.recorder.events, len(missed.publications), flush=True)
    await process.broker.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
