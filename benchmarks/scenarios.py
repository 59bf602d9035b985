"""What is measured, and what the figures are held against."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["SCENARIOS", "Bar", "Scenario"]


class Bar(NamedTuple):
    """Ours must be at most (for a cost) or at least (for a rate) ``factor`` times ``peer``'s."""

    factor: float
    peer: str


class Scenario(NamedTuple):
    """One row of work: arguments of the load client, the servers, and the figure that counts."""

    title: str
    load: str
    figure: str  # "cpu_us", "per_second" or "memory_per_connection"
    servers: tuple[str, ...]
    bars: tuple[Bar, ...] = ()
    deflate: bool = False
    loop: str = "uvloop"
    scale: float = 1
    ours: str = "wsproto_async"

    @property
    def less_is_better(self) -> bool:
        return self.figure != "per_second"


OURS = "wsproto_async"
PLUGIN = "uvicorn wsproto_async"
PURE = "wsproto_async (pure)"
PYTHON = (OURS, "picows", "picows.websockets", "websockets", "aiohttp", "uvicorn")
ALL = ("raw", "ws", *PYTHON, PURE)
ASGI = (PLUGIN, "uvicorn", "uvicorn wsproto", "uvicorn websockets")
WHOLE = (OURS, "picows.websockets", "websockets", "aiohttp", "ws")

SCENARIOS = {
    "echo": Scenario(
        "100 connections, 256 bytes, 1 in flight",
        "--connections 100",
        "cpu_us",
        ALL,
        (Bar(0.85, "picows.websockets"), Bar(1.05, "picows"), Bar(0.5, "websockets")),
    ),
    "echo-text": Scenario(
        "the same, text",
        "--connections 100 --text",
        "cpu_us",
        PYTHON,
        (Bar(0.85, "picows.websockets"), Bar(1.05, "picows"), Bar(0.5, "websockets")),
    ),
    "echo-32": Scenario(
        "100 connections, 256 bytes, 32 in flight",
        "--connections 100 --depth 32",
        "per_second",
        ALL,
        (Bar(6, "picows"), Bar(15, "websockets"), Bar(0.25, "raw")),
    ),
    "echo-1000": Scenario(
        "1,000 connections, 256 bytes, 1 in flight",
        "--connections 1000",
        "cpu_us",
        (OURS, "picows", "picows.websockets", "websockets"),
        (Bar(0.85, "picows.websockets"),),
    ),
    "echo-10000": Scenario(
        "10,000 connections, 256 bytes, 1 in flight",
        "--connections 10000 --warmup 2",
        "cpu_us",
        ("raw", OURS, "picows", "websockets"),
    ),
    "echo-64k": Scenario(
        "10 connections, 64 KiB, 1 in flight",
        "--connections 10 --size 65536",
        "per_second",
        ("raw", OURS, "picows", "picows.websockets", "websockets"),
        (Bar(0.9, "raw"),),
    ),
    "fanout": Scenario(
        "one message of 256 bytes to 1,000 connections",
        "--mode fanout --connections 1000",
        "per_second",
        (OURS, "picows", "picows.websockets", "websockets", "aiohttp", "ws"),
        (Bar(1, "picows"), Bar(1.7, "websockets")),
    ),
    "topic": Scenario(
        "one message of 256 bytes published to 1,000 subscribers",
        "--mode fanout --path topic --connections 1000",
        "per_second",
        (OURS, "websockets"),
        (Bar(1.7, "websockets"),),
    ),
    "topic-10000": Scenario(
        "the same, to 10,000 subscribers",
        "--mode fanout --path topic --connections 10000 --warmup 2",
        "cpu_us",
        (OURS,),
    ),
    "topic-32": Scenario(
        "32 messages published in one turn to 1,000 subscribers",
        "--mode fanout --path topic --connections 1000 --depth 32",
        "per_second",
        (OURS, "websockets"),
    ),
    "deflate": Scenario(
        "100 connections, 4 KiB of JSON, permessage-deflate",
        "--connections 100 --size 4096 --deflate",
        "per_second",
        # picows.websockets keeps its context though the client asks it not to.
        (OURS, "websockets", "aiohttp", "ws"),
        (Bar(1.5, "websockets"),),
        deflate=True,
    ),
    "idle": Scenario(
        "5,000 idle connections, deflate agreed on",
        "--mode idle --connections 5000 --deflate --seconds 0.5 --warmup 1",
        "memory_per_connection",
        WHOLE,
        deflate=True,
    ),
    "handshake": Scenario(
        "handshake and close",
        "--mode handshake --connections 50",
        "per_second",
        PYTHON,
        (Bar(2.5, "websockets"),),
    ),
    "fragments-64": Scenario(
        "messages of 4 MiB in fragments of 64 bytes",
        "--size 4194304 --fragment 64",
        "cpu_us",
        (OURS,),  # others close the connection, or take minutes
    ),
    "fragments-4k": Scenario(
        "messages of 4 MiB in fragments of 4 KiB",
        "--size 4194304 --fragment 4096",
        "cpu_us",
        (OURS,),
    ),
    "asyncio": Scenario(
        "100 connections, 256 bytes, 1 in flight, asyncio's own loop",
        "--connections 100",
        "cpu_us",
        (OURS, "picows.websockets", "websockets"),
        (Bar(0.5, "websockets"),),
        loop="asyncio",
    ),
    "asyncio-32": Scenario(
        "100 connections, 256 bytes, 32 in flight, asyncio's own loop",
        "--connections 100 --depth 32",
        "per_second",
        (OURS, "picows.websockets", "websockets"),
        (Bar(2, "websockets"),),
        loop="asyncio",
    ),
    "asgi": Scenario(
        "under uvicorn: 100 connections, 256 bytes, 1 in flight",
        "--connections 100",
        "per_second",
        ASGI,
        (Bar(1.5, "uvicorn"),),
        ours=PLUGIN,
    ),
    "asgi-32": Scenario(
        "under uvicorn: 100 connections, 256 bytes, 32 in flight",
        "--connections 100 --depth 32",
        "per_second",
        ASGI,
        (Bar(4, "uvicorn"),),
        ours=PLUGIN,
    ),
}
