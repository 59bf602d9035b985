from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process have as many sockets open as there are clients."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
