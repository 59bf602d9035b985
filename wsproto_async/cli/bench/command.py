"""``wsproto-async bench``: its options, and the course of a run."""

from __future__ import annotations

import argparse
import asyncio
from functools import partial
from time import perf_counter
from typing import Any, Final

from ...aio.client import connect
from ...aio.signals import on_stop_signal
from ...handshake.uri import parse_uri
from ...workers.process import loop_factory
from .. import target
from ..exits import CLIENT_STATUSES, EXIT_FAILED, fail
from ..failure import CONNECT_ERRORS, explain
from ..numbers import number, seconds
from ..output import write_line
from ..text import json_line, quantity
from .descriptors import make_room
from .load import Load, Plan
from .plot import prepare, write_picture
from .progress import Show, showing
from .report import as_object, as_text, summary
from .run import GRACE, Run
from .signals import Interruption

__all__ = ["add_to"]

_DESCRIPTION: Final = """\
Send messages to an echo server, one that returns each message to whom it came from, and measure how
many come back and how soon. Without --rate in a closed loop: each connection keeps --in-flight
messages on their way and sends the next one when one comes back. With --rate in an open loop:
messages are due at equal distances, whatever the server does, and latency counts from the time
when they are due.

It is one process on one core: where that is the limit, run several. Messages are random, so
compression, which both sides begin at 1 KiB, has work and no effect; see --no-compression."""

_EXAMPLES: Final = f"""\
examples:
  wsproto-async bench ws://localhost:8765/
  wsproto-async bench ws://localhost:8765/ --connections 1000 --size 1024 --duration 30
  wsproto-async bench ws://localhost:8765/ --rate 5000 --png latencies.png
  wsproto-async bench ws://localhost:8765/ --json | jq .latency.percentiles

exit status:
  0    all messages that were sent came back
  1    there were errors, or messages that did not come back
{CLIENT_STATUSES}
At the end messages that are on their way have {GRACE:g} seconds to come back. Ctrl-C, or SIGTERM,
ends the run before its time, with a report about what there is. A second one ends that wait.
"""

_OPEN_LOOP: Final = 1000  # messages in flight that an open loop may have on each connection
_MOST: Final = 1_000_000  # connections, and messages in flight on each
_LARGEST: Final = 100_000_000  # bytes
_REFRESH: Final = 0.25  # seconds


def add_to(commands: Any) -> None:
    """Add the command to those of a parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "bench",
        help="measure an echo server",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command=_bench)
    target.add_to(parser)
    group = parser.add_argument_group("load")
    add = group.add_argument
    add("--connections", type=number(int, 1, _MOST), default=10, metavar="N", help="default 10")
    add(
        "--size",
        type=number(int, 0, _LARGEST),
        default=64,
        metavar="N",
        help="bytes in a message, default 64",
    )
    add("--text", action="store_true", help="text messages in place of binary ones")
    add(
        "--in-flight",
        type=number(int, 1, _MOST),
        metavar="N",
        help=f"most messages on their way on each connection, default 1, {_OPEN_LOOP} with --rate",
    )
    add(
        "--rate",
        type=number(float, 0.001, 1e9),
        metavar="N",
        help="messages a second, on all connections together",
    )
    add("--duration", type=seconds(0.001), default=10.0, metavar="S", help="default 10")
    group = parser.add_argument_group("report")
    group.add_argument("--json", action="store_true", help="as one JSON object, times in seconds")
    group.add_argument("--png", metavar="FILE", help="a picture as well; needs matplotlib")


def _bench(arguments: argparse.Namespace) -> int:
    figures = prepare(arguments.png) if arguments.png is not None else None
    in_flight = arguments.in_flight or (1 if arguments.rate is None else _OPEN_LOOP)
    plan = Plan(
        connections=arguments.connections,
        size=arguments.size,
        text=arguments.text,
        in_flight=in_flight,
        rate=arguments.rate,
        duration=arguments.duration,
    )
    options = target.connect_options(arguments)
    # Random bytes are more when they are compressed.
    options |= {"max_size": max(2 * plan.size, 2**20), "ping_interval": None}
    make_room(plan.connections)
    load = Load(plan)
    interruption = Interruption()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        try:
            runner.run(_run(Run(load), options, interruption, is_shown=not arguments.json))
        except CONNECT_ERRORS as exc:
            return fail(*explain(exc, arguments.url))
        except asyncio.CancelledError:  # by a signal, before anything was measured
            return interruption.status
    url = str(parse_uri(arguments.url))  # without a password
    if arguments.json:
        write_line(json_line(as_object(load, url, is_interrupted=interruption.status != 0)))
    else:
        for line in as_text(load, url):
            write_line(line)
    if figures is not None and load.latencies.count:
        write_picture(figures, load, url, arguments.png)
    if interruption.status:
        return interruption.status
    is_clean = not load.errors and not load.unanswered and load.latencies.count
    return 0 if is_clean else EXIT_FAILED


async def _run(
    run: Run, options: dict[str, Any], interruption: Interruption, *, is_shown: bool
) -> None:
    this = asyncio.current_task()
    assert this is not None
    try:
        with showing(run.load.plan.duration, is_shown=is_shown) as show:
            with interruption.calling(this.cancel):
                await run.open(
                    partial(connect, **options), lambda exc: explain(exc, options["uri"])[0]
                )
            with interruption.calling(run.stop, run.stop):
                progress = asyncio.create_task(_show(run, show))
                try:
                    await run.measure()
                finally:
                    progress.cancel()
    except BaseException:
        run.abort()
        raise
    finally:
        with on_stop_signal(run.abort):
            await run.close()


async def _show(run: Run, show: Show) -> None:
    start = perf_counter()
    while True:
        elapsed = perf_counter() - start
        if run.load.is_over:
            show(elapsed, f"waiting for {quantity(run.on_their_way, 'message')}")
        else:
            show(elapsed, summary(run.load, elapsed))
        await asyncio.sleep(_REFRESH)
