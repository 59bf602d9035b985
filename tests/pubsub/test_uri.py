"""Which broker a URI names."""

from __future__ import annotations

import pytest

from wsproto_async.pubsub.redis import RedisBroker
from wsproto_async.pubsub.uri import open_broker


@pytest.mark.parametrize("uri", ["redis://h", "rediss://h:1/2", "redis+unix:///path"])
def test_redis(uri: str) -> None:
    assert isinstance(open_broker(uri), RedisBroker)


@pytest.mark.parametrize("uri", ["", "kafka://h", "redis", "redis://h/database"])
def test_what_names_no_broker(uri: str) -> None:
    with pytest.raises(ValueError, match=r"broker|database"):
        open_broker(uri)
