"""A clock that jumps: timeouts of minutes are tested in milliseconds.

Law: time stands still while there is anything to do, and then jumps to the next timer. Nothing is
skipped: all timers come, in their order.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from functools import partial, wraps
from inspect import iscoroutinefunction
from time import monotonic
from typing import Any, Final, ParamSpec, TypeVar, overload

__all__ = ["VirtualClockLoop", "virtual_clock"]

_PATIENCE: Final = 0.005  # seconds
_LIMIT: Final = 7 * 86400.0  # seconds
_RESOLUTION: Final = 1e-6  # seconds: with asyncio's own, 1e-9, time stands still after 194 days

_P = ParamSpec("_P")
_T = TypeVar("_T")


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """asyncio's event loop with a time of its own, which begins at 0.

    When all is done that can be, ``time()`` jumps to the next timer. All of asyncio goes by it,
    ``sleep``, ``timeout`` and ``call_later``, and so do our timeouts, pings and latencies. It is a
    loop factory for :class:`asyncio.Runner`.

    What the loop does not know of it cannot wait for. Sockets get ``patience``, 5 ms of real time,
    before each jump, and while a thread works for ``run_in_executor`` time goes by as it does
    outside. Who answers more slowly, a subprocess or another machine, meets timeouts that are
    over. ``time.time()`` and ``time.monotonic()`` are not changed.
    """

    has_own_time = True

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._now = 0.0
        self._jobs = 0  # that threads have
        self._patience = patience
        super().__init__(_Selector(self._wait))
        self._clock_resolution = _RESOLUTION

    def time(self) -> float:
        """Return the seconds since the loop was made, as far as it is concerned."""
        return self._now

    def _wait(self, select: Callable[[float | None], Any], timeout: float, has_io: bool) -> Any:
        """Wait for IO if there can be any; else let the time be over."""
        if self._jobs:
            begun = monotonic()
            found = select(timeout)
            self._now += min(monotonic() - begun, timeout)
            return found
        if has_io and (found := select(min(timeout, self._patience))):
            return found
        self._now += timeout
        return []

    def run_in_executor(self, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        future = super().run_in_executor(*args)
        self._jobs += 1
        future.add_done_callback(self._job_done)
        return future

    def _job_done(self, future: asyncio.Future[Any]) -> None:
        self._jobs -= 1

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        self._jobs += 1  # which has a timeout as well
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._jobs -= 1


class _Selector(selectors.DefaultSelector):
    """Looks at what is there, and asks how to wait when that is nothing."""

    def __init__(self, wait: Callable[[Callable[[float | None], Any], float, bool], Any]) -> None:
        super().__init__()
        self._wait = wait

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        # The loop itself has one file registered, by which threads and signals wake it.
        return super().select(0) or self._wait(super().select, timeout, len(self.get_map()) > 1)


@overload
def virtual_clock(test: Callable[_P, Coroutine[Any, Any, _T]]) -> Callable[_P, _T]: ...
@overload
def virtual_clock(
    *, limit: float = _LIMIT
) -> Callable[[Callable[_P, Coroutine[Any, Any, _T]]], Callable[_P, _T]]: ...
def virtual_clock(
    test: Callable[..., Coroutine[Any, Any, Any]] | None = None, *, limit: float = _LIMIT
) -> Callable[..., Any]:
    """Run a coroutine function in a :class:`VirtualClockLoop` of its own: a decorator for tests.

    The test is a plain function then, for any test runner: plug-ins for async tests have nothing
    to do with it, and async fixtures of theirs live in another loop.

    - ``limit``: seconds of virtual time, 7 days; ``@virtual_clock(limit=...)`` sets it. What waits
      for something that never comes ends then with TimeoutError, though there are always pings to
      be sent.

    Raises TypeError if it is no coroutine function.
    """
    if test is None:
        return partial(virtual_clock, limit=limit)
    if not iscoroutinefunction(test):
        raise TypeError(f"virtual_clock is for coroutine functions, not {test!r}")

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> Any:
        with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
            return runner.run(_within(limit, test(*args, **kwargs)))

    return run


async def _within(limit: float, test: Coroutine[Any, Any, _T]) -> _T:
    deadline = asyncio.timeout(limit)
    try:
        async with deadline:
            return await test
    except TimeoutError as exc:
        if deadline.expired():
            why = f"the test still waits after {limit:g} s of virtual time, its limit"
            raise TimeoutError(why) from exc
        raise
