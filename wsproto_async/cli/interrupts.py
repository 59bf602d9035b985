"""Ctrl-C while an event loop runs: the first ends what runs, the second ends the process.

asyncio's own runner raises KeyboardInterrupt at the second, wherever the loop is just then, which
may leave a task that is never called again, and that the runner waits for at its end.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

__all__ = ["run"]

Result = TypeVar("Result")


def run(
    main: Coroutine[Any, Any, Result],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Result:
    """Run a coroutine in a new event loop, which cancels it at Ctrl-C.

    Raises KeyboardInterrupt if it was; SIGINT has its default action from then on.
    """
    task: asyncio.Task[Any] | None = None
    is_interrupted = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal is_interrupted
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        is_interrupted = True
        if task is not None and not task.done():
            task.get_loop().call_soon_threadsafe(task.cancel)

    async def cancellable() -> Result:
        nonlocal task
        task = asyncio.current_task()
        assert task is not None
        if is_interrupted:
            task.cancel()
        return await main

    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, interrupt)
    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(cancellable())
    except asyncio.CancelledError:
        if is_interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        if is_ours and not is_interrupted:
            signal.signal(signal.SIGINT, signal.default_int_handler)
