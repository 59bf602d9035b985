"""What a message takes up in memory, as the interpreter says."""

from __future__ import annotations

from sys import getsizeof

import pytest

from wsproto_async.aio.size import size_of


@pytest.mark.parametrize("text", ["", "a", "é", "€", "😀", "a€", "é😀"])
@pytest.mark.parametrize("count", [0, 1, 1000])
def test_the_size_of_a_message(text: str, count: int) -> None:
    message = text * count
    assert size_of(message) == getsizeof(message)
    assert size_of(message.encode()) == getsizeof(message.encode())
