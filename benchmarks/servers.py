"""The servers that are measured, each as its documentation would have it written.

Run: python benchmarks/servers.py NAME [--loop asyncio] [--deflate]

It prints its port. On the path /fanout each message goes to every connection, on /topic it is
published to all subscribers where there are topics, on all others it comes back.
Permessage-deflate is off, or on without context takeover.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
from functools import partial
from pathlib import Path
from typing import Any

from uvloop import new_event_loop


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def serve_ours(deflate: bool) -> None:
    from wsproto_async import WebSocket, broadcast, serve

    async def handler(ws: WebSocket) -> None:
        if ws.path == "/fanout":
            async for message in ws:
                broadcast(server.connections, message)
        elif ws.path == "/topic":
            await ws.subscribe("all")
            async for message in ws:
                server.publish("all", message)
        else:
            async for message in ws:
                await ws.send(message)

    async with serve(
        handler, 0, compression="deflate" if deflate else None, max_size=2**27, max_fragments=None
    ) as server:
        print(server.port, flush=True)
        await forever()


async def serve_websockets(deflate: bool) -> None:
    from websockets.asyncio.server import ServerConnection, broadcast, serve
    from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

    async def handler(ws: ServerConnection) -> None:
        if ws.request is not None and ws.request.path in ("/fanout", "/topic"):
            async for message in ws:
                broadcast(server.connections, message)
        else:
            async for message in ws:
                await ws.send(message)

    factory = ServerPerMessageDeflateFactory(
        server_no_context_takeover=True,
        client_no_context_takeover=True,
        compress_settings={"level": 1},
    )
    async with serve(
        handler,
        "127.0.0.1",
        0,
        compression=None,
        extensions=[factory] if deflate else None,
        max_size=2**27,
        backlog=1024,
    ) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await forever()


async def serve_picows(deflate: bool) -> None:
    import picows

    assert not deflate, "its core does not compress"
    everyone: set[picows.WSTransport] = set()

    class Listener(picows.WSListener):  # type: ignore[misc]
        def on_ws_connected(self, transport: picows.WSTransport) -> None:
            pass

        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            if frame.msg_type == picows.WSMsgType.CLOSE:
                transport.send_close(frame.get_close_code(), frame.get_close_message())
                transport.disconnect()
            elif frame.msg_type == picows.WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())
            else:
                transport.send(frame.msg_type, frame.get_payload_as_memoryview(), frame.fin)

    class FanoutListener(Listener):
        def on_ws_connected(self, transport: picows.WSTransport) -> None:
            everyone.add(transport)

        def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
            everyone.discard(transport)

        def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
            if frame.msg_type in (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY):
                payload = frame.get_payload_as_bytes()
                for each in everyone:
                    each.send(frame.msg_type, payload)

    server = await picows.ws_create_server(
        lambda request: FanoutListener() if request.path == b"/fanout" else Listener(),
        "127.0.0.1",
        0,
        max_frame_size=2**27,
        backlog=1024,
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await forever()


async def serve_picows_websockets(deflate: bool) -> None:
    from picows.websockets import broadcast, serve

    async def handler(ws: Any) -> None:
        if ws.request.path in ("/fanout", "/topic"):
            async for message in ws:
                broadcast(server.connections, message)
        else:
            async for message in ws:
                await ws.send(message)

    async with serve(
        handler,
        "127.0.0.1",
        0,
        compression="deflate" if deflate else None,
        max_size=2**27,
        backlog=1024,
    ) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await forever()


async def serve_aiohttp(deflate: bool) -> None:
    from aiohttp import WSMsgType, web

    everyone: set[web.WebSocketResponse] = set()

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=deflate, max_msg_size=2**27)
        await ws.prepare(request)
        if request.path in ("/fanout", "/topic"):
            everyone.add(ws)
        async for message in ws:
            send = ws.send_str if message.type is WSMsgType.TEXT else ws.send_bytes
            if request.path in ("/fanout", "/topic"):
                for each in everyone:
                    await (each.send_str if message.type is WSMsgType.TEXT else each.send_bytes)(
                        message.data
                    )
            else:
                await send(message.data)
        everyone.discard(ws)
        return ws

    app = web.Application()
    app.router.add_get("/{path}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    print(runner.addresses[0][1], flush=True)
    await forever()


async def serve_uvicorn(deflate: bool, protocol: str = "websockets-sansio") -> None:
    import uvicorn

    everyone: set[Any] = set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        is_fanout = scope["path"] == "/fanout"
        if is_fanout:
            everyone.add(send)
        while (event := await receive())["type"] != "websocket.disconnect":
            event["type"] = "websocket.send"
            for each in tuple(everyone) if is_fanout else (send,):
                await each(event)
        everyone.discard(send)

    config = uvicorn.Config(
        app,
        ws=protocol,
        ws_per_message_deflate=deflate,
        ws_max_size=2**27,
        lifespan="off",
        log_config=None,
    )
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as sock:
        print(sock.getsockname()[1], flush=True)
        await uvicorn.Server(config).serve(sockets=[sock])


async def serve_ws(deflate: bool) -> None:
    script = Path(__file__).with_name("ws_server.mjs")
    os.execvp("node", ["node", str(script), "deflate" if deflate else "plain"])


async def serve_raw(deflate: bool) -> None:
    class Echo(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.write = transport.write  # type: ignore[attr-defined]

        def data_received(self, data: bytes) -> None:
            self.write(data)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await forever()


SERVERS = {
    "wsproto_async": serve_ours,
    "websockets": serve_websockets,
    "picows": serve_picows,
    "picows.websockets": serve_picows_websockets,
    "aiohttp": serve_aiohttp,
    "uvicorn": serve_uvicorn,
    "uvicorn wsproto": partial(serve_uvicorn, protocol="wsproto"),
    "uvicorn websockets": partial(serve_uvicorn, protocol="websockets"),
    "uvicorn wsproto_async": partial(
        serve_uvicorn, protocol="wsproto_async.uvicorn:WebSocketProtocol"
    ),
    "ws": serve_ws,
    "raw": serve_raw,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=SERVERS)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="uvloop")
    parser.add_argument("--deflate", action="store_true")
    arguments = parser.parse_args()
    factory = new_event_loop if arguments.loop == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(SERVERS[arguments.name](arguments.deflate))


if __name__ == "__main__":
    main()
