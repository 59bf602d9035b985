"""An answer that comes token by token, as from a language model, and stops when nobody wants it.

Run: python examples/tokens/server.py [--port 8765] [--rate 40]
Then open http://127.0.0.1:8765/
"""

import argparse
import asyncio
import json
import logging
import random
import re
from base64 import b64encode
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from wsproto_async import CloseCode, Request, Response, WebSocket, run

MAX_PROMPT = 2000  # characters
MAX_SIZE = 2**14  # bytes of what a page sends
log = logging.getLogger("tokens")

# --- the model: this is where yours goes ---------------------------------------------------

TEXT = """
A connection is a promise that both sides keep . A server that streams an answer sends each
token as soon as the model has it . A page that reads slowly makes the server wait , and a server
that waits makes the model wait . A model that waits costs nothing . A page that goes away takes
its task with it , and the task takes the model . A good answer is short . A long answer is a
stream , and a stream is a queue with a limit . The limit is what keeps a server alive . A queue
without a limit is a leak that has not been found yet . Whoever stops an answer stops the model ,
not only the words on the page . The words that have come stay where they are . A task that is
cancelled ends at the next await , and its group ends with it . Nothing is left behind .
"""


async def generate(prompt: str, rate: float) -> AsyncGenerator[str, None]:
    """Yield the tokens of an answer: from a chain of words here, from a model in your program."""
    following = defaultdict(list)
    for word, after in pairwise(TEXT.split()):
        following[word].append(after)
    subject = max(re.findall(r"\w+", prompt), key=len, default="that")
    for word in ["On", subject, "."]:
        yield word if word == "." else f" {word}"
    sentences = random.randint(6, 10)
    while sentences:
        await asyncio.sleep(random.expovariate(rate))
        word = random.choice(following[word])
        yield word if word in ".," else f" {word}"
        sentences -= word == "."


# --- the server ----------------------------------------------------------------------------


async def handler(ws: WebSocket, rate: float) -> None:
    """Take {"kind": "ask", "prompt"} and {"kind": "stop"}, at any time; each ask ends the answer
    that is under way. Tell {"token"} for each token, then {"end": "complete"} or "stopped".
    """
    answering: asyncio.Task[None] | None = None
    async with ws.tasks() as tasks:  # the end of the connection ends the answer, too
        async for message in ws:
            match parse(message):
                case {"kind": "ask", "prompt": str(prompt)} if 0 < len(prompt) <= MAX_PROMPT:
                    await stop(ws, answering)
                    answering = tasks.create_task(answer(ws, prompt, rate))
                case {"kind": "stop"}:
                    await stop(ws, answering)
                case _:
                    await ws.close(CloseCode.POLICY_VIOLATION, "neither a prompt nor a stop")


async def answer(ws: WebSocket, prompt: str, rate: float) -> None:
    count = 0
    try:
        async with aclosing(generate(prompt, rate)) as tokens:  # ends the model, wherever we are
            async for token in tokens:
                # Waits while the page does not read, and so does the model.
                await ws.send(json.dumps({"token": token}))
                count += 1
        await ws.send(json.dumps({"end": "complete"}))
    finally:
        log.info("answered with %d tokens", count)


async def stop(ws: WebSocket, answering: asyncio.Task[None] | None) -> None:
    """Cancel the answer if it is under way. It ends at once, between two tokens."""
    if answering is not None and not answering.done():
        answering.cancel()
        await asyncio.wait([answering])
        await ws.send(json.dumps({"end": "stopped"}))


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
    parser = argparse.ArgumentParser(description="Serve answers token by token, and a page.")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--rate", type=float, default=40, help="tokens per second")
    options = parser.parse_args()
    print(f"Open http://127.0.0.1:{options.port}/", flush=True)
    answering = partial(handler, rate=options.rate)
    run(answering, options.port, process_request=answer_http, max_size=MAX_SIZE)
