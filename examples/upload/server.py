"""Files of any size come up, and are never held whole: not by the server, nor by the page.

Run: python examples/upload/server.py [--port 8765]
Then open http://127.0.0.1:8765/
"""

import argparse
import asyncio
import json
import re
from base64 import b64encode
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

from wsproto_async import CloseCode, Request, Response, WebSocket, run

MAX_FILE = 2**30  # bytes
MAX_FOLDER = 4 * 2**30  # bytes of all files


class Folder:
    """Where the files go, and how much of it is taken or promised."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.taken = 0


async def handler(ws: WebSocket, folder: Folder) -> None:
    """Take one file of /upload?size=BYTES, in binary messages of any size and number.

    Tell {"received"} for each percent of it that is written, and at its end {"sha256"}. Whoever
    does not want to go on closes the connection.
    """
    size = parse_size(ws.path)
    if size is None:
        await ws.close(CloseCode.POLICY_VIOLATION, "no size")
    elif size > MAX_FILE:
        await ws.close(CloseCode.MESSAGE_TOO_BIG, f"a file has up to {MAX_FILE >> 20} MiB here")
    elif folder.taken + size > MAX_FOLDER:
        await ws.close(CloseCode.TRY_AGAIN_LATER, "the disk is full")
    else:
        path = folder.path / ws.id.hex  # never a name that somebody else has chosen
        folder.taken += size
        is_complete = False
        try:
            is_complete = await receive_file(ws, path, size)
        finally:
            if not is_complete:
                path.unlink(missing_ok=True)
                folder.taken -= size


async def receive_file(ws: WebSocket, path: Path, size: int) -> bool:
    digest = sha256()
    received = told = 0

    def store(part: bytes) -> None:
        file.write(part)
        digest.update(part)

    with await asyncio.to_thread(path.open, "wb") as file:
        while received < size:
            async for part in ws.recv_streaming():  # a message, as it comes
                if isinstance(part, str) or received + len(part) > size:
                    await ws.close(CloseCode.POLICY_VIOLATION, "not what was announced")
                    return False
                # While the disk is slow nobody reads, and the page has to wait.
                await asyncio.to_thread(store, part)
                received += len(part)
                if received - told >= size / 100:
                    told = received
                    await ws.send(json.dumps({"received": received}))
    await ws.send(json.dumps({"sha256": digest.hexdigest()}))
    return True


def parse_size(path: str) -> int | None:
    (text,) = parse_qs(urlsplit(path).query).get("size", [""])[:1]
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else None


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
    parser = argparse.ArgumentParser(description="Take files, and serve a page that sends them.")
    parser.add_argument("--port", type=int, default=8765)
    options = parser.parse_args()
    print(f"Open http://127.0.0.1:{options.port}/", flush=True)
    with TemporaryDirectory() as path:  # gone at the end, with all that is in it
        run(
            partial(handler, folder=Folder(Path(path))),
            options.port,
            process_request=answer_http,
            compression=None,  # most files are compressed already
            max_size=MAX_FILE,  # of a message, which recv_streaming() does not hold
            max_fragments=None,
            max_connections=100,
        )
