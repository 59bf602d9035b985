"""Send each message given, print each answer; a server such as echo.py answers one for one.

Run: python examples/client.py ws://127.0.0.1:8765/ hi "how are you"
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from wsproto_async import WebSocketError, connect


async def talk(uri: str, messages: Sequence[str]) -> None:
    async with connect(uri) as ws:
        for message in messages:
            await ws.send(message)
            print(">", message)
            print("<", await ws.recv(), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Send messages to a WebSocket server.")
    parser.add_argument("uri", nargs="?", default="ws://127.0.0.1:8765/")
    parser.add_argument("messages", nargs="*", default=["hi"], metavar="message")
    arguments = parser.parse_args()
    try:
        asyncio.run(talk(arguments.uri, arguments.messages))
    except KeyboardInterrupt:
        pass  # tired of waiting: the connection is closed by now
    except (OSError, WebSocketError) as error:
        sys.exit(f"client: {error}")


if __name__ == "__main__":
    main()
