"""Runs the rows against any WebSocket server: ``python -m wsproto_async.testing.conformance``.

Knows nothing of the rest of wsproto_async and needs nothing but Python's standard library: beside a
copy of this folder ``python -m conformance`` does the same. Prints a table, and exits with 1 if a
row is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys

from .row import Row
from .rows import ROWS
from .runner import NEEDS, SET_UPS, Outcome, Target, explore, run
from .wire import Wire

_AT_ONCE = 8  # rows
_LIMITS = ("open_timeout", "close_timeout", "ping_timeout", "send_timeout", "frame_timeout")


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conformance", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--path", default="/")
    parser.add_argument("--tls", action="store_true", help="the port speaks TLS; any certificate")
    parser.add_argument("--only", default="", metavar="IDS", help="such as F01 or H,F")
    parser.add_argument("--patience", type=float, default=3.0, help="seconds for a reaction")
    parser.add_argument("--whole", action="store_true", help="do not send byte by byte as well")
    for name in ("max_size", "max_fragments"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help=NEEDS[name])
    for name in _LIMITS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, help=NEEDS[name])
    parser.add_argument("--set-up", default="", metavar="NAMES", help=f"of {', '.join(SET_UPS)}")
    return parser.parse_args(arguments)


def _target(options: argparse.Namespace) -> Target:
    given = {
        name: value
        for name, value in vars(options).items()
        if name in (*_LIMITS, "max_size", "max_fragments") and value is not None
    }
    context = None
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sizes = {name: given[name] for name in ("max_size", "max_fragments") if name in given}
    names = {name for name in options.set_up.split(",") if name}
    return Target(
        options.host,
        options.port,
        Wire(host=f"{options.host}:{options.port}", path=options.path, **sizes),
        context,
        frozenset({"tls" if options.tls else "plain", *given, *names}),
        given,
        options.patience,
        0.0005,
    )


async def _try(row: Row, target: Target, only_whole: bool) -> Outcome:
    outcome = await run(row, target)
    if outcome.state in ("ok", "late") and row.cuts and row.play is None and not only_whole:
        outcome = await run(row, target, split=True)
        if outcome.state == "WRONG":
            outcome = outcome._replace(got=f"byte by byte: {outcome.got}")
    return outcome


async def _main(options: argparse.Namespace) -> int:
    target = _target(options)
    try:
        target = await explore(target)
    except (OSError, TimeoutError) as exc:
        print(f"{options.host}:{options.port}: {exc}", file=sys.stderr)
        return 2
    prefixes = tuple(options.only.split(","))
    counts = {"ok": 0, "late": 0, "WRONG": 0, "skipped": 0}
    chosen = [row for row in ROWS if row.id.startswith(prefixes)]
    for start in range(0, len(chosen), _AT_ONCE):
        batch = chosen[start : start + _AT_ONCE]
        tries = (_try(row, target, options.whole) for row in batch)
        for row, state, got in await asyncio.gather(*tries):
            counts[state] += 1
            print(f"{row.id}  {state:7}  {row.title}")
            if state != "ok":
                print(f"              expected: {row.expect}\n              got: {got}")
    print(", ".join(f"{count} {state}" for state, count in counts.items()))
    return 1 if counts["WRONG"] else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(_parse(None))))
