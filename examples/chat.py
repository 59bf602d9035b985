"""A chat with one room: everybody gets what anybody says, and hears who comes and goes.

Run: python examples/chat.py [port]
"""

import sys
from itertools import count

from wsproto_async import WebSocket, broadcast, run

room: set[WebSocket] = set()
numbers = count(1)


async def chat(ws: WebSocket) -> None:
    name = f"guest {next(numbers)}"
    room.add(ws)
    broadcast(room, f"* {name} joined, {len(room)} here")
    try:
        async for message in ws:
            if isinstance(message, str):
                # broadcast() waits for nobody, so a slow member holds up only itself.
                broadcast(room, f"{name}: {message}")
    finally:  # left politely, lost, or cut off: the others hear of it all the same
        room.discard(ws)
        broadcast(room, f"* {name} left, {len(room)} here")


if __name__ == "__main__":
    run(chat, int(sys.argv[1]) if len(sys.argv) > 1 else 8765)
