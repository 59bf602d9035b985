"""What keys and channels are called."""

from __future__ import annotations

import pytest

from wsproto_async.pubsub.redis.names import Names


def hashed(key: bytes) -> bytes:
    """What a cluster hashes of a key: what the first pair of braces holds, if that is anything."""
    _, _, after = key.partition(b"{")
    tag, brace, _ = after.partition(b"}")
    return tag if brace and tag else key


@pytest.mark.parametrize("topic", ["a", "{}", "}", "{", "a}b", "{a}", "a{b}c", "%7B", "é"])
def test_all_of_a_topic_is_in_one_slot(topic: str) -> None:
    names = Names("prefix:")
    keys = (
        names.channel(topic),
        names.head(topic),
        names.stream(topic),
        names.members(topic),
        names.idempotency(topic, "}key{"),
    )
    assert len(set(keys)) == len(keys)
    assert len({hashed(key) for key in keys}) == 1
