"""A process may have so many files open."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest

from wsproto_async.cli.bench.descriptors import make_room
from wsproto_async.cli.exits import UsageError


@pytest.fixture(autouse=True)
def limits() -> Iterator[tuple[int, int]]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield limits
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_the_soft_limit_is_raised(limits: tuple[int, int]) -> None:
    hard = limits[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
    make_room(200)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (300, hard)
    make_room(400)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (464, hard)


def test_the_hard_limit_is_too_low(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 1024))
    with pytest.raises(UsageError) as caught:
        make_room(1000)
    assert str(caught.value) == (
        "1,000 connections need 1,064 file descriptors, and the hard limit is 1,024: "
        "raise it (ulimit -Hn), or take fewer connections"
    )
    make_room(192)
