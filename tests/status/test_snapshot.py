"""How the numbers of a process go to another one."""

from __future__ import annotations

import json

import pytest
from asking import echo

from wsproto_async import serve
from wsproto_async.status.snapshot import Snapshot
from wsproto_async.status.survey import survey


async def test_what_was_encoded_is_decoded() -> None:
    async with serve(echo, 0) as server:
        snapshot = await survey(server)
    assert Snapshot.decode(snapshot.encode()) == snapshot
    fields = json.loads(snapshot.encode())
    for wrong in ([], fields[:-1], [*fields, 0], ["x", *fields[1:]], {"worker": 1}, None):
        with pytest.raises(ValueError, match=r"^not a snapshot$"):
            Snapshot.decode(json.dumps(wrong).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json(data: bytes) -> None:
    with pytest.raises(ValueError):
        Snapshot.decode(data)
