"""The bytes of an unfinished message."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from traced import traced

from wsproto_async.sansio.buffer import MessageBuffer


@settings(max_examples=600)
@given(st.sampled_from([None, 0, 1, 7, 100, 2**20]), st.sampled_from([0, 1, 10, 60]), st.data())
def test_bytes_go_in_and_out(limit: int | None, memory: int, data: st.DataObject) -> None:
    buffer = MessageBuffer(limit, memory)
    expected = whole = b""
    for _ in range(data.draw(st.integers(0, 20))):
        if data.draw(st.booleans()):
            piece = data.draw(st.binary(max_size=50))
            buffer.append(piece)
            expected += piece
            whole += piece
        else:
            size = data.draw(st.integers(0, len(expected)))
            assert buffer.take(size) == expected[:size]
            expected = expected[size:]
        assert buffer.size == len(expected)
        size = data.draw(st.integers(1, 60))
        recent = buffer.recent(size)
        assert min(size, len(whole)) >= len(recent) >= min(size, len(expected))
        assert whole.endswith(recent)
        assert len(recent) >= min(size, len(whole), memory)
    assert buffer.getvalue() == expected


@pytest.mark.parametrize("limit", [2**16, 10**6, 2**20, 3_141_592])
@pytest.mark.parametrize("step", [1000, 4096, 65536])
def test_it_grows_within_its_limit(limit: int, step: int) -> None:
    """And the whole is given out without a second copy."""
    piece = bytes(step)

    def fill() -> None:
        buffer = MessageBuffer(limit)
        while buffer.size + step <= limit:
            buffer.append(piece)
        size = buffer.size
        assert len(buffer.getvalue()) == size

    assert traced(fill).peak < limit + 1000


@pytest.mark.parametrize("limit", [2**16, 2**20, 3_141_592])
@pytest.mark.parametrize("share", [1, 2])
def test_what_was_taken_counts_in_its_limit(limit: int, share: int) -> None:
    """Taken at once, and while it is in use until the next is taken."""
    piece = bytes(4096)

    def fill_and_take() -> None:
        buffer = MessageBuffer(limit, 32768)
        for count in range(1, limit // 4096 + 1):
            buffer.append(piece)
            if count % (limit // 4096 // share) == 0:
                taken = buffer.take(buffer.size)
                assert not any(taken)

    assert traced(fill_and_take).peak < limit + 16_000
