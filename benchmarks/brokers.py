"""Measure a broker: messages per second, and what they cost it and the two processes.

Run: python benchmarks/brokers.py redis://localhost   (--topics 100 --history 100 --loop asyncio)
     python benchmarks/brokers.py hub --rate 50000

One process publishes messages of 256 bytes, 64 in a turn of its loop and without waiting for those
of the four turns before, another receives all of them. With a rate it publishes so many in a
second, some in each millisecond, and the other tells how long they were on their way.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import quantiles
from struct import Struct
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import urlsplit

import uvloop

from wsproto_async.pubsub import Broker, Position, Publication, Retention
from wsproto_async.pubsub.hub import HubBroker, HubServer
from wsproto_async.pubsub.uri import open_broker

PAYLOAD = b"x" * 256
IN_A_TURN = 64
AHEAD = 5  # turns
TICK = 0.001  # seconds from one turn to the next, with a rate
STAMP = Struct("d")  # when a message was published
AGE = 300.0  # seconds


class Options(NamedTuple):
    url: str
    messages: int
    topics: int
    history: int
    rate: int
    loop: str
    part: str

    def names(self) -> list[str]:
        return [f"benchmark {number}" for number in range(self.topics)]

    def retention(self) -> Retention | None:
        return Retention(self.history, AGE) if self.history else None

    def broker(self) -> Broker:
        scheme, _, path = self.url.partition(":")
        return HubBroker(path) if scheme == "hub" else open_broker(self.url)


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

    def subscription_restored(self, topic: str) -> None:
        pass

    def members_restored(self) -> None:
        pass

    def connection_lost(self, why: str) -> None:
        self.done.set_exception(RuntimeError(why))

    def connection_made(self) -> None:
        pass


class Stopwatch(Counter):
    """And how long they took, by the clock that both processes have."""

    def __init__(self, messages: int) -> None:
        super().__init__(messages)
        self._times: list[float] = []

    def publication_received(self, publication: Publication) -> None:
        self._times.append(time.monotonic() - STAMP.unpack_from(publication.payload)[0])
        super().publication_received(publication)

    def read(self) -> str:
        percent = quantiles(self._times, n=100)
        return f"p50 {percent[49] * 1e3:.2f} ms, p99 {percent[98] * 1e3:.2f} ms"


async def receive(options: Options) -> None:
    broker = options.broker()
    counter = (Stopwatch if options.rate else Counter)(options.messages)
    await broker.start(counter)
    await asyncio.gather(*map(broker.subscribe, options.names()))
    print("subscribed", flush=True)
    took = await counter.done
    print(f"{took}, {counter.read()}" if isinstance(counter, Stopwatch) else took, flush=True)
    await broker.close()


async def publish(options: Options) -> str:
    broker = options.broker()
    await broker.start(Counter(options.messages))
    names = options.names()
    retention = options.retention()
    if options.rate:
        return await publish_at_a_rate(options, broker)
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


async def publish_at_a_rate(options: Options, broker: Broker) -> str:
    clock = Clock()
    names = options.names()
    began = time.monotonic()
    published = 0
    under_way: deque[asyncio.Future[Position | None]] = deque()
    while published < options.messages:
        due = min(int((time.monotonic() - began) * options.rate), options.messages)
        for number in range(published, due):
            payload = STAMP.pack(time.monotonic()) + PAYLOAD[STAMP.size :]
            publication = Publication(names[number % len(names)], payload, False)
            under_way.append(broker.publish(publication, options.retention(), ""))
        published = due
        await asyncio.sleep(TICK)
        while under_way and under_way[0].done():
            under_way.popleft().result()
    await asyncio.gather(*under_way)
    took = clock.read(options.messages)
    await broker.close()
    return took


@contextmanager
def hub() -> Iterator[tuple[str, int]]:
    """Start a hub; gives its URL and process id."""
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as sock:
        path = f"{folder}/hub"
        sock.bind(path)
        sock.listen()
        number = str(sock.fileno())
        command = [sys.executable, "-P", __file__, number, "--part", "hub"]
        with subprocess.Popen(command, pass_fds=[sock.fileno()]) as process:
            yield f"hub:{path}", process.pid
            process.kill()


async def serve_hub(number: int) -> None:
    with socket.socket(fileno=number) as sock:
        await HubServer(sock).serve()


def cpu_of_process(pid: int) -> float:
    """Seconds of CPU that a process has taken, to 10 ms; Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def cpu_of_redis(url: str) -> float:
    """Seconds of CPU that a Redis server has taken."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port or 6379)) as sock:
        sock.sendall(b"INFO cpu\r\n")
        lines = sock.recv(65536).decode().splitlines()
    fields = dict(line.split(":") for line in lines if ":" in line)
    return float(fields["used_cpu_user"]) + float(fields["used_cpu_sys"])


def measure(options: Options, cpu: Callable[[], float]) -> None:
    command = [sys.executable, "-P", __file__, options.url, "--part", "receive"]
    for name in ("messages", "topics", "history", "rate", "loop"):
        command += [f"--{name}", str(getattr(options, name))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as receiver:
        assert receiver.stdout is not None
        receiver.stdout.readline()
        before = cpu()
        try:
            print("published", runner(options)(publish(options)))
        except BaseException:
            receiver.kill()  # it would wait for what does not come
            raise
        print("received ", receiver.stdout.readline().strip())
        print(f"the broker took {(cpu() - before) / options.messages * 1e6:.2f} µs for each")


def runner(options: Options) -> Callable[..., str]:
    return uvloop.run if options.loop == "uvloop" else asyncio.run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("url", help="redis://HOST:PORT, or hub for one that is started")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--topics", type=int, default=1)
    parser.add_argument("--history", type=int, default=0, help="messages that are kept of a topic")
    parser.add_argument("--rate", type=int, default=0, help="messages in a second; by default all")
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    parser.add_argument("--part", default="", help=argparse.SUPPRESS)
    options = Options(**vars(parser.parse_args()))
    if options.part == "hub":
        asyncio.run(serve_hub(int(options.url)))
    elif options.part == "receive":
        runner(options)(receive(options))
    elif options.url == "hub":
        with hub() as (url, pid):
            measure(options._replace(url=url), lambda: cpu_of_process(pid))
    else:
        measure(options, lambda: cpu_of_redis(options.url))


if __name__ == "__main__":
    main()
