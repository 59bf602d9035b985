"""The bytes of an unfinished message."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsproto_async.sansio.buffer import MessageBuffer

limits = pytest.mark.parametrize("limit", [None, 0, 1, 7, 100, 2**20])


@limits
@given(st.data())
def test_bytes_go_in_and_out(limit: int | None, data: st.DataObject) -> None:
    buffer = MessageBuffer(limit)
    expected = b""
    for _ in range(data.draw(st.integers(0, 20))):
        if data.draw(st.booleans()):
            piece = data.draw(st.binary(max_size=50))
            buffer.append(piece)
            expected += piece
        else:
            size = data.draw(st.integers(0, len(expected)))
            assert buffer.take(size) == expected[:size]
            expected = expected[size:]
        size = data.draw(st.integers(1, 60))
        assert (buffer.size, buffer.recent(size)) == (len(expected), expected[-size:])
    assert buffer.getvalue() == expected


@pytest.mark.parametrize("limit", [2**16, 10**6, 2**20, 3_141_592])
@pytest.mark.parametrize("step", [1000, 4096, 65536])
def test_it_grows_within_its_limit(limit: int, step: int) -> None:
    """And the whole is given out without a second copy."""
    piece = bytes(step)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        buffer = MessageBuffer(limit)
        while buffer.size + step <= limit:
            buffer.append(piece)
        size = buffer.size
        assert len(buffer.getvalue()) == size
        assert tracemalloc.get_traced_memory()[1] - before < limit + 1000
    finally:
        tracemalloc.stop()
