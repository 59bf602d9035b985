"""Measure a broker: messages per second, and what they cost the two processes.

Run: python benchmarks/brokers.py redis://localhost   (--topics 100 --history 100 --loop asyncio)

One process publishes messages of 256 bytes, 64 in a turn of its loop and without waiting for those
of the four turns before, another receives all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from collections import deque
from typing import NamedTuple

import uvloop

from wsproto_async.pubsub import Position, Publication, Retention
from wsproto_async.pubsub.uri import open_broker

PAYLOAD = b"x" * 256
IN_A_TURN = 64
AHEAD = 5  # turns
AGE = 300.0  # seconds


class Options(NamedTuple):
    url: str
    messages: int
    topics: int
    history: int
    loop: str
    receive: bool

    def names(self) -> list[str]:
        return [f"benchmark {number}" for number in range(self.topics)]


class Clock:
    """Measures from when it is made."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._cpu = time.process_time()

    def read(self, messages: int) -> str:
        wall = time.monotonic() - self._wall
        cpu = time.process_time() - self._cpu
        return f"{messages / wall:9,.0f} messages/s, {cpu / messages * 1e6:5.2f} µs of CPU each"


class Counter:
    """A receiver that counts; ``done`` has what it took from the first message to the last."""

    def __init__(self, messages: int) -> None:
        self.done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._messages = messages
        self._received = 0

    def publication_received(self, publication: Publication) -> None:
        if not self._received:
            self._clock = Clock()
        self._received += 1
        if self._received == self._messages:
            self.done.set_result(self._clock.read(self._messages))

    def publication_refused(self, why: str) -> None:
        raise RuntimeError(why)

    def connection_lost(self, why: str) -> None:
        self.done.set_exception(RuntimeError(why))

    def connection_made(self) -> None:
        pass


async def receive(options: Options) -> None:
    broker = open_broker(options.url)
    counter = Counter(options.messages)
    await broker.start(counter)
    await asyncio.gather(*map(broker.subscribe, options.names()))
    print("subscribed", flush=True)
    print(await counter.done, flush=True)
    await broker.close()


async def publish(options: Options) -> str:
    broker = open_broker(options.url)
    await broker.start(Counter(options.messages))
    names = options.names()
    retention = Retention(options.history, AGE) if options.history else None
    clock = Clock()
    turns: deque[asyncio.Future[Position | None]] = deque()
    for begin in range(0, options.messages, IN_A_TURN):
        for number in range(begin, min(begin + IN_A_TURN, options.messages)):
            publication = Publication(names[number % len(names)], PAYLOAD, False)
            published = broker.publish(publication, retention, "")
        await asyncio.sleep(0)
        turns.append(published)
        if len(turns) == AHEAD:
            await turns.popleft()
    await published
    took = clock.read(options.messages)
    await broker.close()
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--topics", type=int, default=1)
    parser.add_argument("--history", type=int, default=0, help="messages that are kept of a topic")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    parser.add_argument("--receive", action="store_true", help=argparse.SUPPRESS)
    options = Options(**vars(parser.parse_args()))
    run = uvloop.run if options.loop == "uvloop" else asyncio.run
    if options.receive:
        run(receive(options))
        return
    receiver = subprocess.Popen(
        [sys.executable, __file__, "--receive", *sys.argv[1:]], stdout=subprocess.PIPE, text=True
    )
    with receiver:
        assert receiver.stdout is not None
        receiver.stdout.readline()
        print("published", run(publish(options)))
        print("received ", receiver.stdout.readline().strip())


if __name__ == "__main__":
    main()
