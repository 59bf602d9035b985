"""SIGINT and SIGTERM; the signals are real, and sent to this very process."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from raw_peer import until

from wsproto_async.aio.signals import on_stop_signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers_are_as_before() -> Iterator[None]:
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    after = [signal.getsignal(number) for number in SIGNALS]
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)
    assert after == before


async def send(number: signal.Signals, seen: list[str], count: int) -> None:
    os.kill(os.getpid(), number)
    await until(lambda: len(seen) == count)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("then", SIGNALS)
async def test_each_signal_has_its_action(number: signal.Signals, then: signal.Signals) -> None:
    seen: list[str] = []
    with on_stop_signal(lambda: seen.append("first"), lambda: seen.append("second")):
        await send(number, seen, 1)
        await send(then, seen, 2)
        assert seen == ["first", "second"]
        # From now on they act as in any program.
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


async def test_without_a_signal_nothing_happens() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with on_stop_signal(lambda: pytest.fail("there was no signal")):
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


async def test_after_one_of_two_actions_all_is_as_before() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    seen: list[str] = []
    with on_stop_signal(lambda: seen.append("first"), lambda: seen.append("second")):
        await send(signal.SIGTERM, seen, 1)
    assert [signal.getsignal(number) for number in SIGNALS] == before


async def test_what_the_application_handles_is_left_to_it() -> None:
    seen: list[str] = []
    ours: list[str] = []
    previous = signal.signal(signal.SIGTERM, lambda *args: seen.append("application"))
    try:
        with on_stop_signal(lambda: ours.append("ours")):
            await send(signal.SIGTERM, seen, 1)
            await send(signal.SIGINT, ours, 1)
        assert (seen, ours) == (["application"], ["ours"])
    finally:
        signal.signal(signal.SIGTERM, previous)


async def test_what_the_application_handles_on_the_loop_is_left_to_it() -> None:
    loop = asyncio.get_running_loop()
    seen: list[str] = []
    loop.add_signal_handler(signal.SIGTERM, seen.append, "application")
    try:
        with on_stop_signal(lambda: seen.append("ours")):
            await send(signal.SIGTERM, seen, 1)
        await send(signal.SIGTERM, seen, 2)
        assert seen == ["application"] * 2
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def test_what_the_application_ignores_is_ignored() -> None:
    previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with on_stop_signal(lambda: pytest.fail("not ours")):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0.05)
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, previous)


async def test_at_once_does_not_wait_for_the_loop() -> None:
    seen: list[str] = []
    with on_stop_signal(
        lambda: seen.append("first"),
        lambda: seen.append("second"),
        at_once=lambda: seen.append("at once"),
    ):
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert seen == ["at once", "at once"]
        signal.raise_signal(signal.SIGTERM)  # which changes nothing
        await until(lambda: len(seen) == 4)
        assert seen[2:] == ["first", "second"]


async def test_which_signals_count_can_be_said() -> None:
    seen: list[str] = []
    previous = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with on_stop_signal(lambda: seen.append("hangup"), numbers=[signal.SIGHUP]):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
            await send(signal.SIGHUP, seen, 1)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
        assert seen == ["hangup"]
    finally:
        signal.signal(signal.SIGHUP, previous)


class WithoutSignals(asyncio.SelectorEventLoop):
    """As on Windows."""

    def add_signal_handler(self, sig: int, callback: Callable, *args: Any) -> None:
        raise NotImplementedError


def test_a_loop_that_cannot_handle_signals_is_not_asked_to() -> None:
    async def main() -> None:
        seen: list[str] = []
        with on_stop_signal(lambda: seen.append("first")):
            await send(signal.SIGTERM, seen, 1)

    with asyncio.Runner(loop_factory=WithoutSignals) as runner:
        runner.run(main())


def test_other_threads_cannot_handle_signals() -> None:
    async def main() -> None:
        before = [signal.getsignal(number) for number in SIGNALS]
        with on_stop_signal(lambda: pytest.fail("there was no signal")):
            assert [signal.getsignal(number) for number in SIGNALS] == before
        passed.append(True)

    passed: list[bool] = []
    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join()
    assert passed
