"""A game for many, at 60 ticks a second: the server moves the ships, the pages steer and show them.

Run: python examples/game/server.py [--port 8765]
Then open http://127.0.0.1:8765/ twice.
"""

import argparse
import asyncio
import json
import math
import random
import re
import socket
from base64 import b64encode
from hashlib import sha256
from itertools import count
from pathlib import Path

from wsproto_async import CloseCode, Request, Response, Server, Topic, WebSocket, serve

RATE = 60  # ticks per second
CATCH_UP = 6  # ticks that are made up for, at once; what is later than that is given up
WIDTH, HEIGHT = 1600, 1000  # units
EDGE = 24  # units along it where no ship gets
THRUST, DRAG = 1500.0, 2.5  # units per s², per s: a ship gets as fast as one over the other
GEMS = 15
REACH = 36  # units from which a ship takes a gem
MAX_PLAYERS = 40

# Each state is complete: of those that wait for a slow page only the latest counts.
STATE = Topic("state", slow="latest")

# --- the world, which knows of no connection -----------------------------------------------


class Ship:
    def __init__(self, number: int) -> None:
        self.number = number
        self.x, self.y = map(float, somewhere())
        self.vx = self.vy = self.wish_x = self.wish_y = 0.0
        self.score = 0

    def move(self, seconds: float) -> None:
        self.vx += (self.wish_x * THRUST - self.vx * DRAG) * seconds
        self.vy += (self.wish_y * THRUST - self.vy * DRAG) * seconds
        self.x = min(max(self.x + self.vx * seconds, EDGE), WIDTH - EDGE)
        self.y = min(max(self.y + self.vy * seconds, EDGE), HEIGHT - EDGE)

    def steer(self, x: float, y: float) -> None:
        """Take what a page wants, but nobody has more thrust than others."""
        length = max(math.hypot(x, y), 1)
        self.wish_x, self.wish_y = x / length, y / length


class World:
    def __init__(self) -> None:
        self.tick = 0
        self.ships: set[Ship] = set()
        self.gems = [somewhere() for _ in range(GEMS)]

    def step(self) -> None:
        self.tick += 1
        for ship in self.ships:
            ship.move(1 / RATE)
            for index, gem in enumerate(self.gems):
                if math.dist(gem, (ship.x, ship.y)) < REACH:
                    self.gems[index] = somewhere()
                    ship.score += 1

    def state(self) -> str:
        ships = [
            [each.number, round(each.x, 1), round(each.y, 1), each.score] for each in self.ships
        ]
        return json.dumps({"kind": "state", "tick": self.tick, "ships": ships, "gems": self.gems})


def somewhere() -> tuple[int, int]:
    return random.randint(REACH, WIDTH - REACH), random.randint(REACH, HEIGHT - REACH)


# --- the server ----------------------------------------------------------------------------

world = World()
numbers = count(1)


async def handler(ws: WebSocket) -> None:
    """Take {"kind": "steer", "x", "y"}, each from -1 to 1, and answer {"kind": "ping", "at"}."""
    ship = Ship(next(numbers))
    world.ships.add(ship)
    try:
        await ws.send(json.dumps({"kind": "you", "number": ship.number}))
        await ws.subscribe("state")
        async for message in ws:
            match parse(message):
                case {"kind": "steer", "x": int() | float() as x, "y": int() | float() as y} if (
                    -1 <= x <= 1 and -1 <= y <= 1
                ):
                    ship.steer(x, y)
                case {"kind": "ping", "at": int() | float() as at} if 0 <= at < 2**53:
                    await ws.send(json.dumps({"kind": "pong", "at": at}))
                case _:
                    await ws.close(CloseCode.POLICY_VIOLATION, "that is no move")
    finally:
        world.ships.discard(ship)


async def play(server: Server) -> None:
    """Tick for ever: each tick is one message, framed once for all."""
    now = asyncio.get_running_loop().time
    due = now()
    while True:
        due = next_tick(due, now())
        await asyncio.sleep(due - now())  # not at all if it is late
        world.step()
        await server.publish("state", world.state(), key="state", compress=False)


def next_tick(due: float, now: float) -> float:
    """Return when the tick after that of ``due`` is due: what it is late by is not passed on."""
    return max(due + 1 / RATE, now - CATCH_UP / RATE)


def parse(message: str | bytes) -> object:
    """Return what the JSON text says, None if it is no such thing."""
    try:
        return json.loads(message) if isinstance(message, str) else None
    except (ValueError, RecursionError):
        return None


async def main(port: int) -> None:
    sock = socket.create_server(("127.0.0.1", port))
    # What the system holds for a slow page grows old there, and cannot be replaced any more.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**14)
    serving = serve(
        handler,
        sock=sock,
        topics=[STATE],
        process_request=answer_http,
        write_limit=2**13,
        max_size=256,
        max_connections=MAX_PLAYERS,
    )
    async with serving as server, asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(play(server))
        await server.serve_forever()
        playing.cancel()


# --- the page, and the start ---------------------------------------------------------------

PAGE = Path(__file__).with_name("index.html").read_text("utf-8")
PARTS = re.findall(r"<(?:style|script)>(.*?)</", PAGE, re.DOTALL)
HASHES = [f"'sha256-{b64encode(sha256(part.encode()).digest()).decode()}'" for part in PARTS]
HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": f"default-src {' '.join(HASHES)}; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


def answer_http(ws: WebSocket, request: Request) -> Response | None:
    if "Upgrade" in request.headers:
        return None
    return Response(200, headers=HEADERS, body=PAGE) if request.path == "/" else Response(404)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve a game for many, and a page to play it.")
    parser.add_argument("--port", type=int, default=8765)
    options = parser.parse_args()
    print(f"Open http://127.0.0.1:{options.port}/", flush=True)
    asyncio.run(main(options.port))
