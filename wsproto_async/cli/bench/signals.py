"""Signals that end a run before its time: SIGINT, which is Ctrl-C, and SIGTERM."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from ...aio.signals import on_stop_signal

__all__ = ["Interruption"]


class Interruption:
    """``status`` is the exit status for the first of them that came, 0 if none has."""

    def __init__(self) -> None:
        self.status = 0

    @contextmanager
    def calling(self, *actions: Callable[[], object]) -> Iterator[None]:
        """Call the first action at the first SIGINT, and at the first SIGTERM, and so on."""
        with ExitStack() as stack:
            for number in (signal.SIGINT, signal.SIGTERM):
                noted = [partial(self._note, number, action) for action in actions]
                stack.enter_context(on_stop_signal(*noted, numbers=(number,)))
            yield

    def _note(self, number: signal.Signals, action: Callable[[], object]) -> None:
        self.status = self.status or 128 + number
        action()
