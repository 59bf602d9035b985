"""Which broker a URI names."""

from __future__ import annotations

import subprocess
import sys

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


def test_what_names_no_broker_is_told_what_does() -> None:
    with pytest.raises(ValueError, match="no broker for localhost:, only for redis:, rediss: and"):
        open_broker("localhost:6379")


def test_without_hiredis_the_extra_is_told() -> None:
    program = """import sys
sys.modules["hiredis"] = None
from wsproto_async.pubsub.uri import open_broker
open_broker("redis://h")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    told = "ImportError: Redis needs hiredis: the extra wsproto_async[redis]"
    assert done.stderr.splitlines()[-1] == told
