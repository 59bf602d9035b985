"""``serve --reload``: a process beside the supervisor that tells it when the code has changed.

It sends SIGHUP, so what happens then is a restart like any other: the old worker serves until the
new one is ready, and goes on if that cannot start.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

from ..workers.run import LOG_FORMAT

__all__ = ["NO_WATCHER", "can_watch", "watching"]

NO_WATCHER: Final = "--reload needs watchfiles: pip install 'wsproto_async[reload]'"

_logger = logging.getLogger("wsproto_async.cli")


def can_watch() -> bool:
    """Tell if what looks at files is installed."""
    return find_spec("watchfiles") is not None


@contextmanager
def watching(level: str) -> Iterator[None]:
    """Let changes of Python files in the working directory be told to this process by SIGHUP."""
    # Bytecode goes by whole seconds: what is written twice in one would be the old code again.
    sys.dont_write_bytecode = True
    command = [sys.executable, "-m", __name__, str(os.getpid()), level]
    with subprocess.Popen(command) as watcher:
        try:
            yield
        finally:
            watcher.terminate()


def _watch(supervisor: int) -> None:
    """Watch until the supervisor has gone."""
    from watchfiles import PythonFilter, watch

    for changes in watch(
        ".",
        watch_filter=PythonFilter(),
        rust_timeout=1000,
        yield_on_timeout=True,
        raise_interrupt=False,
    ):
        if os.getppid() != supervisor:
            break
        if changes:
            paths = sorted({os.path.relpath(path) for _, path in changes})
            _logger.info("changed: %s", ", ".join(paths))
            os.kill(supervisor, signal.SIGHUP)


if __name__ == "__main__":
    logging.basicConfig(level=sys.argv[2], format=LOG_FORMAT)
    logging.getLogger("watchfiles").setLevel(logging.ERROR)
    _watch(int(sys.argv[1]))
