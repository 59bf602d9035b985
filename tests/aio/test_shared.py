"""What the connections of a loop share, each loop has for itself."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable

import pytest
import uvloop

from wsproto_async import connect, serve
from wsproto_async.aio.shared import Shared, shared


async def test_a_loop_has_one() -> None:
    loop = asyncio.get_running_loop()
    assert shared(loop) is shared(loop)


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_each_loop_has_its_own_and_takes_it_along(factory: Callable) -> None:
    async def use() -> Shared:
        async with (
            serve(lambda ws: ws.wait_closed(), 0) as server,
            connect(f"ws://127.0.0.1:{server.port}"),
        ):
            pass
        return shared(asyncio.get_running_loop())

    def run() -> tuple[Shared, weakref.ref]:
        with asyncio.Runner(loop_factory=factory) as runner:
            loop = runner.get_loop()
            return runner.run(use()), weakref.ref(loop)

    first, first_loop = run()
    second, _ = run()
    assert first is not second
    assert first.inbox is not second.inbox
    gc.collect()
    assert first_loop() is None
