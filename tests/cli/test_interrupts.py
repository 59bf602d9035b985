"""Ctrl-C while an event loop runs, once and more than once."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from programs import Program

from wsproto_async.cli import interrupts

PROGRAM = """
import asyncio, os, signal
from wsproto_async.cli import interrupts

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

async def main():
{main}

interrupts.run(main())
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[[str], Program]]:
    """Run a program whose coroutine is given."""
    programs = []

    def program(main: str) -> Program:
        code = PROGRAM.format(main=main)
        programs.append(Program([sys.executable, "-c", code], tmp_path))
        return programs[-1]

    yield program
    for each in programs:
        each.clean_up()


def test_the_first_cancels(interrupt: Callable[[], None]) -> None:
    ended = []

    async def main() -> None:
        try:
            interrupt()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("well")

    with pytest.raises(KeyboardInterrupt):
        interrupts.run(main())
    assert ended == ["well"]
    assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL


def test_before_the_loop_runs(interrupt: Callable[[], None]) -> None:
    def loop_factory() -> asyncio.AbstractEventLoop:
        interrupt()
        return asyncio.SelectorEventLoop()

    with pytest.raises(KeyboardInterrupt):
        interrupts.run(asyncio.sleep(60), loop_factory)


def test_without_one(interrupt: Callable[[], None]) -> None:
    assert interrupts.run(asyncio.sleep(0, "done")) == "done"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_one_that_is_ignored_stays_so(interrupt: Callable[[], None]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    async def main() -> str:
        interrupt()
        await asyncio.sleep(0)
        return "done"

    assert interrupts.run(main()) == "done"
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_the_second_at_once(program: Callable[[str], Program]) -> None:
    running = program("    interrupt()\n    interrupt()\n    await asyncio.sleep(60)")
    assert running.end() == -signal.SIGINT
    assert running.lines == []


def test_the_second_when_the_end_takes_long(program: Callable[[str], Program]) -> None:
    running = program(
        "    try:\n"
        "        interrupt()\n"
        "        await asyncio.sleep(60)\n"
        "    finally:\n"
        "        print('ending')\n"
        "        await asyncio.sleep(60)"
    )
    running.wait_for("ending")
    running.send(signal.SIGINT)
    assert running.end() == -signal.SIGINT
    assert running.lines == ["ending\n"]
