"""What the workers of a program tell each other."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.request import Request, urlopen

import pytest
from asking import BEARER, TOKEN, echo, get
from programs import Program, Start
from raw_peer import PATIENCE, until

from wsproto_async import connect, serve
from wsproto_async.pubsub import MemoryBroker
from wsproto_async.pubsub.publication import Publication
from wsproto_async.status import Status
from wsproto_async.status import exchange as exchange_module
from wsproto_async.status.exchange import Exchange
from wsproto_async.status.snapshot import Snapshot
from wsproto_async.status.survey import survey


class NobodyListens:
    def publication_received(self, publication: Publication) -> None: ...


@asynccontextmanager
async def exchanges(count: int) -> AsyncIterator[tuple[MemoryBroker, list[Exchange]]]:
    """As many as there are workers, numbered from 1."""
    broker = MemoryBroker()
    await broker.start(NobodyListens())
    async with serve(echo, 0) as server:

        def looker(number: int):
            async def look() -> Snapshot:
                return (await survey(server))._replace(worker=number)

            return look

        all_of_them = [
            Exchange(broker, "name", looker(number + 1), server._log) for number in range(count)
        ]
        for each in all_of_them:
            each.start()
        yield broker, all_of_them
        for each in all_of_them:
            await each.close()
    await broker.close()


async def workers(exchange: Exchange, own: int) -> set[int]:
    return {each.worker for each in await exchange.others(own)}


async def wait_for(exchange: Exchange, own: int, expected: set[int]) -> None:
    async with asyncio.timeout(PATIENCE):
        while await workers(exchange, own) != expected:  # noqa: ASYNC110 - it is asked, not told
            await asyncio.sleep(0.01)


async def test_each_knows_the_others_and_forgets_who_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange_module, "_PERIOD", 0.05)
    async with exchanges(3) as (_, (one, two, three)):
        await wait_for(one, 1, {2, 3})
        await wait_for(two, 2, {1, 3})
        first = {each.worker: each.at for each in await one.others(1)}
        async with asyncio.timeout(PATIENCE):
            while True:  # the newest of each
                now = {each.worker: each.at for each in await one.others(1)}
                if all(at > first[worker] for worker, at in now.items()):
                    break
                await asyncio.sleep(0.01)
        assert now.keys() == first.keys()
        await three.close()
        await wait_for(one, 1, {2})


async def test_before_the_first_round_there_are_none() -> None:
    broker = MemoryBroker()
    await broker.start(NobodyListens())
    assert await Exchange(broker, "name", lambda: None, None).others(1) == []
    await broker.close()


async def test_what_is_no_snapshot_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "_PERIOD", 0.05)
    async with exchanges(2) as (broker, (one, _)):
        await wait_for(one, 1, {2})
        broker.publish(Publication("name", b"{}", True), exchange_module._KEPT, "")
        assert await workers(one, 1) == {2}


async def test_a_broker_that_does_not_answer_leaves_each_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exchange_module, "_PERIOD", 0.05)
    async with exchanges(2) as (broker, (one, _)):
        await wait_for(one, 1, {2})
        loop = asyncio.get_running_loop()
        monkeypatch.setattr(broker, "read", lambda *_: loop.create_future())
        assert await workers(one, 1) == set()
        monkeypatch.setattr(broker, "publish", lambda *_: loop.create_future())
        await until(lambda: not one._positions)
        monkeypatch.undo()
        monkeypatch.setattr(exchange_module, "_PERIOD", 0.05)
        await wait_for(one, 1, {2})


async def test_a_busy_worker_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "_PERIOD", 0.02)
    async with exchanges(2) as (_, (one, two)):
        await wait_for(one, 1, {2})
        look, told = one._look, []

        async def count() -> Snapshot:
            told.append(1)
            return await look()

        monkeypatch.setattr(two, "_look", asyncio.get_running_loop().create_future)
        monkeypatch.setattr(one, "_look", count)
        await until(lambda: len(told) > 8)
        assert await workers(one, 1) == {2}
        await wait_for(one, 1, set())


@pytest.mark.logs_errors
async def test_what_fails_is_told_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exchange_module, "_PERIOD", 0.02)
    async with exchanges(2) as (broker, (one, _)):
        await wait_for(one, 1, {2})
        for target, name in ((one, "_look"), (broker, "publish"), (broker, "read")):
            one._has_failed = False
            caplog.clear()
            failures = []

            def fail(*_: object, failures: list[int] = failures) -> None:
                failures.append(1)
                raise RuntimeError("it is broken")

            with monkeypatch.context() as patch:
                patch.setattr(target, name, fail)
                async with asyncio.timeout(PATIENCE):
                    while len(failures) < 5:
                        assert await workers(one, 1) in (set(), {2})
                        await asyncio.sleep(0.01)
            lines = [each for each in caplog.messages if each.startswith("workers do not know")]
            assert lines.count("workers do not know of each other: status") in (1, 2), name
            await wait_for(one, 1, {2})


@pytest.mark.logs_errors
async def test_a_broker_that_gives_no_position(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exchange_module, "_PERIOD", 0.02)

    async def publish(*_: object) -> None:
        pass

    async with exchanges(1) as (broker, (one,)):
        with monkeypatch.context() as patch:
            patch.setattr(broker, "publish", publish)
            await until(lambda: "workers do not know of each other: status" in caplog.messages)
        await until(lambda: one._positions)


async def test_it_ends_with_the_server() -> None:
    status = Status(metrics="/metrics", token=TOKEN)
    status.process = 0  # as in a process that was forked after this
    async with serve(echo, 0, status=status) as server:
        assert len(asyncio.all_tasks()) == 2
        page = await get(server, "/metrics", BEARER)
        assert f'\nwebsocket_connections{{worker="{os.getpid()}"}} 0.0\n' in page.body.decode()
    assert asyncio.all_tasks() == {asyncio.current_task()}


PROGRAM = f"""
import sys
from wsproto_async import run
from wsproto_async.status import Status

async def handler(ws):
    async for message in ws:
        await ws.send(message)

if __name__ == "__main__":
    run(handler, 0, workers=2, status=Status(metrics="/metrics", token={TOKEN!r}))
"""


@pytest.mark.one_loop
async def test_each_worker_shows_all_of_them(start: Start) -> None:
    program = start(PROGRAM)
    pids = set(program.workers(2))
    port = program.port
    async with connect(f"ws://127.0.0.1:{port}/status") as page:
        await page.send(TOKEN)
        async with asyncio.timeout(PATIENCE):
            while {each["worker"] for each in json.loads(await page.recv())["workers"]} != pids:
                pass
    opened = [program.connect() for _ in range(5)]
    deadline = time.monotonic() + PATIENCE
    while True:  # what the other one has told may be a second old
        text = await asyncio.to_thread(metrics, program)
        found = re.findall(r'^websocket_connections{worker="(\d+)"} (\d+)\.0$', text, re.MULTILINE)
        if {int(pid) for pid, _ in found} == pids and sum(int(count) for _, count in found) == 5:
            break
        assert time.monotonic() < deadline, text
    for sock in opened:
        sock.close()


def metrics(program: Program) -> str:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with urlopen(Request(f"http://127.0.0.1:{program.port}/metrics", headers=headers)) as page:
        return page.read().decode()
