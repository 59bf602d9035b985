"""A dashboard of the server itself: who opens the page sees the last minutes, then each new second.

Run: python examples/dashboard/server.py [--port 8765]
Then open http://127.0.0.1:8765/
"""

import argparse
import asyncio
import json
import os
import re
import time
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from wsproto_async import CloseCode, Request, Response, Server, Topic, WebSocket, serve

PAUSE = 0.5  # seconds between two samples
KEPT = 600  # samples: five minutes
GLANCE = 0.01  # seconds between two looks at how late the event loop is

# Each sample has the same key, so a page that is slow gets the newest and goes on from there.
SAMPLES = Topic("samples", slow="latest", history=KEPT)


async def handler(ws: WebSocket) -> None:
    """Tell the samples; take "hello", any number of times, and count it like all messages."""
    await ws.subscribe("samples", last=KEPT)
    async for message in ws:
        if message != "hello":
            await ws.close(CloseCode.POLICY_VIOLATION, "only hello is counted")


async def publish_samples(server: Server) -> None:
    """Publish what has happened since the sample before."""
    at, cpu, before = time.monotonic(), time.process_time(), server.stats()
    while True:
        lag = await measure_lag(PAUSE)
        now, spent, stats = time.monotonic(), time.process_time(), server.stats()
        seconds = now - at
        sample = {
            "at": time.time(),
            "cpu": (spent - cpu) / seconds * 100,
            "lag": lag * 1000,
            "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "connections": stats.connections,
            "received": (stats.messages_received - before.messages_received) / seconds,
            "sent": (stats.messages_sent - before.messages_sent) / seconds,
        }
        at, cpu, before = now, spent, stats
        await server.publish("samples", json.dumps(sample), key="sample")


async def measure_lag(seconds: float) -> float:
    """Return how late the event loop came back to us, at the worst, in that time."""
    now = asyncio.get_running_loop().time
    end, lag = now() + seconds, 0.0
    while (asleep := now()) < end:
        await asyncio.sleep(GLANCE)
        lag = max(lag, now() - asleep - GLANCE)
    return lag


async def main(port: int) -> None:
    serving = serve(
        handler,
        port,
        topics=[SAMPLES],
        process_request=answer_http,
        max_size=16,
        max_connections=1000,
    )
    async with serving as server, asyncio.TaskGroup() as tasks:
        publishing = tasks.create_task(publish_samples(server))
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
    parser = argparse.ArgumentParser(description="Serve a dashboard of the server itself.")
    parser.add_argument("--port", type=int, default=8765)
    options = parser.parse_args()
    print(f"Open http://127.0.0.1:{options.port}/", flush=True)
    asyncio.run(main(options.port))
