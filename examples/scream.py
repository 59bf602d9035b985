"""Answer text in capitals, with three exclamation marks: "hi" becomes "HI!!!".

Run: python examples/scream.py [port]
"""

import sys

from wsproto_async import CloseCode, WebSocket, run


async def scream(ws: WebSocket) -> None:
    async for message in ws:
        if isinstance(message, bytes):
            await ws.close(CloseCode.UNSUPPORTED_DATA, "only text can be screamed")
            return
        await ws.send(message.upper() + "!!!")


if __name__ == "__main__":
    run(scream, int(sys.argv[1]) if len(sys.argv) > 1 else 8765)
