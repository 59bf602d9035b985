"""A page that shows the server at work: echo, files, chat and round-trip time, on one port.

Run: python examples/demo/server.py [--port 8765] [--host 127.0.0.1]
"""

import argparse
import base64
import errno
import hashlib
import json
import re
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from wsproto_async import CloseCode, Request, Response, WebSocket, broadcast, run

MAX_FILE = 16 * 2**20  # bytes; the page refuses larger files before sending them
MAX_CHAT_MESSAGE = 8 * 2**10
MAX_NAME = 32

# --- the page, and plain HTTP --------------------------------------------------------------

PAGE = Path(__file__).with_name("index.html").read_text("utf-8")


def hash_source(element: str) -> str:
    """Allow the one inline <style> or <script> of the page, by its hash."""
    (content,) = re.findall(rf"<{element}>(.*?)</{element}>", PAGE, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "; ".join(
        [
            "default-src 'none'",
            f"style-src {hash_source('style')}",
            f"script-src {hash_source('script')}",
            "connect-src 'self'",  # covers ws: to this very host and port
            "img-src data:",  # the icon
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    ),
    # Together these also give the page a finer clock for its round-trip times.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def answer_http(ws: WebSocket, request: Request) -> Response | None:
    """Answer plain requests; return None to go on with the opening handshake."""
    path = drop_query(request.path)
    if request.headers.get("Upgrade", "").lower() != "websocket":
        if path == "/":
            return Response(200, headers=PAGE_HEADERS, body=PAGE)
        if path == "/healthz":
            return Response(200, body="OK\n")
    return None if path in HANDLERS else Response(404, body="Not found\n")


def drop_query(path: str) -> str:
    return path.partition("?")[0]


# --- WebSockets ----------------------------------------------------------------------------


async def scream(ws: WebSocket) -> None:
    """Answer "hi" with "HI!!!"; send files back as they came."""
    async for message in ws:
        await ws.send(message.upper() + "!!!" if isinstance(message, str) else message)


async def echo(ws: WebSocket) -> None:
    """Send probes straight back; the page takes the time."""
    async for message in ws:
        await ws.send(message)


members: dict[WebSocket, str] = {}  # everybody in the chat, under unique names


async def chat(ws: WebSocket) -> None:
    """Take {"kind": "name", "name": …} first, then {"kind": "say", "text": …}, both at any time.

    Everybody hears of it as {"kind", "name", "text", "present"}, where kind is join, rename,
    say or leave. The name is made unique, so the one who chose it gets kind "you" as well.
    """
    try:
        async for message in ws:
            match parse(message):
                case {"kind": "name", "name": str(name)}:
                    enter(ws, name)
                case {"kind": "say", "text": str(text)} if ws in members:
                    tell(members, "say", members[ws], text)
                case _:
                    await ws.close(CloseCode.POLICY_VIOLATION, "not a chat message")
                    return
    finally:
        if ws in members:
            name = members.pop(ws)
            tell(members, "leave", name)


def parse(message: str | bytes) -> object:
    """Return what the JSON text says, None if it is no such thing."""
    if isinstance(message, bytes) or len(message) > MAX_CHAT_MESSAGE:
        return None
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        return None


def enter(ws: WebSocket, wanted: str) -> None:
    """Let somebody into the room, or change their name."""
    before = members.pop(ws, None)
    base = " ".join(wanted.split())[:MAX_NAME] or "Guest"
    name, number = base, 1
    while name in members.values():
        number += 1
        name = f"{base} {number}"
    members[ws] = name
    tell([ws], "you", name)
    if before is None:
        tell(members, "join", name)
    elif before != name:
        tell(members, "rename", before, name)


def tell(whom: Iterable[WebSocket], kind: str, name: str, text: str = "") -> None:
    """Send to many at once; broadcast() waits for nobody, so a slow tab delays no other."""
    message = {"kind": kind, "name": name, "text": text, "present": len(members)}
    broadcast(whom, json.dumps(message))


HANDLERS = {"/": scream, "/chat": chat, "/ping": echo}


async def handler(ws: WebSocket) -> None:
    await HANDLERS[drop_query(ws.path)](ws)


# --- start ---------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the demo page and its WebSockets.")
    parser.add_argument("--port", type=int, default=8765, help="0 picks a free one")
    parser.add_argument("--host", default="127.0.0.1")
    arguments = parser.parse_args()

    family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
    try:
        sock = socket.create_server((arguments.host, arguments.port), family=family)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        sys.exit(
            f"Port {arguments.port} is taken. Another one: make demo PORT={arguments.port + 1}"
        )
    port = sock.getsockname()[1]
    host = f"[{arguments.host}]" if family == socket.AF_INET6 else arguments.host
    print(f"Open http://{host}:{port}/", flush=True)
    run(handler, port, sock=sock, process_request=answer_http, max_size=MAX_FILE)


if __name__ == "__main__":
    main()
