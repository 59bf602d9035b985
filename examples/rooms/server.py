"""Chat rooms: who is there, what was said before, and after a lost connection what was missed.

Run: python examples/rooms/server.py [--port 8765] [--workers 1] [--broker redis://localhost]
Then open http://127.0.0.1:8765/
"""

import argparse
import json
import re
import time
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from wsproto_async import (
    BrokerError,
    CloseCode,
    Position,
    Publication,
    Request,
    Response,
    Topic,
    WebSocket,
    broadcast,
    run,
)
from wsproto_async.pubsub import Kind

KEPT = 200  # messages of a room, for a week
SHOWN = 50  # of them, to who is new
MAX_SIZE = 8 * 2**10  # bytes of what a page sends
MAX_TEXT = 1000


def wrap(publication: Publication) -> str:
    """Return what each page in the room is told."""
    if publication.kind is not Kind.MESSAGE:
        return json.dumps({"kind": publication.kind.name.lower(), "name": publication.message})
    said = json.loads(publication.message)
    return json.dumps({"kind": "said", "position": str(publication.position), **said})


def tell_gap(websockets: frozenset[WebSocket], room: str) -> None:
    """After an outage of the broker nobody knows who has come and left meanwhile."""
    broadcast(websockets, json.dumps({"kind": "gap"}))


ROOMS = Topic(
    "room:*", history=KEPT, history_age=7 * 86400, presence=True, wrap=wrap, on_gap=tell_gap
)


async def handler(ws: WebSocket) -> None:
    """Take {"kind": "join", "room", "name", "since"} first: since is the position that the page
    was told last, or "". Then take {"kind": "say", "text", "id"} and {"kind": "who"}.
    """
    try:
        match parse(await ws.recv()):
            case {"kind": "join", "room": str(room), "name": str(name), "since": str(since)} if (
                is_name(room) and is_name(name)
            ):
                await chat(ws, f"room:{room}", name, parse_position(since))
            case _:
                await ws.close(CloseCode.POLICY_VIOLATION, "no such room or name")
    except BrokerError:  # the page comes again, with what it could not say
        await ws.close(CloseCode.TRY_AGAIN_LATER, "the broker does not answer")


async def chat(ws: WebSocket, room: str, name: str, since: Position | None) -> None:
    assert ws.server is not None
    # What was missed is sent before this is done.
    subscription = await ws.subscribe(room, since=since, last=SHOWN, member=name)
    await ws.send(json.dumps({"kind": "entered", "position": str(subscription.position)}))
    async for message in ws:
        match parse(message):
            case {"kind": "say", "text": str(text), "id": str(key)} if 0 < len(
                text
            ) <= MAX_TEXT and re.fullmatch("[0-9a-f]{32}", key):
                said = json.dumps({"name": name, "text": text, "id": key, "at": time.time()})
                # A page that does not know if it was heard says it again, with the same id.
                await ws.server.publish(room, said, idempotency_key=key)
            case {"kind": "who"}:
                names = sorted((await ws.server.members(room)).values())
                await ws.send(json.dumps({"kind": "here", "names": names}))
            case _:
                await ws.close(CloseCode.POLICY_VIOLATION, "not a chat message")


def parse(message: str | bytes) -> object:
    """Return what the JSON text says, None if it is no such thing."""
    try:
        return json.loads(message) if isinstance(message, str) else None
    except (ValueError, RecursionError):
        return None


def parse_position(text: str) -> Position | None:
    try:
        return Position.parse(text)
    except ValueError:
        return None


def is_name(name: str) -> bool:
    return 0 < len(name) <= 32 and name.isprintable() and "*" not in name


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
    parser = argparse.ArgumentParser(description="Serve chat rooms, and a page for them.")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--workers", type=int, default=1, help="processes, which share the rooms")
    parser.add_argument("--broker", help="shares the rooms with other servers: redis://...")
    options = parser.parse_args()
    print(f"Open http://127.0.0.1:{options.port}/", flush=True)
    run(handler, topics=[ROOMS], process_request=answer_http, max_size=MAX_SIZE, **vars(options))
