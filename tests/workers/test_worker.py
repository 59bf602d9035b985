"""A worker's side of the socket to its supervisor."""

from __future__ import annotations

import pytest
from programs import Start

LENT = """
import asyncio, logging, os, resource, socket, sys
import uvloop
from wsproto_async import serve
from wsproto_async.workers.worker import LEND, in_touch

LENT = 8

class Told(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.event = asyncio.Event()

    def emit(self, record):
        self.event.set()

async def handler(ws):
    await ws.wait_closed()

def descriptors():
    return set(os.listdir("/proc/self/fd"))

async def main():
    supervisor, channel = socket.socketpair()
    others = [socket.create_server(("127.0.0.1", 0)) for _ in range(LENT)]
    told = Told()
    logging.getLogger().addHandler(told)
    async with serve(handler, 0) as server:
        with in_touch(server, channel, None):
            socket.send_fds(supervisor, [LEND], [others[0].fileno()])
            before = descriptors()
            while descriptors() == before:  # it is taken, and accepted on
                await asyncio.sleep(0)
            lowest = os.dup(0)
            os.close(lowest)
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + LENT // 2, hard))
            socket.send_fds(supervisor, [LEND], [sock.fileno() for sock in others])
            await told.event.wait()
            print("left over:", len(descriptors() - before), flush=True)
            await server.serve_forever()

logging.basicConfig(format="%(levelname)s %(message)s", level=logging.INFO)
{"asyncio": asyncio, "uvloop": uvloop}[sys.argv[1]].run(main())
"""


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_sockets_that_there_is_no_room_for_are_not_taken(start: Start, loop: str) -> None:
    program = start(LENT, loop)
    assert program.wait_for("left over: (.*)") == ["0"]
    program.connect().close()  # it serves on
    assert program.found("(?:WARNING|ERROR|Traceback).*") == [
        "WARNING lent sockets are not accepted on: there is no room for all of them"
    ]
