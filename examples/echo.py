"""Send every message back as it came: text as text, binary as binary.

Run: python examples/echo.py [port]
"""

import sys

from wsproto_async import WebSocket, run


async def echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


if __name__ == "__main__":
    run(echo, int(sys.argv[1]) if len(sys.argv) > 1 else 8765)
