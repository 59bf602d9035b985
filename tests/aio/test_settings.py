from __future__ import annotations

import logging

import pytest

from wsproto_async import connect, serve
from wsproto_async.aio.settings import Settings


async def handler(ws: object) -> None: ...


@pytest.mark.parametrize("name", ["read_limit", "write_limit"])
@pytest.mark.parametrize("limit", [0, -1])
def test_limits_of_nothing(name: str, limit: int) -> None:
    message = "^read_limit and write_limit must be at least 1 byte$"
    with pytest.raises(ValueError, match=message):
        serve(handler, 0, **{name: limit})
    with pytest.raises(ValueError, match=message):
        connect("ws://localhost/", **{name: limit})


def test_settings_do_not_change() -> None:
    settings = Settings(None, None, None, None, 1, 1, logging.getLogger())
    with pytest.raises(AttributeError):
        settings.read_limit = 2
