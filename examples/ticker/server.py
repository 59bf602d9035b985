"""Prices that change all the time: a page that is slow skips old ones, and never misses the newest.

Run: python examples/ticker/server.py [--port 8765]
Then open http://127.0.0.1:8765/
"""

import argparse
import asyncio
import json
import random
import re
import socket
import time
from base64 import b64encode
from collections import deque
from hashlib import sha256
from itertools import count
from pathlib import Path

from wsproto_async import CloseCode, Request, Response, Server, Topic, WebSocket, serve

SYMBOLS = ["ASH", "BOX", "ELM", "FIG", "FIR", "HOP", "IVY", "OAK", "PEA", "RYE", "TEA", "YEW"]
PAUSE = 0.02  # seconds between two prices of one symbol
TREND = 60  # prices

# Each quote is complete without those before it. That is what makes them fit for "latest".
QUOTES = Topic("quotes", slow="latest")


async def handler(ws: WebSocket) -> None:
    await ws.subscribe("quotes")
    async for _ in ws:
        await ws.close(CloseCode.POLICY_VIOLATION, "there is nothing to say")


async def publish_quotes(server: Server) -> None:
    trends = {symbol: deque([random.uniform(20, 400)], maxlen=TREND) for symbol in SYMBOLS}
    for number in count(1):
        for symbol, trend in trends.items():
            trend.append(trend[-1] * random.gauss(1, 0.0008))
            prices = [round(price, 2) for price in trend]
            quote = {"symbol": symbol, "number": number, "at": time.time(), "trend": prices}
            await server.publish("quotes", json.dumps(quote), key=symbol)
        await asyncio.sleep(PAUSE)


async def main(port: int) -> None:
    sock = socket.create_server(("127.0.0.1", port))
    # What the system holds for a slow page grows old there, and cannot be replaced any more.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**14)
    serving = serve(
        handler,
        sock=sock,
        topics=[QUOTES],
        process_request=answer_http,
        write_limit=2**13,
        max_size=1024,
    )
    async with serving as server, asyncio.TaskGroup() as tasks:
        publishing = tasks.create_task(publish_quotes(server))
        await server.serve_forever()
        publishing.cancel()


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
    parser = argparse.ArgumentParser(description="Serve a ticker, and a page for it.")
    parser.add_argument("--port", type=int, default=8765)
    options = parser.parse_args()
    print(f"Open http://127.0.0.1:{options.port}/", flush=True)
    asyncio.run(main(options.port))
