"""A process with one member of a topic, for tests to kill or to stop: URL, TTL, topic, id, name."""

from __future__ import annotations

import asyncio
import sys

from process import Recorder

from wsproto_async.pubsub.redis import RedisBroker, presence


async def main(url: str, ttl: str, topic: str, member_id: str, name: str) -> None:
    presence.PRESENCE_TTL = float(ttl)
    broker = RedisBroker(url)
    await broker.start(Recorder())
    await broker.enter(topic, member_id, name)
    print("entered", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
