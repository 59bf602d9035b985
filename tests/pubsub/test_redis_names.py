"""What keys and channels are called."""

from __future__ import annotations

import pytest

from wsproto_async.pubsub.redis.names import Names
from wsproto_async.pubsub.redis.slots import slot_of


@pytest.mark.parametrize("topic", ["a", "{}", "}", "{", "a}b", "{a}", "a{b}c", "%7B", "é"])
def test_all_of_a_topic_is_in_one_slot(topic: str) -> None:
    names = Names("prefix:")
    keys = (
        names.channel(topic),
        names.head(topic),
        names.kept(topic),
        names.members(topic),
        names.idempotency(topic, "}key{"),
    )
    assert len(set(keys)) == len(keys)
    assert len(set(map(slot_of, keys))) == 1
