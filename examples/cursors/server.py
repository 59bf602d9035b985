"""Everybody sees where the others point: each cursor's latest place, and no older one, if they lag.

Run: python examples/cursors/server.py [--port 8765] [--workers 1] [--broker redis://localhost]
Then open http://127.0.0.1:8765/ twice.
"""

import argparse
import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from wsproto_async import (
    BrokerError,
    CloseCode,
    Publication,
    Request,
    Response,
    Topic,
    WebSocket,
    run,
)
from wsproto_async.pubsub import Kind


def wrap(publication: Publication) -> str | bytes:
    """Return what each page is told: a place as it is, and the id of who came or went."""
    if publication.kind is Kind.MESSAGE:
        return publication.message
    return json.dumps({"kind": publication.kind.name.lower(), "id": publication.message})


BOARD = Topic("board", slow="latest", presence=True, wrap=wrap)


async def handler(ws: WebSocket) -> None:
    """Take {"x", "y"}, each from 0 to 1, and tell the others."""
    assert ws.server is not None
    who = ws.id.hex
    try:
        await ws.subscribe("board", member=who)
        await ws.send(json.dumps({"kind": "you", "id": who}))
        async for message in ws:
            match parse(message):
                case {"x": int() | float() as x, "y": int() | float() as y} if (
                    0 <= x <= 1 and 0 <= y <= 1
                ):
                    place = json.dumps({"kind": "move", "id": who, "x": x, "y": y})
                    await ws.server.publish("board", place, key=who, exclude=ws)
                case _:
                    await ws.close(CloseCode.POLICY_VIOLATION, "not a place")
    except BrokerError:
        await ws.close(CloseCode.TRY_AGAIN_LATER, "the broker does not answer")


def parse(message: str | bytes) -> object:
    """Return what the JSON text says, None if it is no such thing."""
    try:
        return json.loads(message) if isinstance(message, str) else None
    except (ValueError, RecursionError):
        return None


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
    parser = argparse.ArgumentParser(description="Serve live cursors, and a page for them.")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--workers", type=int, default=1, help="processes, which share the board")
    parser.add_argument("--broker", help="shares the board with other servers: redis://...")
    options = parser.parse_args()
    print(f"Open http://127.0.0.1:{options.port}/", flush=True)
    run(handler, topics=[BOARD], process_request=answer_http, max_size=1024, **vars(options))
