"""A poll, with FastAPI: every vote moves the bars on every page.

Run: python examples/fastapi/server.py [--port 8765]
Then open http://127.0.0.1:8765/ in two windows.

What makes uvicorn use wsproto_async is an option in the last lines. On the command line it is
``uvicorn server:app --ws wsproto_async.uvicorn:WebSocketProtocol``.
"""

import argparse
import asyncio
import re
from base64 import b64encode
from collections import Counter
from hashlib import sha256
from pathlib import Path

import uvicorn
from fastapi import FastAPI, WebSocket
from fastapi.responses import HTMLResponse

FRUIT = ["Apple", "Cherry", "Fig", "Pear"]

app = FastAPI(title="Poll")
votes: Counter[str] = Counter()
news = asyncio.Event()  # replaced by each vote


@app.get("/votes")
async def read_votes() -> dict[str, int]:
    return {name: votes[name] for name in FRUIT}


@app.websocket("/votes")
async def vote(ws: WebSocket) -> None:
    await ws.accept()
    showing = asyncio.create_task(show(ws))
    try:
        async for name in ws.iter_text():
            if name not in FRUIT:
                await ws.close(1008, "that is not on the list")
                return
            count(name)
    finally:
        showing.cancel()


def count(name: str) -> None:
    global news
    votes[name] += 1
    news.set()
    news = asyncio.Event()


async def show(ws: WebSocket) -> None:
    """Send the votes whenever they have changed: to a slow page the newest, not each of them."""
    while True:
        changed = news
        await ws.send_json(await read_votes())
        await changed.wait()


# --- the page, and the start ---------------------------------------------------------------

PAGE = Path(__file__).with_name("index.html").read_text("utf-8")
PARTS = re.findall(r"<(?:style|script)>(.*?)</", PAGE, re.DOTALL)
HASHES = [f"'sha256-{b64encode(sha256(part.encode()).digest()).decode()}'" for part in PARTS]
POLICY = (
    f"default-src {' '.join(HASHES)}; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@app.get("/")
async def page() -> HTMLResponse:
    return HTMLResponse(PAGE, headers={"Content-Security-Policy": POLICY})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8765)
    options = parser.parse_args()
    print(f"Open http://127.0.0.1:{options.port}/", flush=True)
    uvicorn.run(
        app,
        port=options.port,
        ws="wsproto_async.uvicorn:WebSocketProtocol",
        ws_max_size=1024,
        lifespan="off",
    )
