"""An echo in Starlette that also says how long the way there and back is.

Run: python examples/starlette_echo.py [port]

ASGI knows no pings. The connection itself, which does, is an extension of the scope.
"""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

import wsproto_async


async def echo(ws: WebSocket) -> None:
    await ws.accept()
    connection: wsproto_async.WebSocket = ws.scope["extensions"]["wsproto_async"]["websocket"]
    latency = await (await connection.ping())
    await ws.send_text(f"{latency * 1000:.3f} ms there and back")
    async for text in ws.iter_text():
        await ws.send_text(text)


app = Starlette(routes=[WebSocketRoute("/", echo)])

if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8765
    uvicorn.run(app, port=port, ws="wsproto_async.uvicorn:WebSocketProtocol", lifespan="off")
