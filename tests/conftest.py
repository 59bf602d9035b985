"""Two laws for every test: it holds on both event loops, and nothing logs an error.

Async tests run twice, on asyncio's own loop and on uvloop. Those marked ``one_loop`` do not: they
wait for others for long, or what they test runs in another process. On the compiled build each runs
on one of the two, half of them on either. A peer can never make us log a
traceback, so an ERROR record from asyncio or from wsproto_async fails the test that caused it,
unless the test makes the application itself fail and says so with ``@pytest.mark.logs_errors``.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import logging
import os
import signal
from collections.abc import Callable, Generator, Iterator
from zlib import crc32

import hypothesis
import pytest
import uvloop

import wsproto_async

# A busy machine makes an example slow, not wrong.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

PATIENCE = 300.0  # seconds for one test
WATCHED_LOGGERS = ("asyncio", "wsproto_async", "uvicorn.error")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops = {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}
    if item.get_closest_marker("one_loop"):
        return {"uvloop": loops["uvloop"]}
    if wsproto_async.compiled:  # what depends on the loop is the same in both builds
        name = ("asyncio", "uvloop")[crc32(item.nodeid.encode()) % 2]
        return {name: loops[name]}
    return loops


def pytest_configure() -> None:
    """A test that hangs prints every thread's stack and ends the run.

    By an alarm: ``faulthandler_timeout`` starts a thread for each test, and joins it.
    """
    stderr = os.dup(2)  # capturing replaces 2
    faulthandler.register(signal.SIGALRM, file=stderr, all_threads=True, chain=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        return (yield)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class ErrorRecords(logging.Handler):
    """Keeps what is logged as ERROR or worse.

    Its own handler rather than caplog, which a test may clear, and which sees no record of a
    logger that does not propagate.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture(autouse=True)
def nothing_logs_errors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test if asyncio or wsproto_async logged an error before its loop was closed.

    The loop's default exception handler logs to ``asyncio``, so that one is covered too.
    """
    errors = ErrorRecords()
    loggers = [logging.getLogger(name) for name in WATCHED_LOGGERS]
    asynchronous = request.node.get_closest_marker("asyncio") is not None
    for logger in loggers:
        logger.addHandler(errors)
    try:
        if asynchronous:  # the collection below need not look at what other tests have left
            gc.collect()
            gc.freeze()
        yield
        if asynchronous:
            gc.collect()  # a failed task that nobody awaited reports itself when it is freed
    finally:
        for logger in loggers:
            logger.removeHandler(errors)
    if errors.records and request.node.get_closest_marker("logs_errors") is None:
        formatter = logging.Formatter("%(name)s %(levelname)s %(message)s")
        lines = "\n".join(map(formatter.format, errors.records))
        pytest.fail(f"logged during this test:\n{lines}", pytrace=False)
