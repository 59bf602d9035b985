"""A whiteboard for all who have the page open: who comes later sees all that was drawn before.

Run: python examples/whiteboard/server.py [--port 8765] [--workers 1] [--broker redis://localhost]
Then open http://127.0.0.1:8765/ twice.
"""

import argparse
import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from wsproto_async import BrokerError, CloseCode, Request, Response, Topic, WebSocket, run

WIDTH, HEIGHT = 3200, 2000  # of the board, in units of its own
COLORS, PENS = 6, 3  # to choose from
MAX_POINTS = 1000  # of a stroke
MAX_SIZE = 2**14  # bytes of a message, which is one stroke at most
KEPT = 2000  # messages, for a day

# What has happened on the board, in the one order in which everybody sees it: whole strokes. To
# who comes all that is kept is sent, and may wait.
BOARD = Topic("board", history=KEPT, history_age=86_400, max_bytes=KEPT * MAX_SIZE)
# Strokes while they are drawn: who is slow, or comes later, does not need them.
PENS_DOWN = Topic("pens", slow="drop-oldest")


async def handler(ws: WebSocket) -> None:
    """Take {"kind": "enter", "secret"} first: strokes stay their owner's over a lost connection.

    Then take {"kind": "pen", "stroke", "color", "pen", "points"} for what is being drawn, "stroke"
    with the same for what is drawn, {"kind": "undo", "stroke"} and {"kind": "clear"}. All is told
    to everybody, and by whom: "by" is made of the secret. {"kind": "lift"} tells who has left.
    """
    assert ws.server is not None
    try:
        match parse(await ws.recv()):
            case {"kind": "enter", "secret": str(secret)} if re.fullmatch("[0-9a-f]{32}", secret):
                by = sha256(secret.encode()).hexdigest()[:16]
            case _:
                await ws.close(CloseCode.POLICY_VIOLATION, "who are you?")
                return
        await ws.subscribe("pens")
        await ws.subscribe("board", last=KEPT)  # what is kept is sent before this is done
        await ws.send(json.dumps({"kind": "entered", "by": by}))
        try:
            await draw(ws, by)
        finally:
            ws.server.publish("pens", json.dumps({"kind": "lift", "by": by}))
    except BrokerError:
        await ws.close(CloseCode.TRY_AGAIN_LATER, "the broker does not answer")


async def draw(ws: WebSocket, by: str) -> None:
    assert ws.server is not None
    async for message in ws:
        match parse(message):
            case {
                "kind": "pen" | "stroke" as kind,
                "stroke": number,
                "points": [*points],
                **how,
            } if (
                is_below(number, 2**32)
                and is_below(how.get("color"), COLORS)
                and is_below(how.get("pen"), PENS)
                and 0 < len(points) <= MAX_POINTS
                and all(map(is_point, points))
            ):
                stroke = {key: how[key] for key in ("color", "pen")}
                stroke |= {"kind": kind, "by": by, "stroke": number, "points": points}
                text = json.dumps(stroke, separators=(",", ":"))
                if kind == "pen":
                    await ws.server.publish("pens", text, exclude=ws)
                else:  # a page that does not know if it was heard sends it again
                    await ws.server.publish("board", text, idempotency_key=f"{by}:{number}")
            case {"kind": "undo", "stroke": number} if is_below(number, 2**32):
                undo = {"kind": "undo", "by": by, "stroke": number}
                await ws.server.publish("board", json.dumps(undo))
            case {"kind": "clear"}:
                await ws.server.publish("board", json.dumps({"kind": "clear", "by": by}))
            case _:
                await ws.close(CloseCode.POLICY_VIOLATION, "that cannot be drawn")


def is_below(value: object, limit: int) -> bool:
    return type(value) is int and 0 <= value < limit


def is_point(value: object) -> bool:
    match value:
        case [x, y]:
            return is_below(x, WIDTH + 1) and is_below(y, HEIGHT + 1)
    return False


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
    parser = argparse.ArgumentParser(description="Serve a whiteboard, and a page for it.")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--workers", type=int, default=1, help="processes, which share the board")
    parser.add_argument("--broker", help="shares the board with other servers: redis://...")
    options = parser.parse_args()
    print(f"Open http://127.0.0.1:{options.port}/", flush=True)
    run(
        handler,
        topics=[BOARD, PENS_DOWN],
        process_request=answer_http,
        max_size=MAX_SIZE,
        **vars(options),
    )
