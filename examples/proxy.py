"""Forward each connection to another server, piece by piece: no message is ever held whole.

Run: python examples/proxy.py ws://127.0.0.1:9000 [port]
"""

import argparse
from asyncio import TaskGroup
from collections.abc import Sequence
from functools import partial

from wsproto_async import (
    CloseCode,
    ConnectionClosed,
    InvalidStatus,
    Request,
    Response,
    WebSocket,
    WebSocketError,
    connect,
    run,
)

PASSED_ON = ("Authorization", "Cookie", "Host", "Origin", "User-Agent")
upstreams: dict[WebSocket, WebSocket] = {}  # by the client's connection, until that is open

# --- the opening handshake -----------------------------------------------------------------


async def open_upstream(ws: WebSocket, request: Request, target: str) -> Response | None:
    """Connect to the other server first: what it refuses is refused."""
    if "Upgrade" not in request.headers:
        return None
    headers = [(name, request.headers[name]) for name in PASSED_ON if name in request.headers]
    offered = ",".join(request.headers.get_all("Sec-WebSocket-Protocol"))
    try:
        upstreams[ws] = await connect(
            target + request.path,
            subprotocols=[each.strip() for each in offered.split(",") if each.strip()],
            additional_headers=[*headers, ("X-Forwarded-For", ws.remote_address[0])],
            user_agent_header=None,
            compression=None,  # between us and the client it is worth more
            proxy=None,
            open_timeout=5,
            max_size=None,
            max_fragments=None,
        )
    except InvalidStatus as exc:
        return Response(exc.response.status, body=exc.response.body)
    except (OSError, WebSocketError):
        return Response(502, body="The other server does not answer\n")
    except ValueError:
        return Response(400, body="That cannot be passed on\n")
    return None


def select_subprotocol(ws: WebSocket, offered: Sequence[str]) -> str | None:
    return upstreams[ws].subprotocol


def drop_upstream(ws: WebSocket, request: Request, response: Response) -> None:
    """Leave none behind if we refuse the client ourselves."""
    if response.status != 101 and ws in upstreams:
        upstreams.pop(ws).abort()


# --- both directions -----------------------------------------------------------------------


async def handler(ws: WebSocket) -> None:
    async with upstreams.pop(ws) as upstream, TaskGroup() as tasks:
        tasks.create_task(forward(ws, upstream, CloseCode.GOING_AWAY))
        tasks.create_task(forward(upstream, ws, CloseCode.BAD_GATEWAY))


async def forward(source: WebSocket, target: WebSocket, if_lost: CloseCode) -> None:
    """Pass on what the source sends, and how it closes.

    While the target does not take more, nobody asks the source for more, and so it has to wait.
    """
    try:
        while True:
            await target.send(source.recv_streaming())
    except ConnectionClosed:
        match source.close_code:
            case None:
                pass  # the target is gone: the other direction passes that on
            case CloseCode.ABNORMAL_CLOSURE:
                await target.close(if_lost)
            case CloseCode.NO_STATUS_RCVD:
                await target.close()
            case code:
                await target.close(code, source.close_reason or "")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Forward WebSocket connections.")
    parser.add_argument("target", help="ws://HOST:PORT; the path is the client's")
    parser.add_argument("port", nargs="?", type=int, default=8765)
    options = parser.parse_args()
    run(
        handler,
        options.port,
        process_request=partial(open_upstream, target=options.target.rstrip("/")),
        select_subprotocol=select_subprotocol,
        process_response=drop_upstream,
        origins=None,  # Host and Origin are passed on: that is the other server's to say
        max_size=None,  # of a message, which nobody here holds
        max_fragments=None,
    )
