"""The example of a game loop: its clock, its world, and both over the wire."""

from __future__ import annotations

import importlib.util
import json
from types import ModuleType
from typing import Any

import pytest
from started import EXAMPLES, Start, expect_close, hear, say

from wsproto_async import InvalidStatus, WebSocket, connect

pytestmark = pytest.mark.one_loop


@pytest.fixture
def game() -> ModuleType:
    spec = importlib.util.spec_from_file_location("game", EXAMPLES / "game" / "server.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_ticks_that_are_late_each_time_do_not_drift(game: ModuleType) -> None:
    due = 0.0
    for _ in range(60 * 60):
        due = game.next_tick(due, due + 0.01)
    assert due == pytest.approx(60)


def test_no_more_ticks_are_made_up_for_than_allowed(game: ModuleType) -> None:
    """After an hour in which nothing ran."""
    due, now, made_up = 0.0, 3600.0, 0
    while (due := game.next_tick(due, now)) <= now:
        made_up += 1
    assert made_up in (game.CATCH_UP, game.CATCH_UP + 1)
    assert now < due <= now + 1 / game.RATE


def test_ship_stays_in_the_arena_and_no_thrust_is_larger_than_one(game: ModuleType) -> None:
    world, ship = game.World(), game.Ship(1)
    world.ships.add(ship)
    ship.steer(1, -1)
    assert ship.wish_x**2 + ship.wish_y**2 == pytest.approx(1)
    for _ in range(600):
        world.step()
    assert (ship.x, ship.y) == (game.WIDTH - game.EDGE, game.EDGE)


def test_who_reaches_a_gem_has_it(game: ModuleType) -> None:
    world, ship = game.World(), game.Ship(1)
    world.ships.add(ship)
    world.gems = [(round(ship.x), round(ship.y)), (round(ship.x) + game.REACH + 1, round(ship.y))]
    _, left = world.gems
    world.step()
    assert ship.score == 1
    assert world.gems[1] == left
    assert len(world.gems) == 2


async def hear_state(ws: WebSocket) -> dict[str, Any]:
    while (told := await hear(ws))["kind"] != "state":
        pass
    return told


async def test_each_tick_is_told_to_all(start: Start) -> None:
    uri = start("game/server.py").uri
    async with connect(uri) as first, connect(uri) as second:
        numbers = [(await hear(ws))["number"] for ws in (first, second)]
        assert numbers == [1, 2]
        while len((state := await hear_state(first))["ships"]) < 2:
            pass
        ticks = [(await hear_state(first))["tick"] for _ in range(30)]
        assert ticks == list(range(state["tick"] + 1, state["tick"] + 31))
        while (other := await hear_state(second))["tick"] < ticks[-1]:
            pass
        await say(second, kind="ping", at=12.5)
        while (told := await hear(second))["kind"] != "pong":
            pass
        assert told == {"kind": "pong", "at": 12.5}

        (x, y) = next(ship[1:3] for ship in other["ships"] if ship[0] == 2)
        way = 1 if x < 800 else -1
        await say(second, kind="steer", x=way, y=0)
        while True:  # until the first sees that it has gone so far, and only in this direction
            state = await hear_state(first)
            ship = next(ship for ship in state["ships"] if ship[0] == 2)
            assert ship[2] == y
            if (ship[1] - x) * way > 100:
                break
        await second.close()
        while len((await hear_state(first))["ships"]) > 1:
            pass


async def test_what_is_no_move_is_refused(start: Start) -> None:
    uri = start("game/server.py").uri
    for message in (
        "hello",
        b"{}",
        '{"kind": "steer", "x": 2, "y": 0}',
        '{"kind": "steer", "x": NaN, "y": 0}',
        '{"kind": "steer", "x": "1", "y": 0}',
        '{"kind": "ping", "at": Infinity}',
        '{"kind": "ping"}',
    ):
        async with connect(uri) as ws:
            await ws.send(message)
            await expect_close(ws, 1008)
    async with connect(uri) as ws:
        await ws.send(json.dumps({"kind": "ping", "at": 1, "more": "x" * 256}))
        await expect_close(ws, 1009)


async def test_one_player_too_many_is_turned_away(start: Start) -> None:
    uri = start("game/server.py").uri
    players = [await connect(uri) for _ in range(40)]
    with pytest.raises(InvalidStatus) as refused:
        await connect(uri)
    assert refused.value.response.status == 503
    for ws in players:
        ws.abort()
