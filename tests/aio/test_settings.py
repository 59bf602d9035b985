from __future__ import annotations

import logging
import math
from typing import Any

import pytest

from wsproto_async import connect, serve
from wsproto_async.aio.log import Log
from wsproto_async.aio.settings import Settings


async def handler(ws: object) -> None: ...


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("read_limit", -1),
        ("read_limit", 0),
        ("read_limit", 3),
        ("write_limit", -1),
        ("write_limit", 0),
    ],
)
def test_limits_that_are_too_small(name: str, limit: int) -> None:
    """A streamed text could not go on if a character were more than may be held."""
    message = "^read_limit must be at least 4 bytes, and write_limit 1$"
    with pytest.raises(ValueError, match=message):
        serve(handler, 0, **{name: limit})
    with pytest.raises(ValueError, match=message):
        connect("ws://localhost/", **{name: limit})


@pytest.mark.parametrize(
    ("name", "limit", "error", "message"),
    [
        ("max_size", -1, ValueError, "max_size must be at least 0, not -1"),
        ("max_size", "1M", TypeError, "max_size must be an integer or None, not '1M'"),
        ("max_size", 1e6, TypeError, "max_size must be an integer or None, not 1000000.0"),
        ("max_fragments", 0, ValueError, "max_fragments must be at least 1, not 0"),
    ],
)
def test_limits_that_are_none(name: str, limit: Any, error: type, message: str) -> None:
    with pytest.raises(error, match=f"^{message}$"):
        serve(handler, 0, **{name: limit})
    with pytest.raises(error, match=f"^{message}$"):
        connect("ws://localhost/", **{name: limit})


def test_settings_do_not_change() -> None:
    settings = Settings(None, None, None, None, None, None, 4, 1, Log(logging.getLogger()))
    with pytest.raises(AttributeError):
        settings.read_limit = 5


TIMEOUTS = [
    "open_timeout",
    "close_timeout",
    "ping_interval",
    "ping_timeout",
    "send_timeout",
    "frame_timeout",
]


@pytest.mark.parametrize("name", TIMEOUTS)
@pytest.mark.parametrize("timeout", [-1, -0.001, math.inf, -math.inf, math.nan, "10"])
def test_timeouts_that_are_none(name: str, timeout: Any) -> None:
    """None is what lifts a timeout; the rest is said where the mistake is made."""
    with pytest.raises((ValueError, TypeError)):
        serve(handler, 0, **{name: timeout})
    with pytest.raises((ValueError, TypeError)):
        connect("ws://localhost/", **{name: timeout})


@pytest.mark.parametrize("name", TIMEOUTS)
@pytest.mark.parametrize("timeout", [0, 1, 0.5, 10**6, None])
def test_timeouts(name: str, timeout: float | None) -> None:
    serve(handler, 0, **{name: timeout})
    connect("ws://localhost/", **{name: timeout})
