"""Two laws for every test: it holds on both event loops, and nothing logs an error.

Async tests run twice, on asyncio's own loop and on uvloop, unless they wait for others for long and
are marked ``one_loop``. A peer can never make us log a
traceback, so an ERROR record from asyncio or from wsproto_async fails the test that caused it,
unless the test makes the application itself fail and says so with ``@pytest.mark.logs_errors``.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Iterator

import hypothesis
import pytest
import uvloop

# A busy machine makes an example slow, not wrong.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")

WATCHED_LOGGERS = ("asyncio", "wsproto_async")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("one_loop"):
        return {"uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}


def pytest_collection_finish() -> None:
    """Keep the collections below from looking at what no test has made."""
    gc.collect()
    gc.freeze()


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
    for logger in loggers:
        logger.addHandler(errors)
    try:
        yield
        if request.node.get_closest_marker("asyncio") is not None:
            gc.collect()  # a failed task that nobody awaited reports itself when it is freed
    finally:
        for logger in loggers:
            logger.removeHandler(errors)
    if errors.records and request.node.get_closest_marker("logs_errors") is None:
        formatter = logging.Formatter("%(name)s %(levelname)s %(message)s")
        lines = "\n".join(map(formatter.format, errors.records))
        pytest.fail(f"logged during this test:\n{lines}", pytrace=False)
