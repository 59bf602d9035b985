"""A process with one member of a topic, for tests to kill."""

from __future__ import annotations

import asyncio
import sys

from process import Recorder

from wsproto_async.pubsub.hub import HubBroker


async def main(path: str) -> None:
    broker = HubBroker(path)
    await broker.start(Recorder())
    await broker.enter("room", "1", "Ann")
    print("entered", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
